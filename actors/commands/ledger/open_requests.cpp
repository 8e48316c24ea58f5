#include <troupe/actors/commands/ledger/open_requests.hpp>

#include <algorithm>

#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

/// True for a request whose execution has started.
constexpr bool runs(request_place place) noexcept {
  return place == request_place::worker || place == request_place::handler;
}

/// What a request did when its deadline passed.
const char* missed(request_place place) noexcept {
  switch (place) {
    case request_place::queue: return " waited for its turn until its deadline";
    case request_place::worker_queue: return " waited for a worker until its deadline";
    case request_place::worker:
    case request_place::handler: break;
  }
  return " did not finish in time";
}

}  // namespace

command_outcome outcome_of(const result<value>& outcome) noexcept {
  if (outcome) return command_outcome::ok;
  switch (outcome.error().code) {
    case error_code::deadline_exceeded: return command_outcome::timeout;
    case error_code::cancelled: return command_outcome::cancelled;
    default: return command_outcome::error;
  }
}

// -- commands -------------------------------------------------------------------------------------

request_effects open_requests::remove_command(command_index command, time_point now) {
  for (const auto& ticket : admission_.remove(command))
    end_early(id_of(ticket), early_end::removal, now);
  return take_effects();
}

// -- executions inside the dispatcher -------------------------------------------------------------

std::optional<rejected> open_requests::begin_inline(command_index command, time_point deadline,
                                                    time_point now) {
  const auto verdict = admission_.offer(command, deadline, now);
  if (const auto* no = std::get_if<rejected>(&verdict)) return *no;
  TROUPE_ASSERT(std::holds_alternative<admitted>(verdict),
                "an execution inside the dispatcher has ended before the next one comes");
  return std::nullopt;
}

void open_requests::end_inline(command_index command, nanoseconds ran, time_point now) {
  const auto freed = admission_.finished(command, ran, now);
  TROUPE_ASSERT(!freed.run && freed.expired.empty(),
                "no request waits for an execution inside the dispatcher");
}

// -- requests -------------------------------------------------------------------------------------

std::variant<rejected, open_requests::opened> open_requests::open(const new_request& wanted,
                                                                  time_point now) {
  TROUPE_ASSERT(!stopping_, "no request is opened during a stop");
  if (!wanted.handler && schedule_.is_full())
    return rejected{rejection_reason::node_full, admission::blind_retry};
  const auto verdict = admission_.offer(wanted.command, wanted.deadline, now);
  if (const auto* no = std::get_if<rejected>(&verdict)) return *no;

  const auto request = ++last_;
  auto& made = open_.emplace(request, entry{wanted}).first->second;
  ++unanswered_;
  if (wanted.origin.ticket != 0) by_origin_.insert_or_assign(wanted.origin, request);
  if (const auto* wait = std::get_if<queued>(&verdict)) {
    made.key = wait->ticket.number;
    by_ticket_.emplace(made.key, request);
  } else {
    start(request, now);
  }
  return opened{request, take_effects()};
}

/// The request has a place now.
void open_requests::start(request_id request, time_point now) {
  auto& started = entry_of(request);
  const auto& asked = started.asked;
  if (!asked.handler) {
    started.place = request_place::worker_queue;
    started.key = schedule_.add(asked.deadline);
    by_work_.emplace(started.key, request);
    return start_functions(now);
  }
  started.place = request_place::handler;
  started.started = now;
  at_handlers_.emplace(asked.deadline, request);
  const auto left = asked.deadline - now;
  effects_.emplace_back(
      request_effect::ask_handler{request, asked.spec, left, left + handler_grace_});
}

/// Gives waiting functions to idle workers. A function never starts after its deadline.
void open_requests::start_functions(time_point now) {
  expire_functions(now);
  while (const auto next = schedule_.next()) {
    const auto request = id_of(next->work);
    auto& started = entry_of(request);
    started.place = request_place::worker;
    started.started = now;
    effects_.emplace_back(request_effect::start_function{request, next->worker});
  }
}

request_effects open_requests::finish(request_id request, result<value> outcome, time_point now) {
  if (open_.contains(request)) end_run(request, std::move(outcome), now);
  return take_effects();
}

