#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/links/session/frame_output.hpp>
#include <troupe/actors/links/session/link_limits.hpp>
#include <troupe/actors/links/session/liveness.hpp>
#include <troupe/actors/links/session/open_calls.hpp>
#include <troupe/actors/links/session/served_requests.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/wire/rpc.hpp>

namespace troupe {

/// What a session hands to its owner. The views are valid during the call only.
class link_events {
public:
  virtual ~link_events() = default;
  /// A request that must be answered with `respond` or `refuse`, once and also after its deadline.
  virtual void on_request(request_serial request, std::string_view method, std::string_view params,
                          const rpc::envelope& beside) = 0;
  /// A notification other than `cancel`.
  virtual void on_notification(std::string_view method, std::string_view params) = 0;
  /// The other side no longer waits for the answer to this request. It must be answered all the
  /// same.
  virtual void on_cancelled(request_serial request) = 0;
  /// A call has ended: `done` must get this outcome, now or later.
  virtual void on_outcome(call_completion&& done, result<std::string_view>&& outcome);
};

/// One side of a connection that speaks MessagePack-RPC: bytes in, events out, bytes out. Knows no
/// socket, actor or clock.
///
/// It enforces every bound of `link_limits`, matches replies to calls, times calls and requests
/// out, answers pings and sends its own. An error of `receive` or `tick` means that the link must
/// end with that error: call `end` then, which fails the calls that are still open. Nothing is sent
/// for which the other side, with the same limits, would end the link.
class link_session {
public:
  using time_point = std::chrono::steady_clock::time_point;

  link_session(const link_limits& limits, time_point now);
  link_session(const link_session&) = delete;
  link_session& operator=(const link_session&) = delete;

  /// Until `opened` the first message must be a request. The session hands pings and cancellations
  /// to the owner, takes a reply as an error and sends no pings.
  void await_opening() noexcept { awaiting_opening_ = true; }
  void opened() noexcept { awaiting_opening_ = false; }

  /// Takes bytes as they arrive.
  result<void> receive(std::string_view bytes, time_point now, link_events& events);

  /// Starts a call. @param params The bytes of a parameter map. @param deadline The other side gets
  /// `cancel` then, and `done` gets `deadline_exceeded` unless the call waits for its answer.
  /// @returns the call's number, which no other open call has. Fails without calling `done` and
  /// without a trace when a bound is reached, when the message cannot be sent (`limit_exceeded`, or
  /// `internal` when it is malformed), or when the session has ended.
  result<std::uint32_t> call(std::string_view method, std::string_view params, time_point deadline,
                             call_completion&& done,
                             call_patience patience = call_patience::until_deadline);

  /// Sends `cancel` for a call, once. The call stays open until it is answered or reaches its
  /// deadline: the other side may be busy with it until then. No effect when it has ended.
  void cancel(std::uint32_t call);

  /// Fails as `call` does.
  result<void> notify(std::string_view method, std::string_view params);

  /// Answers a request. False when the other side has its reply already, because the request was
  /// cancelled or has expired, or when there is no such request. An answer that cannot be sent
  /// becomes an error; an error that cannot be sent loses its detail and the end of its message.
  bool respond(request_serial request, std::string_view payload);
  bool refuse(request_serial request, const error& failure);

  /// Lets time pass: calls and requests expire, half messages and silence are noticed, pings are
  /// sent. Call it at least every 50 ms while `has_deadlines()`, every second otherwise. After more
  /// than two seconds the session takes this side for held up and gives the other one all its time
  /// again.
  result<void> tick(time_point now, link_events& events);
  /// True while a deadline of a call or request lies ahead.
  bool has_deadlines() const noexcept { return calls_.in_time() > 0 || requests_.awaited() > 0; }

  /// Fails every open call with `reason`, and every later one. @returns the requests that waited
  /// for their answers, which are no longer needed.
  std::vector<request_serial> end(const error& reason, link_events& events);

  /// Bytes to send. The owner takes and clears them.
  std::string& output() noexcept { return output_.bytes(); }
  /// The owner tells how many bytes of earlier output the other side has not taken yet.
  void set_unsent(std::size_t bytes) noexcept {
    if (output_.set_unsent(bytes)) liveness_.hear();
  }
  /// The owner tells the size of notifications that were handed to it, and later that it has dealt
  /// with them.
  void add_untaken(std::size_t bytes) noexcept { untaken_ += bytes; }
  void remove_untaken(std::size_t bytes) noexcept;
  /// True while the owner must not read: the other side does not take what it asked for, or this
  /// side does not keep up with its notifications.
  bool reading_paused() const noexcept { return output_.is_congested() || has_much_untaken(); }

  std::size_t calls_in_flight() const noexcept { return calls_.count(); }
  /// With those that were cancelled or have expired and are still worked on.
  std::size_t requests_in_flight() const noexcept { return requests_.count(); }
  std::uint32_t strikes() const noexcept { return strikes_; }

private:
  result<void> receive_frame(std::string_view frame, time_point now, link_events& events);
  result<void> receive_request(const rpc::request& request, time_point now, link_events& events);
  result<void> receive_response(const rpc::response& response, link_events& events);
  result<void> receive_notification(const rpc::notification& notification, link_events& events);
  result<void> strike(std::string_view what);
  void forgive(time_point now) noexcept;
  void expire_calls(time_point now, link_events& events);
  void expire_requests(time_point now);
  result<void> ping_when_idle(time_point now);
  void close_call(std::uint32_t number, result<std::string_view> outcome, link_events& events);
  bool has_much_untaken() const noexcept { return untaken_ > limits_.untaken_bytes; }

  link_limits limits_;
  msgpack_scanner scanner_;
  std::string input_;  ///< The beginning of the next message.
  frame_output output_;
  open_calls calls_;
  served_requests requests_;
  liveness liveness_;
  std::optional<std::uint32_t> ping_;  ///< The call that is a ping, while it is open.
  std::size_t untaken_ = 0;
  bool awaiting_opening_ = false;
  std::uint32_t strikes_ = 0;
  time_point last_forgiven_;
  std::optional<error> ended_;
};

}  // namespace troupe
