#include <troupe/actors/links/served_connection.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr std::size_t notification_overhead = 256;  // bytes of a message beside its text
constexpr std::size_t max_reason_bytes = 512;       // kept of the reason of a closing

}  // namespace

served_connection::served_connection(served_setup setup, time_point now)
    : setup_(std::move(setup)),
      greeting_(std::move(setup_.gate), std::move(setup_.open)),
      began_(now),
      now_(now),
      session_(setup_.limits, now),
      caller_(std::make_shared<const principal>(std::move(setup_.other_side))) {
  setup_.services.insert(service::link);  // served by the connection and its owner
}

// -- opening --------------------------------------------------------------------------------------

void served_connection::start(time_point now) {
  now_ = now;
  if (const auto* said = greeting_.introduction())
    introduce(*said);
  else if (greeting_.is_needed())
    session_.await_opening();
  else
    phase_ = phase::open;
}

void served_connection::introduce(const session_open& said) {
  // `on_outcome` takes the answer.
  const auto started = session_.call(session_open::method, encode(said),
                                     now_ + setup_.limits.silence, call_completion{});
  if (!started) fail_with(failure_cause::opening, started.error());
}

void served_connection::take_acceptance(const result<std::string_view>& answer) {
  auto opened = answer ? greeting_.check_acceptance(*answer)
                       : result<link_greeting::opening>{fail(answer.error())};
  if (opened)
    begin(std::move(*opened));
  else
    fail_with(failure_cause::opening, std::move(opened.error()));
}

void served_connection::admit(request_serial request, std::string_view method,
                              std::string_view params) {
  auto opened = greeting_.admit(method, params);
  if (!opened) {
    session_.refuse(request, opened.error());
    return fail_with(failure_cause::opening, std::move(opened.error()));
  }
  session_.opened();
  session_.respond(request, encode(opened->grant.answer));
  begin(std::move(*opened));
}

void served_connection::begin(link_greeting::opening opened) {
  phase_ = phase::open;
  caller_ = std::make_shared<const principal>(std::move(opened.grant.caller));
  effects_.emplace_back(std::move(opened.session));
}

// -- what the other side asks ---------------------------------------------------------------------

void served_connection::receive(std::string_view bytes, time_point now) {
  now_ = now;
  if (phase_ >= phase::failed) return;
  if (auto read = session_.receive(bytes, now, *this); !read)
    fail_with(failure_cause::violation, std::move(read.error()));
}

void served_connection::on_request(request_serial request, std::string_view method,
                                   std::string_view params, const rpc::envelope& beside) {
  if (phase_ == phase::opening) return admit(request, method, params);
  if (phase_ != phase::open) return;
  const auto rule = find_route(setup_.services, caller_->kind, method, method_kind::request);
  if (!rule) {
    session_.refuse(request, rule.error());
    return;
  }
  accepted_request accepted{*rule, request, std::string{params}, beside, now_};
  if (!(*rule)->access.reads)
    hand_on(std::move(accepted));
  else if (auto ready = reads_.enter(std::move(accepted)))
    hand_on_read(std::move(*ready));
}

/// A read that is refused gives its place to the next one.
void served_connection::hand_on_read(accepted_request request) {
  std::optional<accepted_request> next{std::move(request)};
  while (next && !hand_on(std::move(*next))) next = reads_.leave();
}

/// The service gets the time that is left to the caller. False when the owner refuses the request.
bool served_connection::hand_on(accepted_request request) {
  using std::chrono::milliseconds;
  const auto& rule = *request.rule;
  const auto allowed =
      setup_.check ? setup_.check(rule, request.params, request.beside) : result<void>{};
  if (!allowed) {
    session_.refuse(request.serial, allowed.error());
    return false;
  }
  const auto waited = std::chrono::duration_cast<milliseconds>(now_ - request.came);
  const auto left = std::max(request.beside.deadline - waited, milliseconds{1});
  effects_.emplace_back(ask_service{.request = {request.serial, rule.access.reads},
                                    .rule = &rule,
                                    .call = {caller_,
                                             std::string{rule.name},
                                             {std::move(request.params)},
                                             left,
                                             request.beside.trace,
                                             ticket_of(request.serial)},
                                    .limit = left + answer_grace});
  return true;
}

void served_connection::answer(handed_request request, const result<std::string_view>& outcome,
                               time_point now) {
  now_ = now;
  if (phase_ == phase::ended) return;
  if (outcome)
    session_.respond(request.serial, *outcome);
  else
    session_.refuse(request.serial, outcome.error());
  if (!request.is_read) return;
  if (auto next = reads_.leave()) hand_on_read(std::move(*next));
}

