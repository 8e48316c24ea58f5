#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <troupe/actors/kernel/rate_window.hpp>
#include <troupe/actors/links/link_greeting.hpp>
#include <troupe/actors/links/methods.hpp>
#include <troupe/actors/links/read_window.hpp>
#include <troupe/actors/links/session/link_session.hpp>
#include <troupe/messages/link.hpp>

namespace troupe {

/// Decides whether a request may be served, beside what the method table says. Asked at the moment
/// when the request is handed to its service. An error refuses it.
using request_check = std::function<result<void>(const method_rule& rule, std::string_view params,
                                                 const rpc::envelope& beside)>;

/// Everything a served connection depends on.
struct served_setup {
  link_limits limits;
  service_set services;              ///< What the other side may ask of this node.
  session_gate gate;                 ///< Of the accepting side.
  std::optional<session_open> open;  ///< Of the dialing side: what to say first.
  principal other_side;              ///< As far as it is known before the session opens.
  request_check check;               ///< Of the owner; empty allows every request.
  std::chrono::milliseconds opening_deadline{0};  ///< For the other side to open the session; 0 for
                                                  ///< no limit.
  std::uint32_t number = 0;  ///< Tells the tickets of an owner's connections apart.
};

/// A request that was handed to a service.
struct handed_request {
  request_serial serial = 0;
  bool is_read = false;  ///< It occupies a place in the read window.
};

/// Effect: ask the service of this rule, within `limit`, and pass the outcome to `answer`.
struct ask_service {
  handed_request request;
  const method_rule* rule = nullptr;
  service_call call;
  std::chrono::milliseconds limit{0};
};

/// Effect: pass the notification to the service of this rule, and its size to `taken` afterwards.
struct tell_service {
  const method_rule* rule = nullptr;
  service_notification notification;
  std::size_t bytes = 0;
};

/// Effect: the answer to the request with this ticket is no longer wanted. Notify the services that
/// can cancel.
struct cancel_service {
  std::uint64_t ticket = 0;
};

/// Effect: call `done` with the outcome.
struct call_ended {
  call_completion done;
  result<std::string> outcome;
};

/// Effect: a notification of the link itself, such as `log`. Its meaning is the owner's.
struct notification_came {
  std::string method;
  std::string params;
};

/// Effect: a notification was refused. At most `max_refusals_told` come in a second.
struct notification_refused {
  std::string method;
  error reason;
};

/// Effect: this number of further notifications was refused in the last second.
struct more_refused {
  std::uint64_t count = 0;
};

/// Why a connection cannot go on.
enum class failure_cause : std::uint8_t {
  opening,    ///< The session was not opened, or in the wrong way.
  violation,  ///< What arrived breaks the protocol or a bound.
  overdue,    ///< Time has passed: half a message, or no sign of life.
  closed,     ///< One side has closed the session in an orderly way.
};

/// Effect: the connection cannot go on. The owner must call `end`, with this error or its own.
/// Nothing is accepted any more.
struct connection_failed {
  failure_cause cause = failure_cause::violation;
  error reason;
};

/// What the owner of a connection has to do, in this order.
using connection_effect =
    std::variant<ask_service, tell_service, cancel_service, call_ended, session_began,
                 notification_came, notification_refused, more_refused, connection_failed>;

/// How much longer than its caller's deadline the service of a request is waited for. The caller
/// is answered at its deadline; the request keeps its place among those in flight until its
/// service answers or this has passed as well.
inline constexpr std::chrono::milliseconds answer_grace{10'000};
/// Requests with large answers that are served at once. Bounds their answers to 128 MiB.
inline constexpr std::size_t max_reads_at_once = 16;
/// A second. The others are counted.
inline constexpr std::uint64_t max_refusals_told = 10;

/// One served connection, from its greeting to its end: what the other side may ask, which service
/// answers it, how much of it goes on at once, and how time ends it. Knows no socket, actor or
/// clock.
///
/// Bytes, ticks and the answers of services come in. Bytes for the other side go out through
/// `output`, everything else through `effects`; after each event the owner takes both.
///
/// While the connection lasts, each request gets one reply: from its service, or early, when its
/// caller cancels it or its deadline passes. The end of the connection sends no reply. It cancels
/// the requests whose callers still wait.
class served_connection : private link_events {
public:
  using time_point = link_session::time_point;

  served_connection(served_setup setup, time_point now);

  /// Begins. The dialing side introduces itself.
  void start(time_point now);

  // -- what comes in ------------------------------------------------------------------------------
  void receive(std::string_view bytes, time_point now);
  /// The outcome of an `ask_service`: the bytes of the result or an error.
  void answer(handed_request request, const result<std::string_view>& outcome, time_point now);
  /// A `tell_service` has been dealt with, or given up.
  void taken(std::size_t bytes);
  /// Once a second.
  void slow_tick(time_point now);
  /// After `take_fast_tick`.
  void fast_tick(time_point now);
  /// From outside: how many bytes of earlier output the other side has not taken yet. Call it
  /// before every other event.
  void set_unsent(std::size_t bytes) noexcept { session_.set_unsent(bytes); }

  // -- what the owner wants -----------------------------------------------------------------------
  /// Calls the other side. Fails without calling `done` when the session is not open, and as
  /// `link_session::call` does. @returns the number of the call.
  result<std::uint32_t> call(std::string_view method, std::string_view params, time_point deadline,
                             call_completion&& done,
                             call_patience patience = call_patience::until_deadline);
  /// Tells the other side once that the answer to this call is no longer wanted.
  void cancel(std::uint32_t call) { session_.cancel(call); }
  /// Sends a notification. Fails when it cannot be sent, as `link_session::notify` does.
  result<void> notify(std::string_view method, std::string_view params) {
    return session_.notify(method, params);
  }
  /// Fails the connection with `closed`. A peer gets the reason first.
  void close(const std::string& reason);
  /// Ends it: open calls fail with `reason`, open requests are cancelled without a reply. Nothing
  /// else happens afterwards.
  void end(const error& reason);
  /// Replaces the caller of the requests that are handed on from now on.
  void set_caller(principal_ptr caller) { caller_ = std::move(caller); }

  // -- what goes out ------------------------------------------------------------------------------
  /// The owner takes the effects by swapping in an empty vector.
  std::vector<connection_effect>& effects() noexcept { return effects_; }
  /// Bytes to send. The owner takes and clears them.
  std::string& output() noexcept { return session_.output(); }
  /// True while the owner must not read.
  bool reading_paused() const noexcept { return session_.reading_paused(); }
  /// True when the owner must schedule a fast tick; the next one is due after that one has come.
  /// @param is_paused Reading is paused, and has to be resumed soon.
  bool take_fast_tick(bool is_paused);

  bool is_open() const noexcept { return phase_ == phase::open; }
  bool has_ended() const noexcept { return phase_ == phase::ended; }
  const principal_ptr& caller() const noexcept { return caller_; }

private:
  enum class phase : std::uint8_t { opening, open, failed, ended };

  /// A request that waits in the read window.
  struct accepted_request {
    const method_rule* rule;
    request_serial serial;
    std::string params;
    rpc::envelope beside;
    time_point came;
  };

  void on_request(request_serial request, std::string_view method, std::string_view params,
                  const rpc::envelope& beside) override;
  void on_notification(std::string_view method, std::string_view params) override;
  void on_cancelled(request_serial request) override;
  void on_outcome(call_completion&& done, result<std::string_view>&& outcome) override;

  void introduce(const session_open& said);
  void take_acceptance(const result<std::string_view>& answer);
  void admit(request_serial request, std::string_view method, std::string_view params);
  void begin(link_greeting::opening opened);
  void hand_on_read(accepted_request request);
  bool hand_on(accepted_request request);
  void refuse_notification(std::string_view method, error reason);
  void hear_closing(std::string_view params);
  void pass_time(time_point now);
  void fail_with(failure_cause cause, error reason);
  std::uint64_t ticket_of(request_serial request) const noexcept {
    return std::uint64_t{setup_.number} << 32 | request;
  }

  served_setup setup_;
  link_greeting greeting_;
  time_point began_;
  time_point now_;  ///< Of the event at hand.
  link_session session_;
  principal_ptr caller_;
  read_window<accepted_request> reads_{max_reads_at_once};
  std::vector<connection_effect> effects_;
  phase phase_ = phase::opening;
  bool fast_tick_ = false;                   ///< One is on its way.
  rate_window refusals_{max_refusals_told};  ///< Renewed by the slow tick.
};

}  // namespace troupe