/// An execution ended. What it answers counts only when the caller was not answered before.
void open_requests::end_run(request_id request, result<value> outcome, time_point now) {
  const auto& ended = entry_of(request);
  TROUPE_ASSERT(runs(ended.place), "only an execution that has started ends");
  const auto command = ended.asked.command;
  const auto ran = now - ended.started;
  const bool by_function = ended.place == request_place::worker;
  const bool given_up = !by_function && now >= ended.asked.deadline + handler_grace_;
  if (by_function) {
    const auto overdue = schedule_.finished(ended.key);
    TROUPE_ASSERT(overdue == ended.answered, "ledger and schedule agree on what is overdue");
  }
  if (!ended.answered) {
    const auto counted = outcome_of(outcome);
    answer(request, std::move(outcome), counted, ran);
  } else if (now >= ended.asked.deadline) {
    using event = request_effect::log::event;
    effects_.emplace_back(
        request_effect::log{given_up ? event::given_up : event::late, ended.asked.spec, ran});
  }
  close(request);
  // The grace of a lost request would distort the command's usual duration.
  return_place(command, given_up ? std::nullopt : std::optional{ran}, now);
  if (by_function) start_functions(now);
  check_stopped(now);
}

request_effects open_requests::cancel(const request_origin& origin, time_point now) {
  const auto found = by_origin_.find(origin);
  if (found == by_origin_.end()) return {};
  const auto request = found->second;
  const auto& gone = entry_of(request);
  if (gone.place == request_place::queue)
    admission_.cancel({gone.key, gone.asked.command.slot});
  else if (gone.place != request_place::handler)
    schedule_.cancel(gone.key);
  end_early(request, early_end::cancelled, now);
  return take_effects();
}

request_effects open_requests::end_handler(handler_id handler, time_point now) {
  std::vector<request_id> lost;
  for (const auto& [request, each] : open_)
    if (each.place == request_place::handler && each.asked.handler == handler)
      lost.push_back(request);
  std::ranges::sort(lost);
  for (const auto request : lost)
    end_run(request,
            fail(error_code::unavailable,
                 "the handler of the command " + entry_of(request).asked.spec->name + " has ended"),
            now);
  return take_effects();
}

request_effects open_requests::expire(time_point now) {
  for (const auto& ticket : admission_.expire(now))
    end_early(id_of(ticket), early_end::deadline, now);
  expire_functions(now);
  while (!at_handlers_.empty() && at_handlers_.begin()->first <= now)
    end_early(at_handlers_.begin()->second, early_end::deadline, now);
  check_stopped(now);
  return take_effects();
}

void open_requests::expire_functions(time_point now) {
  for (const auto& late : schedule_.expire(now))
    end_early(id_of(late.work), early_end::deadline, now);
}

/// Answers a request before its execution has ended. Neither queue nor schedule has it waiting any
/// more. A request that runs goes on without its caller and keeps its place.
void open_requests::end_early(request_id request, early_end why, time_point now) {
  const auto& ended = entry_of(request);
  const auto place = ended.place;
  const auto command = ended.asked.command;
  const auto counted = why == early_end::deadline    ? command_outcome::timeout
                       : why == early_end::cancelled ? command_outcome::cancelled
                                                     : command_outcome::rejected;
  if (runs(place)) {
    if (place == request_place::worker)
      effects_.emplace_back(request_effect::stop_function{request});
    else
      effects_.emplace_back(request_effect::cancel_at_handler{request});
    const auto ran = now - ended.started;
    if (why == early_end::deadline)
      effects_.emplace_back(
          request_effect::log{request_effect::log::event::timed_out, ended.asked.spec, ran});
    return answer(request, fail(reason_for(ended, why)), counted, ran);
  }
  answer(request, fail(reason_for(ended, why)), counted, std::nullopt);
  close(request);
  if (place == request_place::worker_queue) return_place(command, std::nullopt, now);
}

error open_requests::reason_for(const entry& ended, early_end why) {
  const auto& name = ended.asked.spec->name;
  switch (why) {
    case early_end::deadline:
      return {error_code::deadline_exceeded, "the command " + name + missed(ended.place), {}};
    case early_end::cancelled:
      return {error_code::cancelled, "the caller cancelled the command " + name, {}};
    case early_end::removal:
      return {error_code::unavailable, "the command " + name + " was removed", {}};
    case early_end::stop: break;
  }
  return {error_code::unavailable, "the node is stopping", {}};
}

// -- the entries ----------------------------------------------------------------------------------

