#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe::bench {

/// The other side of a connection: a thread that reads, answers and writes until the connection
/// ends.
class echo_peer {
public:
  /// Takes what arrived and was not used yet, appends answers to `out`, and returns how many bytes
  /// it has used.
  using answer_function = std::function<std::size_t(std::string_view arrived, std::string& out)>;

  echo_peer(unique_fd socket, answer_function answer);
  /// Ends the connection and the thread.
  ~echo_peer();
  echo_peer(const echo_peer&) = delete;
  echo_peer& operator=(const echo_peer&) = delete;

private:
  void serve(const answer_function& answer);

  unique_fd socket_;
  std::thread thread_;
};

/// Sends everything back as it came.
std::size_t answer_raw(std::string_view arrived, std::string& out);

/// Answers MessagePack-RPC requests with their first parameter, which must be a string. Reads no
/// more of a message than that needs: the peer is not what is measured. What is not such a request
/// is not answered.
std::size_t answer_rpc(std::string_view arrived, std::string& out);

/// A pair of connected sockets.
result<std::pair<unique_fd, unique_fd>> connected_pair();

}  // namespace troupe::bench
