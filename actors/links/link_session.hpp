#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/limits.hpp>
#include <troupe/messages/msgpack_scanner.hpp>
#include <troupe/messages/rpc.hpp>

namespace troupe {

/// The bounds of one link. What happens at each is said with it.
struct link_limits {
  codec_limits codec;                                     ///< Passed by the other side: the link ends.
  std::uint32_t in_flight = 1024;                         ///< Calls per side. Ours: refused as `overloaded`; theirs: the link ends.
  std::size_t output_bytes = std::size_t{16} << 20;       ///< Not taken by the other side yet: calls are refused, replies become errors.
  std::size_t untaken_bytes = std::size_t{8} << 20;       ///< Of notices that this side has not dealt with: no more is read.
  std::uint32_t strikes = 64;                             ///< Unknown, double or late replies; one is forgiven each second. More: the link ends.
  std::chrono::milliseconds half_frame{10'000};           ///< A message that has begun must end within this, or the link ends.
  std::chrono::milliseconds default_deadline{30'000};     ///< Of a request that names none.
  std::chrono::milliseconds max_deadline{86'400'000};     ///< A longer one is shortened to this.
  std::chrono::milliseconds ping_interval{0};             ///< How often to ping an idle other side; 0 for never.
  std::chrono::milliseconds silence{5'000};               ///< Nothing heard for this long after a ping, and no call open: the link ends.
};

/// What a session hands to its owner as it reads. The views are valid during the call only.
class link_events {
public:
  virtual ~link_events() = default;
  /// A request that must be answered with `respond` or `refuse`.
  virtual void on_request(std::uint32_t id, std::string_view method, std::string_view params,
                          const rpc::envelope& beside) = 0;
  virtual void on_notification(std::string_view method, std::string_view params) = 0;
};

/// One side of a connection that speaks MessagePack-RPC: bytes in, events out, bytes out. Knows no socket, actor or clock.
///
/// It enforces every bound of `link_limits`, matches replies to calls, times calls out, answers pings and sends its own.
/// Whatever returns an error here means that the link has to end with that error; call `end` then, which fails the calls
/// that are still open.
class link_session {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// Told the outcome of a call exactly once: the bytes of the result or an error.
  using completion = std::function<void(result<std::string_view>)>;

  link_session(const link_limits& limits, time_point now);
  link_session(const link_session&) = delete;
  link_session& operator=(const link_session&) = delete;

  /// Takes bytes that arrived, as they arrived.
  result<void> receive(std::string_view bytes, time_point now, link_events& events);

  /// Starts a call. @param params The bytes of a parameter map. @param deadline When to give up; the completion is then told
  /// `deadline_exceeded` and the other side `cancel`.
  /// Fails without calling `done` when a bound is reached or the session has ended.
  result<std::uint32_t> call(std::string_view method, std::string_view params, time_point deadline, completion done);

  /// Fails when the output bound is reached.
  result<void> notify(std::string_view method, std::string_view params);

  /// Answers a request. False when there is no such request any more, which is the case after its cancellation.
  bool respond(std::uint32_t id, std::string_view payload);
  bool refuse(std::uint32_t id, const error& failure);

  /// Lets time pass: calls expire, half messages and silence are noticed, pings are sent. At least every 50 ms while
  /// `calls_in_flight() > 0`, every second otherwise.
  result<void> tick(time_point now);

  /// Fails every open call with `reason`, and every later one.
  void end(const error& reason);

  /// Bytes to send. The owner takes and clears them.
  std::string& output() noexcept { return output_; }
  /// The owner tells how many bytes of earlier output the other side has not taken yet.
  void set_unsent(std::size_t bytes) noexcept { unsent_ = bytes; }
  /// The owner tells of the bytes of notices that were handed to it and that it has not dealt with yet.
  void add_untaken(std::size_t bytes) noexcept { untaken_ += bytes; }
  void remove_untaken(std::size_t bytes) noexcept { untaken_ -= bytes; }
  /// True while the owner must not read: the other side does not take what it asked for, or this side does not keep up with
  /// its notices.
  bool reading_paused() const noexcept {
    return unsent_ + output_.size() > limits_.output_bytes / 2 || untaken_ > limits_.untaken_bytes;
  }

  std::size_t calls_in_flight() const noexcept { return open_calls_; }
  std::size_t requests_in_flight() const noexcept { return serving_.size(); }
  std::uint32_t strikes() const noexcept { return strikes_; }

private:
  /// A place for one call of ours. The id on the wire holds the slot's index and how often it was used, so a late reply
  /// is told from a reply to the call that has the slot now.
  struct call_slot {
    std::uint32_t use = 0;
    bool open = false;
    time_point deadline;
    completion done;
  };

  result<void> receive_frame(std::string_view frame, time_point now, link_events& events);
  result<void> receive_request(const rpc::request& request, link_events& events);
  result<void> receive_response(const rpc::response& response);
  result<void> receive_notification(const rpc::notification& notice, link_events& events);
  result<void> strike(std::string_view what);
  result<void> check_output(std::size_t more) const;
  result<void> ping_when_idle(time_point now);
  void expire_calls(time_point now);
  completion close_call(std::uint32_t slot);

  link_limits limits_;
  msgpack_scanner scanner_;
  std::string input_;
  std::string output_;
  std::size_t unsent_ = 0;
  std::size_t untaken_ = 0;
  std::vector<call_slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t open_calls_ = 0;
  std::unordered_set<std::uint32_t> serving_;
  std::uint32_t strikes_ = 0;
  time_point message_began_;
  time_point last_ping_;
  bool pinging_ = false;
  std::optional<time_point> silent_since_;  ///< The first ping after which nothing was heard.
  time_point last_forgiven_;
  std::optional<error> ended_;
};

}  // namespace troupe
