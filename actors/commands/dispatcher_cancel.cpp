// What becomes of a request whose answer is not wanted any more.

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

error cancelled(const std::string& command) {
  return {error_code::cancelled, "the caller cancelled the command " + command, {}};
}

/// Every request that was let in ends here, but for those that an actor handles.
void dispatcher_state::answer(waiting_request& asked, result<value> outcome) {
  forget_place(asked.request.origin);
  asked.reply(std::move(outcome));
}

void dispatcher_state::keep_place(const request_origin& origin, request_place place) {
  if (origin.ticket != 0) places_.insert_or_assign(origin, std::move(place));
}

void dispatcher_state::forget_place(const request_origin& origin) {
  if (origin.ticket != 0) places_.erase(origin);
}

void dispatcher_state::cancel(std::uint64_t ticket) {
  const auto& sender = self_->current_sender();
  const auto found = sender ? places_.find({sender->id(), ticket}) : places_.end();
  if (found == places_.end()) return;
  const auto place = found->second;
  if (const auto* waits = std::get_if<queue_ticket>(&place)) return cancel_waiting(*waits);
  // The handler answers, and with that the request ends.
  if (const auto* handled = std::get_if<handled_request>(&place))
    return tell(self_, handled->handler, cancel_request{handled->ticket});
  if (const auto unwanted = schedule_.cancel(std::get<work_schedule::work_id>(place)))
    end_early(*unwanted, command_outcome::cancelled, self_->clock().now());
}

void dispatcher_state::cancel_waiting(queue_ticket ticket) {
  admission_.cancel(ticket);
  auto gone = waiting_.extract(ticket.number);
  const auto& request = gone.mapped().request;
  monitor_.record_unstarted(request.index, request.spec->name, command_outcome::cancelled);
  answer(gone.mapped(), fail(cancelled(request.spec->name)));
}

}  // namespace troupe
