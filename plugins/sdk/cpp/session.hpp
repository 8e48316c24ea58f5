#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <troupe/messages/error.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>
#include <troupe/messages/wire/rpc.hpp>
#include <troupe/plugins/sdk/cpp/frame_buffer.hpp>

namespace troupe::sdk {

/// A time of the steady clock.
using time_point = std::chrono::steady_clock::time_point;

/// Deadlines and timeouts that are longer count as this long.
inline constexpr std::chrono::milliseconds longest_deadline = std::chrono::hours{24};

/// One request of the node, from its arrival until it is answered.
struct incoming_request {
  std::uint32_t id = 0;
  std::string method;
  std::string params;                  ///< The bytes of the parameter map.
  std::optional<time_point> deadline;  ///< By when the node wants an answer.
  trace_id trace;
  bool cancelled = false;  ///< The node has cancelled it.
};

/// What a session accepts.
struct session_limits {
  codec_limits frames;
  std::size_t queued_requests = 1024;                ///< That wait while another one runs.
  std::size_t queued_bytes = std::size_t{16} << 20;  ///< What those may weigh together.
};

/// A plugin's side of one connection, apart from the socket: bytes that arrived go in by `receive`,
/// bytes to send wait in `outgoing`, requests of the node wait in a queue and are answered one at a
/// time. Pings are answered and cancellations noted at once. Pure; the time is handed in.
class session {
public:
  explicit session(const session_limits& limits = {});

  // What the plugin says. `params` and `payload` are msgpack bytes. All of these fail, and send
  // nothing, with `limit_exceeded` when the frame would be larger or deeper than the limits,
  // `invalid_argument` when it is malformed.

  /// Sends a request and returns the id to ask `take_answer` for.
  result<std::uint32_t> request(std::string_view method, std::string_view params);
  /// Sends a notification.
  result<void> notify(std::string_view method, std::string_view params);
  /// Answers a request with the bytes of its result.
  result<void> respond(std::uint32_t id, std::string_view payload);
  /// Always sends something: when the failure itself cannot travel, one of the same code that says
  /// so.
  void respond_failure(std::uint32_t id, const error& failure);

  /// The answer to a request when it is there: the bytes of the result, or the node's refusal.
  std::optional<result<std::string>> take_answer(std::uint32_t id);
  /// Forgets a request, and cancels it when it has not been answered.
  void abandon(std::uint32_t id);

  /// Takes the oldest request from the queue; null when none waits. It is the running one, and
  /// valid, until this is called again.
  incoming_request* next_request();

  /// Whether the node has asked the plugin to stop. The running request may finish; no further one
  /// comes.
  bool is_stopping() const noexcept { return stopping_; }

  /// Acts on all frames that are complete with these bytes. Fails when the node breaks the
  /// protocol; the session is over then.
  result<void> receive(std::string_view bytes, time_point now);

  /// Bytes to be sent.
  std::string_view outgoing() const noexcept { return std::string_view{outgoing_}.substr(sent_); }
  /// The first `bytes` of `outgoing` have been sent.
  void sent(std::size_t bytes);

private:
  using queue = std::deque<incoming_request>;

  template <class Append>
  result<void> emit(Append append);

  result<void> on_frame(std::string_view bytes, time_point now);
  void on_request(const rpc::request& got, time_point now);
  void on_response(const rpc::response& got);
  void on_notification(const rpc::notification& got);
  result<incoming_request> open_request(const rpc::request& got, time_point now) const;
  result<void> take(std::type_identity<ping>, incoming_request request);
  result<void> take(std::type_identity<start_plugin>, incoming_request request);
  result<void> take(std::type_identity<invoke_command>, incoming_request request);
  result<void> take(std::type_identity<stop_plugin>, incoming_request request);
  result<void> enqueue(incoming_request request);
  void begin_stop();
  void cancel(std::uint32_t id);
  queue::iterator refuse(queue::iterator waiting, const error& failure);

  session_limits limits_;
  frame_buffer arrived_;
  std::string outgoing_;
  std::size_t sent_ = 0;
  std::uint32_t last_id_ = 0;
  std::map<std::uint32_t, std::optional<result<std::string>>>
      asked_;  ///< Requests to the node; answers once here.
  queue queue_;
  std::size_t queued_bytes_ = 0;
  std::optional<incoming_request> running_;
  bool stopping_ = false;
};

}  // namespace troupe::sdk
