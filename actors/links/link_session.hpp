#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/limits.hpp>
#include <troupe/messages/msgpack_scanner.hpp>
#include <troupe/messages/rpc.hpp>

namespace troupe {

/// The bounds of one link. What happens at each is said with it.
struct link_limits {
  codec_limits codec;  ///< Passed by the other side: the link ends.
  /// Calls per side. Ours: refused as `overloaded`. Theirs that have not been answered: the link
  /// ends. A request that was cancelled or has expired counts until its owner has answered; at the
  /// bound with these, one more is refused as `overloaded`.
  std::uint32_t in_flight = 1024;
  std::size_t request_bytes = std::size_t{16}
                              << 20;  ///< Of the parameters of all requests that count: one more is
                                      ///< refused as `overloaded`.
  /// Not taken by the other side yet: calls are refused, replies become errors. What CAF is just
  /// writing, at most as much again, is not seen, so that the memory of a link is bounded by twice
  /// this.
  std::size_t output_bytes = std::size_t{16} << 20;
  std::size_t untaken_bytes =
      std::size_t{8}
      << 20;  ///< Of notifications that this side has not dealt with: no more is read.
  std::uint32_t strikes = 64;  ///< Replies to no call, or twice to one; one is forgiven each
                               ///< second. More: the link ends.
  std::chrono::milliseconds half_frame{
      10'000};  ///< A message that has begun must end within this, or the link ends.
  std::chrono::milliseconds default_deadline{30'000};  ///< Of a request that names none.
  std::chrono::milliseconds max_deadline{86'400'000};  ///< A longer one is shortened to this.
  std::chrono::milliseconds ping_interval{
      0};  ///< How often to ping an idle other side; 0 for never.
  std::chrono::milliseconds silence{
      5'000};  ///< Nothing heard for this long after a ping, and no call open: the link ends.
};

/// Names a request of the other side from its arrival until the owner has answered it. Not the id
/// on the wire: that one is free again as soon as the other side has been told something, which may
/// be sooner.
using request_serial = std::uint32_t;

/// Gets the outcome of a call exactly once: the bytes of the result or an error.
using call_completion = std::function<void(result<std::string>)>;

/// What a session hands to its owner. The views are valid during the call only.
class link_events {
public:
  virtual ~link_events() = default;
  /// A request that must be answered with `respond` or `refuse`, once and also after its deadline.
  virtual void on_request(request_serial request, std::string_view method, std::string_view params,
                          const rpc::envelope& beside) = 0;
  virtual void on_notification(std::string_view method, std::string_view params) = 0;
  /// The other side does not wait for the answer to this request any more; it must be answered all
  /// the same.
  virtual void on_cancelled(request_serial request) = 0;
  /// A call has ended: `done` must get this outcome, now or later.
  virtual void on_outcome(call_completion done, result<std::string_view> outcome);
};

/// One side of a connection that speaks MessagePack-RPC: bytes in, events out, bytes out. Knows no
/// socket, actor or clock.
///
/// It enforces every bound of `link_limits`, matches replies to calls, times calls and requests
/// out, answers pings and sends its own. An error of `receive` or `tick` means that the link has to
/// end with that error; call `end` then, which fails the calls that are still open. Nothing is sent
/// for which the other side, with the same limits, would end the link.
class link_session {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using completion = call_completion;

  link_session(const link_limits& limits, time_point now);
  link_session(const link_session&) = delete;
  link_session& operator=(const link_session&) = delete;

  /// Until `opened` the first message must be a request: pings and cancellations are the owner's as
  /// well, and a reply ends the link. Nothing is pinged.
  void await_opening() noexcept { awaiting_opening_ = true; }
  void opened() noexcept { awaiting_opening_ = false; }

  /// Takes bytes that arrived, as they arrived.
  result<void> receive(std::string_view bytes, time_point now, link_events& events);

  /// Starts a call. @param params The bytes of a parameter map. @param deadline When to give up;
  /// the completion is then told `deadline_exceeded` and the other side `cancel`. @returns the
  /// call's number, never used twice while it is open. Fails without calling `done` and without a
  /// trace when a bound is reached, when the message cannot be sent (`limit_exceeded`, or
  /// `internal` when it is malformed), or when the session has ended.
  result<std::uint32_t> call(std::string_view method, std::string_view params, time_point deadline,
                             completion done);

  /// Tells the other side `cancel` for a call, by the number that `call` returned. The call goes on
  /// until it is answered or comes to its deadline: so long the other side may be busy with it. No
  /// effect when it has ended.
  void cancel(std::uint32_t call);

  /// Fails as `call` does.
  result<void> notify(std::string_view method, std::string_view params);

  /// Answers a request. False when the other side has been told something already, because it was
  /// cancelled or has expired, or there is no such request. A payload that cannot be sent becomes
  /// an error; an error that cannot loses its detail and the end of its message.
  bool respond(request_serial request, std::string_view payload);
  bool refuse(request_serial request, const error& failure);

  /// Lets time pass: calls and requests expire, half messages and silence are noticed, pings are
  /// sent. At least every 50 ms while `has_deadlines()`, every second otherwise; after more than
  /// two seconds it is taken that this side was held up, and the other one has all its time again.
  result<void> tick(time_point now, link_events& events);
  /// True while a call of ours or a request of theirs waits for its answer.
  bool has_deadlines() const noexcept { return open_calls_ > 0 || !answerable_.empty(); }

  /// Fails every open call with `reason`, and every later one. @returns the requests that still
  /// waited for their answers, which nobody needs any more.
  std::vector<request_serial> end(const error& reason, link_events& events);

  /// Bytes to send. The owner takes and clears them.
  std::string& output() noexcept { return output_; }
  /// The owner tells how many bytes of earlier output the other side has not taken yet.
  void set_unsent(std::size_t bytes) noexcept {
    // It takes what it asked for, however slowly, while this side does not hear it.
    if (bytes < unsent_ && unsent_ > limits_.output_bytes / 2) {
      silent_since_.reset();
      unheard_since_.reset();
    }
    unsent_ = bytes;
  }
  /// The owner tells of the bytes of notifications that were handed to it and that it has not dealt
  /// with yet.
  void add_untaken(std::size_t bytes) noexcept { untaken_ += bytes; }
  void remove_untaken(std::size_t bytes) noexcept { untaken_ -= bytes; }
  /// True while the owner must not read: the other side does not take what it asked for, or this
  /// side does not keep up with its notifications.
  bool reading_paused() const noexcept {
    return unsent_ + output_.size() > limits_.output_bytes / 2 || untaken_ > limits_.untaken_bytes;
  }

  std::size_t calls_in_flight() const noexcept { return open_calls_; }
  /// With those that were cancelled or have expired and are still worked on.
  std::size_t requests_in_flight() const noexcept { return serving_.size(); }
  std::uint32_t strikes() const noexcept { return strikes_; }

private:
  /// A place for one call of ours. The id on the wire holds the slot's index and how often it was
  /// used, so a late reply is told from a reply to the call that has the slot now.
  struct call_slot {
    std::uint32_t use = 0;
    bool open = false;
    time_point deadline;
    completion done;
  };

  /// A request of the other side.
  struct served_request {
    std::uint32_t id = 0;   ///< On the wire.
    std::size_t bytes = 0;  ///< Of its parameters.
    time_point deadline;
    bool is_answered = false;
  };

  result<void> receive_frame(std::string_view frame, time_point now, link_events& events);
  result<void> receive_request(const rpc::request& request, time_point now, link_events& events);
  result<void> check_room(const rpc::request& request) const;
  result<void> receive_response(const rpc::response& response, link_events& events);
  result<void> receive_notification(const rpc::notification& notification, link_events& events);
  result<void> strike(std::string_view what);
  template <class Append>
  result<void> emit(std::size_t bytes, Append append);
  result<void> check_output(std::size_t more) const;
  result<void> check_frame(std::string_view frame) const;
  std::optional<std::uint32_t> close_request(request_serial request);
  std::optional<request_serial> answer_early(std::uint32_t id, const error& why);
  void append_refusal(std::uint32_t id, const error& failure);
  result<void> ping_when_idle(time_point now);
  void expire_calls(time_point now, link_events& events);
  void expire_requests(time_point now);
  void close_call(std::uint32_t slot, result<std::string_view> outcome, link_events& events);

  link_limits limits_;
  msgpack_scanner scanner_;
  std::string input_;
  std::string output_;
  std::size_t unsent_ = 0;
  std::size_t untaken_ = 0;
  std::vector<call_slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t open_calls_ = 0;
  std::unordered_map<request_serial, served_request> serving_;
  std::unordered_map<std::uint32_t, request_serial>
      answerable_;  ///< Those that wait for an answer, by their ids on the wire.
  std::size_t serving_bytes_ = 0;
  request_serial last_serial_ = 0;
  bool awaiting_opening_ = false;
  std::uint32_t strikes_ = 0;
  time_point message_began_;
  time_point last_ping_;
  std::optional<std::uint32_t> ping_;       ///< The call that is a ping, while it is open.
  std::optional<time_point> silent_since_;  ///< The first ping after which nothing was heard.
  /// Since when nothing was heard although a call had passed its deadline, and with it all calls
  /// made before: however many newer ones there are, the other side hangs.
  std::optional<time_point> unheard_since_;
  std::uint64_t late_replies_ =
      0;  ///< Calls that were given up and whose answers may come yet, or may never.
  time_point last_tick_;
  time_point last_forgiven_;
  std::optional<error> ended_;
};

}  // namespace troupe
