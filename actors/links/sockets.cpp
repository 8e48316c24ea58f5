#include <troupe/actors/links/sockets.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr int listen_backlog = 128;
constexpr std::size_t max_host_bytes = 255;  // of a domain name, by RFC 1035
/// For a node that serves a unix socket already.
constexpr std::chrono::milliseconds probe_deadline{500};

tl::unexpected<error> system_failure(error_code code, const std::string& what) {
  return fail(code, what + ": " + std::strerror(errno));
}

const std::string loopback = "127.0.0.1";

using address_list = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

result<address_list> resolve(const endpoint& where, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  // RFC 6761: this name means the loopback, also without a name server.
  const std::string& host = where.host == "localhost" ? loopback : where.host;
  const int outcome = getaddrinfo(host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (outcome != 0)
    return fail(error_code::not_found,
                "the host \"" + where.host + "\" cannot be resolved: " + gai_strerror(outcome));
  return address_list{found, freeaddrinfo};
}

result<sockaddr_un> unix_address(const std::filesystem::path& file) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& text = file.native();
  if (text.size() >= sizeof address.sun_path)
    return fail(error_code::invalid_argument, "the socket path " + text +
                                                  " is too long for the system (" +
                                                  std::to_string(text.size()) + " bytes, at most " +
                                                  std::to_string(sizeof address.sun_path - 1) +
                                                  "); use a shorter data directory");
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

tl::unexpected<error> no_answer(const std::string& where, std::chrono::milliseconds deadline) {
  return fail(error_code::deadline_exceeded,
              where + " did not answer within " + std::to_string(deadline.count()) + " ms");
}

/// Sets how long a blocking socket waits to send, and a unix socket to connect; 0 for no limit.
bool set_send_timeout(int socket, std::chrono::milliseconds time) {
  const timeval wait{time.count() / 1000, time.count() % 1000 * 1000};
  return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0;
}

result<void> wait_connected(int socket, const std::string& where,
                            std::chrono::milliseconds deadline) {
  pollfd waiting{socket, POLLOUT, 0};
  const int ready = poll(&waiting, 1, static_cast<int>(deadline.count()));
  if (ready == 0) return no_answer(where, deadline);
  int problem = 0;
  socklen_t size = sizeof problem;
  if (ready < 0 || getsockopt(socket, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) problem = errno;
  if (problem == 0) return {};
  errno = problem;
  return system_failure(error_code::unavailable, "cannot connect to " + where);
}

}  // namespace

result<endpoint> parse_endpoint(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return fail(error_code::invalid_argument,
                "the address \"" + std::string{utf8_prefix(text, 128)} + "\" " + std::string{why} +
                    "; write it as host:port, such as 127.0.0.1:7400");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed("has no port");
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return malformed("is an IPv6 address without brackets");
  if (host.empty()) return malformed("has no host");
  if (host.size() > max_host_bytes) return malformed("has too long a host");
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  if (std::any_of(host.begin(), host.end(), is_blank))
    return malformed("has a blank or control character in its host");
  unsigned port = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (problem != std::errc{} || end != digits.data() + digits.size() || port > 65535)
    return malformed("has no port from 0 to 65535");
  return endpoint{std::string{host}, static_cast<std::uint16_t>(port)};
}

std::string to_string(const endpoint& where) {
  const bool ipv6 = where.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + where.host + "]" : where.host) + ":" + std::to_string(where.port);
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};
  return inet_pton(AF_INET, std::string{host}.c_str(), &address) == 1 &&
         (ntohl(address.s_addr) >> 24) == 127;
}

result<void> check_unix_place(const std::filesystem::path& file) {
  if (auto address = unix_address(file); !address) return fail(std::move(address.error()));
  std::error_code ignored;
  const auto there = std::filesystem::symlink_status(file, ignored);
  if (std::filesystem::exists(there) && !std::filesystem::is_socket(there))
    return fail(error_code::already_exists,
                file.native() + " is not a socket; move it away or choose another path");
  return {};
}

result<unique_fd> listen_unix(const std::filesystem::path& file) {
  if (auto checked = check_unix_place(file); !checked) return fail(std::move(checked.error()));
  auto address = unix_address(file);
  const auto probe = connect_unix(file, probe_deadline);
  if (probe || probe.error().code == error_code::deadline_exceeded)
    return fail(error_code::already_exists, "another node already serves " + file.native());
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  unique_fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  // Set the mode before clients can connect: bind creates the file, listen lets them in.
  if (!socket ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      chmod(file.c_str(), 0600) != 0 || listen(socket.get(), listen_backlog) != 0)
    return system_failure(error_code::unavailable, "cannot listen on " + file.native());
  return socket;
}

result<unique_fd> listen_tcp(const endpoint& where) {
  auto addresses = resolve(where, AI_PASSIVE);
  if (!addresses) return fail(std::move(addresses.error()));
  errno = EADDRNOTAVAIL;
  for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
    unique_fd socket{::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const int yes = 1;
    if (socket && setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(socket.get(), at->ai_addr, at->ai_addrlen) == 0 &&
        listen(socket.get(), listen_backlog) == 0)
      return socket;
  }
  return system_failure(error_code::unavailable, "cannot listen on " + to_string(where));
}

result<endpoint> local_endpoint(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return system_failure(error_code::unavailable, "the address of a socket cannot be read");
  return endpoint{host, static_cast<std::uint16_t>(std::stoi(port))};
}

result<unique_fd> connect_tcp(const endpoint& where, std::chrono::milliseconds deadline) {
  auto addresses = resolve(where, 0);
  if (!addresses) return fail(std::move(addresses.error()));
  const auto give_up = std::chrono::steady_clock::now() + deadline;
  error last{error_code::unavailable, "cannot connect to " + to_string(where), {}};
  for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
    unique_fd socket{::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) continue;
    const int yes = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    if (connect(socket.get(), at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
      last =
          system_failure(error_code::unavailable, "cannot connect to " + to_string(where)).value();
      continue;
    }
    auto connected = wait_connected(socket.get(), to_string(where), left);
    if (connected) return socket;
    last = std::move(connected.error());
  }
  return fail(std::move(last));
}

result<unique_fd> connect_unix(const std::filesystem::path& file,
                               std::chrono::milliseconds deadline) {
  auto address = unix_address(file);
  if (!address) return fail(std::move(address.error()));
  unique_fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // A connect that does not block would fail at once while others wait for the listener.
  const auto most = std::max(deadline, std::chrono::milliseconds{1});
  if (!socket || !set_send_timeout(socket.get(), most) ||
      connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return errno == EAGAIN
               ? no_answer("the node on " + file.native(), most)
               : system_failure(error_code::unavailable, "no node answers on " + file.native());
  set_send_timeout(socket.get(), std::chrono::milliseconds{0});
  return socket;
}

result<std::uint32_t> peer_user(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return system_failure(error_code::permission_denied,
                          "the user of a client cannot be determined");
  return credentials.uid;
}

}  // namespace troupe
