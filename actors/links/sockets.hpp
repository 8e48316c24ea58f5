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
std::string to_string(const endpoint& where);

/// True for `localhost` and the addresses that stay on this machine.
bool is_loopback(std::string_view host);

/// Whether `listen_unix` could listen here, as far as the path itself and what is there tell.
/// Changes nothing.
result<void> check_unix_place(const std::filesystem::path& file);

/// Listens for clients. A socket file whose owner is gone is replaced; one that answers, or a file
/// that is no socket, is an error. The file gets mode 0600.
result<unique_fd> listen_unix(const std::filesystem::path& file);

/// Listens for peers on a numeric or named address. Port 0 lets the system choose.
result<unique_fd> listen_tcp(const endpoint& where);

/// Where a listening TCP socket listens.
result<endpoint> local_endpoint(int socket);

/// Connects; waits at most `deadline`, which for a name comes on top of looking it up. Blocks, so
/// it belongs on a thread that may.
result<unique_fd> connect_tcp(const endpoint& where, std::chrono::milliseconds deadline);
/// The same. Who listens answers at once unless many are waiting for it already. The socket is a
/// blocking one.
result<unique_fd> connect_unix(const std::filesystem::path& file,
                               std::chrono::milliseconds deadline = std::chrono::milliseconds{
                                   5'000});

/// The operating-system user on the other side of a unix socket.
result<std::uint32_t> peer_user(int socket);

}  // namespace troupe
