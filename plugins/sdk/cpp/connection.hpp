#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>
#include <troupe/plugins/sdk/cpp/session.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe::sdk {

/// Tells the time. Tests stop it.
using clock_function = std::function<time_point()>;

/// A session on its socket: moves bytes both ways and waits, for the plugin's only thread.
///
/// Once an operation has failed with `unavailable` (the node closed the socket, or the system lost
/// it) or `protocol_violation` (it sent what it may not), the connection is over and every further
/// operation fails the same way.
class connection {
public:
  /// @param socket A connected stream socket; blocking or not makes no difference.
  connection(unique_fd socket, clock_function clock);

  sdk::session& session() noexcept { return session_; }
  time_point now() const { return clock_(); }
  /// Why the connection is over, or nothing.
  const std::optional<error>& end() const noexcept { return end_; }

  /// Sends and receives what it can; when it can do neither, waits until then, or for ever.
  result<void> turn(std::optional<time_point> until);
  /// Returns when everything to send is sent.
  result<void> drain();

  /// Asks the node and waits for the answer, at most for `timeout` (a day when longer) and at most
  /// until the caller's deadline.
  /// @param params A msgpack map; `deadline_ms` and `trace` are added.
  /// @param caller The request on whose behalf this is asked, or null. It must be the running one.
  /// Fails with the node's refusal, `deadline_exceeded`, or `cancelled` when the caller was.
  result<std::string> ask(std::string_view method, std::string_view params,
                          std::chrono::milliseconds timeout, const incoming_request* caller);
  /// As `ask`, for a message. A malformed answer fails with `internal`.
  template <request_message Request>
  result<typename Request::answer> call(const Request& wanted, std::chrono::milliseconds timeout,
                                        const incoming_request* caller);

private:
  result<void> write_some();
  result<void> read_some();
  result<std::string> wait_for(std::uint32_t id, std::string_view method, time_point limit,
                               const incoming_request* caller);
  tl::unexpected<error> finish(error why);

  unique_fd socket_;
  clock_function clock_;
  sdk::session session_;
  std::optional<error> end_;
};

template <request_message Request>
result<typename Request::answer> connection::call(const Request& wanted,
                                                  std::chrono::milliseconds timeout,
                                                  const incoming_request* caller) {
  auto answer = ask(Request::method, encode(wanted), timeout, caller);
  if (!answer) return fail(std::move(answer.error()));
  auto reply = decode_checked<typename Request::answer>(*answer);
  if (!reply)
    return fail(error_code::internal, "the node's answer to " + std::string{Request::method} +
                                          ": " + reply.error().message);
  return reply;
}

}  // namespace troupe::sdk
