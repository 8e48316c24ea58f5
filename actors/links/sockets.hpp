#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// A place on the network.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
};

/// Parses `host:port` or `[IPv6 address]:port`. The error names what is wrong.
result<endpoint> parse_endpoint(std::string_view text);
/// The text that `parse_endpoint` reads.
std::string to_string(const endpoint& where);

/// True for `localhost` and the addresses that stay on this machine.
bool is_loopback(std::string_view host);

/// Checks whether `listen_unix` could listen here, by the path and the file that is there. Changes
/// nothing.
result<void> check_unix_place(const std::filesystem::path& file);

/// Listens for clients. Replaces a socket file that nothing answers at. One that answers, or a file
/// that is not a socket, is an error. The file gets mode 0600.
result<unique_fd> listen_unix(const std::filesystem::path& file);

/// Listens for peers on a numeric or named address. Port 0 lets the system choose.
result<unique_fd> listen_tcp(const endpoint& where);

/// The address of a listening TCP socket.
result<endpoint> local_endpoint(int socket);

/// Connects, within `deadline`; looking up a name comes on top. Blocks the thread.
result<unique_fd> connect_tcp(const endpoint& where, std::chrono::milliseconds deadline);
/// Connects, within `deadline`. Waits only while many others wait for the listener. Blocks the
/// thread. The socket is a blocking one.
result<unique_fd> connect_unix(const std::filesystem::path& file,
                               std::chrono::milliseconds deadline = std::chrono::milliseconds{
                                   5'000});

/// The operating-system user on the other side of a unix socket.
result<std::uint32_t> peer_user(int socket);

}  // namespace troupe