void served_connection::on_cancelled(request_serial request) {
  effects_.emplace_back(cancel_service{ticket_of(request)});
}

// -- notifications --------------------------------------------------------------------------------

void served_connection::on_notification(std::string_view method, std::string_view params) {
  if (phase_ == phase::opening)
    return fail_with(
        failure_cause::opening,
        {error_code::protocol_violation,
         "the first message must be session.open, not the notification " + printable(method, 64),
         {}});
  if (phase_ != phase::open) return;
  const auto rule = find_route(setup_.services, caller_->kind, method, method_kind::notification);
  if (!rule) return refuse_notification(method, rule.error());
  if (method == session_closed::method) return hear_closing(params);
  if ((*rule)->access.service == service::link) {
    effects_.emplace_back(notification_came{std::string{method}, std::string{params}});
    return;
  }
  const auto bytes = method.size() + params.size() + notification_overhead;
  session_.add_untaken(bytes);
  effects_.emplace_back(
      tell_service{*rule, {caller_, std::string{method}, {std::string{params}}}, bytes});
}

/// Reading pauses while the services do not keep up.
void served_connection::taken(std::size_t bytes) {
  if (phase_ != phase::ended) session_.remove_untaken(bytes);
}

void served_connection::refuse_notification(std::string_view method, error reason) {
  if (refusals_.admit())
    effects_.emplace_back(notification_refused{std::string{method}, std::move(reason)});
}

void served_connection::hear_closing(std::string_view params) {
  const auto closing = decode_checked<session_closed>(params);
  if (!closing) return fail_with(failure_cause::violation, closing.error());
  fail_with(failure_cause::closed, {error_code::unavailable,
                                    "the other side closed the link: " +
                                        std::string{utf8_prefix(closing->reason, max_reason_bytes)},
                                    {}});
}

// -- calls ----------------------------------------------------------------------------------------

result<std::uint32_t> served_connection::call(std::string_view method, std::string_view params,
                                              time_point deadline, call_completion&& done,
                                              call_patience patience) {
  if (phase_ != phase::open) return fail(error_code::unavailable, "the link is not open yet");
  TROUPE_ASSERT(done, "a call has a completion");
  return session_.call(method, params, deadline, std::move(done), patience);
}

void served_connection::on_outcome(call_completion&& done, result<std::string_view>&& outcome) {
  if (phase_ == phase::opening) return take_acceptance(outcome);
  if (!done) return;  // of the introduction, after the connection has failed
  if (outcome)
    effects_.emplace_back(std::in_place_type<call_ended>, std::move(done), std::string{*outcome});
  else
    effects_.emplace_back(std::in_place_type<call_ended>, std::move(done),
                          fail(std::move(outcome.error())));
}

// -- time -----------------------------------------------------------------------------------------

void served_connection::slow_tick(time_point now) {
  if (const auto more = refusals_.renew(); more > 0) effects_.emplace_back(more_refused{more});
  pass_time(now);
}

void served_connection::fast_tick(time_point now) {
  fast_tick_ = false;
  pass_time(now);
}

void served_connection::pass_time(time_point now) {
  now_ = now;
  if (phase_ >= phase::failed) return;
  if (phase_ == phase::opening && setup_.opening_deadline.count() > 0 &&
      now - began_ > setup_.opening_deadline)
    return fail_with(failure_cause::opening,
                     {error_code::deadline_exceeded, "no session was opened in time", {}});
  if (auto passed = session_.tick(now, *this); !passed)
    fail_with(failure_cause::overdue, std::move(passed.error()));
}

/// The slow tick always comes again. While answers are awaited, fast ones keep the deadlines.
bool served_connection::take_fast_tick(bool is_paused) {
  if (fast_tick_ || phase_ >= phase::failed) return false;
  fast_tick_ = is_paused || session_.has_deadlines();
  return fast_tick_;
}

// -- the end --------------------------------------------------------------------------------------

void served_connection::close(const std::string& reason) {
  // The peer dials again. It shows the reason until then.
  if (phase_ == phase::open && caller_->kind == principal_kind::peer)
    (void)session_.notify(session_closed::method, encode(session_closed{reason}));
  fail_with(failure_cause::closed, {error_code::unavailable, reason, {}});
}

void served_connection::fail_with(failure_cause cause, error reason) {
  if (phase_ >= phase::failed) return;
  phase_ = phase::failed;
  effects_.emplace_back(connection_failed{cause, std::move(reason)});
}

void served_connection::end(const error& reason) {
  if (phase_ == phase::ended) return;
  phase_ = phase::ended;
  for (const auto request : session_.end(reason, *this)) on_cancelled(request);
}

}  // namespace troupe