void open_requests::answer(request_id request, result<value> outcome, command_outcome counted,
                           std::optional<nanoseconds> ran) {
  auto& answered = entry_of(request);
  TROUPE_ASSERT(!answered.answered, "a request is answered once");
  answered.answered = true;
  --unanswered_;
  const auto& asked = answered.asked;
  if (answered.place == request_place::handler) at_handlers_.erase({asked.deadline, request});
  // A sender may have used the ticket again.
  const auto named = by_origin_.find(asked.origin);
  if (named != by_origin_.end() && named->second == request) by_origin_.erase(named);
  effects_.emplace_back(
      request_effect::answer{request, asked.command, asked.spec, std::move(outcome), counted, ran});
}

/// Forgets a request that was answered and has ended.
void open_requests::close(request_id request) {
  const auto found = open_.find(request);
  TROUPE_ASSERT(found != open_.end() && found->second.answered, "a request ends answered, once");
  if (found->second.place == request_place::queue)
    by_ticket_.erase(found->second.key);
  else if (found->second.place != request_place::handler)
    by_work_.erase(found->second.key);
  open_.erase(found);
}

/// The next request of the queue takes the place. `ran` is nothing when it says nothing of how long
/// the command takes.
void open_requests::return_place(command_index command, std::optional<nanoseconds> ran,
                                 time_point now) {
  TROUPE_ASSERT(!admission_.knows(command) || admission_.running(command) > 0,
                "a place that is returned was taken");
  const auto freed =
      ran ? admission_.finished(command, *ran, now) : admission_.abandoned(command, now);
  for (const auto& ticket : freed.expired) end_early(id_of(ticket), early_end::deadline, now);
  if (!freed.run) return;
  const auto next = id_of(*freed.run);
  by_ticket_.erase(freed.run->number);
  start(next, now);
}

open_requests::entry& open_requests::entry_of(request_id request) {
  const auto found = open_.find(request);
  TROUPE_ASSERT(found != open_.end(), "the request is open");
  return found->second;
}

request_id open_requests::id_of(const queue_ticket& ticket) const {
  const auto found = by_ticket_.find(ticket.number);
  TROUPE_ASSERT(found != by_ticket_.end(), "a ticket of the queue belongs to an open request");
  return found->second;
}

request_id open_requests::id_of(work_schedule::work_id work) const {
  const auto found = by_work_.find(work);
  TROUPE_ASSERT(found != by_work_.end(), "the schedule's work belongs to an open request");
  return found->second;
}

// -- stop -----------------------------------------------------------------------------------------

result<request_effects> open_requests::stop(time_point stop_by, time_point now) {
  if (std::exchange(stopping_, true))
    return fail(error_code::already_exists, "the commands are being stopped already");
  stop_by_ = stop_by;
  admission_.cancel_waiting();
  while (!by_ticket_.empty()) end_early(by_ticket_.begin()->second, early_end::stop, now);
  for (const auto work : schedule_.cancel_waiting()) end_early(id_of(work), early_end::stop, now);
  for (const auto work : schedule_.running()) {
    const auto request = id_of(work);
    if (!entry_of(request).answered) effects_.emplace_back(request_effect::stop_function{request});
  }
  check_stopped(now);
  return take_effects();
}

/// Functions have to return before the node's memory goes. Handlers are stopped by their owners.
void open_requests::check_stopped(time_point now) {
  if (!stop_by_) return;
  const auto running = schedule_.running();
  if (!running.empty() && now < *stop_by_) return;
  result<void> outcome;
  std::string names;
  for (const auto work : running)
    names += (names.empty() ? "" : ", ") + entry_of(id_of(work)).asked.spec->name;
  if (!running.empty()) outcome = fail(error_code::deadline_exceeded, "still running: " + names);
  stop_by_.reset();
  effects_.emplace_back(request_effect::report_stop{std::move(outcome)});
}

// -- questions ------------------------------------------------------------------------------------

std::optional<request_place> open_requests::place_of(request_id request) const {
  const auto found = open_.find(request);
  return found == open_.end() ? std::nullopt : std::optional{found->second.place};
}

request_effects open_requests::take_effects() {
  TROUPE_ASSERT(by_ticket_.size() == admission_.waiting(), "ledger and queues agree");
  TROUPE_ASSERT(by_work_.size() == schedule_.size(), "ledger and schedule agree");
  TROUPE_ASSERT(open_.size() >= unanswered_ && unanswered_ >= at_handlers_.size(),
                "only open requests are unanswered");
  return std::exchange(effects_, {});
}

}  // namespace troupe
