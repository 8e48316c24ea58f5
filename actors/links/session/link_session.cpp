#include <troupe/actors/links/session/link_session.hpp>

#include <algorithm>
#include <utility>

#include <troupe/messages/assert.hpp>
#include <troupe/messages/link.hpp>

namespace troupe {

void link_events::on_outcome(call_completion&& done, result<std::string_view>&& outcome) {
  if (outcome)
    done(std::string{*outcome});
  else
    done(fail(std::move(outcome.error())));
}

link_session::link_session(const link_limits& limits, time_point now)
    : limits_(limits),
      scanner_(limits.codec),
      output_(limits),
      calls_(std::min(limits.in_flight, open_calls::most_possible)),
      requests_(limits.in_flight, limits.request_bytes),
      liveness_(limits, now),
      last_forgiven_(now) {}

// -- what arrives ---------------------------------------------------------------------------------

result<void> link_session::receive(std::string_view bytes, time_point now, link_events& events) {
  liveness_.hear();
  // A message that arrived whole is read where it lies. Only the beginning of the next one is kept.
  const bool continuing = !input_.empty();
  if (continuing) input_.append(bytes);
  std::string_view rest = continuing ? std::string_view{input_} : bytes;
  while (!rest.empty()) {
    const auto scanned = scanner_.scan(rest);
    if (!scanned) return fail(scanned.error());
    if (*scanned == 0) break;
    if (auto done = receive_frame(rest.substr(0, *scanned), now, events); !done) return done;
    rest.remove_prefix(*scanned);
    liveness_.restart_message(now);
  }
  if (continuing)
    input_.erase(0, input_.size() - rest.size());
  else
    input_.assign(rest);
  if (!continuing) liveness_.restart_message(now);
  return {};
}

result<void> link_session::receive_frame(std::string_view frame, time_point now,
                                         link_events& events) {
  auto parsed = rpc::parse(frame);
  if (!parsed) return fail(std::move(parsed.error()));
  if (const auto* request = std::get_if<rpc::request>(&*parsed))
    return receive_request(*request, now, events);
  if (const auto* response = std::get_if<rpc::response>(&*parsed))
    return receive_response(*response, events);
  return receive_notification(std::get<rpc::notification>(*parsed), events);
}

result<void> link_session::receive_request(const rpc::request& request, time_point now,
                                           link_events& events) {
  if (request.method == ping::method && !awaiting_opening_) {
    output_.pong(request.id);
    return {};
  }
  if (requests_.awaited() >= limits_.in_flight)
    return fail(error_code::limit_exceeded, "more than " + std::to_string(limits_.in_flight) +
                                                " requests at once; wait for answers");
  if (requests_.is_awaited(request.id))
    return fail(error_code::protocol_violation, "the request id " + std::to_string(request.id) +
                                                    " is in use; number requests uniquely");
  auto beside = decode_checked<rpc::envelope>(request.params);
  if (auto room = beside ? requests_.check_room(request.params.size())
                         : result<void>{fail(std::move(beside.error()))};
      !room) {
    output_.failure(request.id, room.error());
    return {};
  }
  if (beside->deadline.count() <= 0) beside->deadline = limits_.default_deadline;
  beside->deadline = std::min(beside->deadline, limits_.max_deadline);
  const auto serial = requests_.accept(request.id, request.params.size(), now + beside->deadline);
  events.on_request(serial, request.method, request.params, *beside);
  return {};
}

result<void> link_session::receive_response(const rpc::response& response, link_events& events) {
  if (!calls_.is_open(response.id))
    return calls_.take_late_reply() ? result<void>{} : strike("a reply to no open call");
  if (response.failure.code == error_code::none)
    close_call(response.id, response.payload, events);
  else
    close_call(response.id, fail(response.failure), events);
  return {};
}

result<void> link_session::receive_notification(const rpc::notification& notification,
                                                link_events& events) {
  if (notification.method != cancel_call::method || awaiting_opening_) {
    events.on_notification(notification.method, notification.params);
    return {};
  }
  const auto cancel = decode_checked<cancel_call>(notification.params);
  if (!cancel) return strike("a cancel without msgid");
  const auto cancelled = requests_.answer_early(cancel->msgid);
  if (!cancelled) return {};
  output_.failure(
      cancel->msgid,
      {error_code::cancelled, "the caller cancelled the request; it may still be carried out", {}});
  events.on_cancelled(*cancelled);
  return {};
}

result<void> link_session::strike(std::string_view what) {
  if (awaiting_opening_)
    return fail(error_code::protocol_violation,
                "the first message must be session.open, not " + std::string{what});
  if (++strikes_ <= limits_.strikes) return {};
  return fail(error_code::protocol_violation,
              "too many violations, the last: " + std::string{what} + "; at most " +
                  std::to_string(limits_.strikes) + " are allowed");
}

void link_session::forgive(time_point now) noexcept {
  if (now - last_forgiven_ < std::chrono::seconds{1}) return;
  last_forgiven_ = now;
  if (strikes_ > 0) --strikes_;
}

// -- calls of this side ---------------------------------------------------------------------------

result<std::uint32_t> link_session::call(std::string_view method, std::string_view params,
                                         time_point deadline, call_completion&& done,
                                         call_patience patience) {
  if (ended_) return fail(*ended_);
  if (calls_.is_full())
    return fail(error_code::overloaded, std::to_string(calls_.count()) +
                                            " calls are in flight on this link; wait for answers");
  const auto number = calls_.next_number();
  if (auto sent = output_.request(number, method, params); !sent)
    return fail(std::move(sent.error()));
  calls_.open(number, deadline, std::move(done), patience);
  return number;
}

void link_session::cancel(std::uint32_t call) {
  if (calls_.mark_cancelled(call)) output_.cancel(call);
}

result<void> link_session::notify(std::string_view method, std::string_view params) {
  return output_.notification(method, params);
}

void link_session::close_call(std::uint32_t number, result<std::string_view> outcome,
                              link_events& events) {
  auto done = calls_.close(number);
  if (ping_ == number)
    ping_.reset();
  else
    events.on_outcome(std::move(done), std::move(outcome));
}

// -- requests of the other side -------------------------------------------------------------------

bool link_session::respond(request_serial request, std::string_view payload) {
  const auto id = requests_.finish(request);
  if (id) output_.response(*id, payload);
  return id.has_value();
}

bool link_session::refuse(request_serial request, const error& failure) {
  const auto id = requests_.finish(request);
  if (id) output_.failure(*id, failure);
  return id.has_value();
}

void link_session::remove_untaken(std::size_t bytes) noexcept {
  TROUPE_ASSERT(bytes <= untaken_, "a notification is taken once");
  untaken_ -= bytes;
}

// -- time -----------------------------------------------------------------------------------------

result<void> link_session::tick(time_point now, link_events& events) {
  expire_calls(now, events);
  expire_requests(now);
  forgive(now);
  liveness_.pass(now);
  // While this side does not read, the other one is not slow. It is silent only when it is the
  // cause: because it does not read either.
  if (reading_paused()) liveness_.restart_message(now);
  if (has_much_untaken()) {
    liveness_.hear();
    return {};
  }
  if (auto in_time = liveness_.check_message(now, input_.size()); !in_time) return in_time;
  return ping_when_idle(now);
}

void link_session::expire_calls(time_point now, link_events& events) {
  const auto overdue = calls_.take_overdue(now);
  if (overdue.empty()) return;
  for (const auto number : overdue) {
    cancel(number);
    if (!calls_.is_open(number) || calls_.waits_for_answer(number)) continue;
    calls_.expect_late_reply();
    close_call(number, fail(error_code::deadline_exceeded, "no answer before the deadline"),
               events);
  }
  liveness_.expect_sign(std::max(now, calls_.latest_deadline().value_or(now)));
}

void link_session::expire_requests(time_point now) {
  for (const auto id : requests_.expired(now)) {
    requests_.answer_early(id);
    output_.failure(id, {error_code::deadline_exceeded,
                         "no answer before the deadline; the request may still be carried out",
                         {}});
  }
}

result<void> link_session::ping_when_idle(time_point now) {
  if (awaiting_opening_) return {};
  const auto is_due = liveness_.check_silence(now, calls_.in_time() > (ping_ ? 1u : 0u));
  if (!is_due) return fail(is_due.error());
  if (!*is_due || ping_) return {};
  if (const auto started =
          call(ping::method, rpc::no_params, now + 2 * limits_.silence, call_completion{}))
    ping_ = *started;
  return {};
}

// -- the end --------------------------------------------------------------------------------------

std::vector<request_serial> link_session::end(const error& reason, link_events& events) {
  ended_ = reason;
  for (const auto number : calls_.numbers())
    if (calls_.is_open(number)) close_call(number, fail(reason), events);
  return requests_.clear();
}

}  // namespace troupe
