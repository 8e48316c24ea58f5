#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <troupe/actors/links/session/link_session.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe::cli {

/// A connection to a node over the unix socket in its data directory. Makes one request at a time.
/// Blocks. For one thread.
class client {
public:
  /// Connects and opens a session. The error names the socket and says what to do.
  static result<client> connect(const std::filesystem::path& data_dir,
                                std::chrono::milliseconds deadline);

  /// Calls the method of the request and waits for its answer.
  template <request_message Request>
  result<typename Request::answer> call(const Request& wanted, std::chrono::milliseconds deadline) {
    using answer = typename Request::answer;
    auto bytes = call_bytes(Request::method, encode(wanted), deadline);
    if (!bytes) return fail(std::move(bytes.error()));
    if constexpr (std::is_void_v<answer>)
      return {};
    else
      return decode_checked<answer>(*bytes);
  }

  /// The node on the other side.
  const session_accepted& node() const noexcept { return node_; }

private:
  client(unique_fd socket, const link_limits& limits);

  result<std::string> call_bytes(std::string_view method, std::string_view params,
                                 std::chrono::milliseconds deadline);
  result<void> exchange(link_session::time_point until);

  unique_fd socket_;
  std::unique_ptr<link_session> session_;
  session_accepted node_;
};

}  // namespace troupe::cli
