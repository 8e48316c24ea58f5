#include <troupe/bench/echo_peer.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>

namespace troupe::bench {

namespace {

bool write_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// Reads `[0, msgid, method, [{name: text, ...}]]`; gives nothing when it has not arrived in full.
bool answer_request(msgpack_reader& in, std::string& out) {
  if (!in.read_array() || !in.read_unsigned()) return false;
  const auto id = in.read_unsigned();
  if (!id || !in.read_string() || !in.read_array()) return false;
  const auto parameters = in.read_map();
  if (!parameters || !in.read_string()) return false;
  const auto text = in.read_string();
  if (!text) return false;
  for (std::uint32_t rest = 2 * (*parameters - 1); rest > 0; --rest)
    if (!in.skip()) return false;
  msgpack_writer answer{out};
  answer.array(4);
  answer.unsigned_integer(1);
  answer.unsigned_integer(*id);
  answer.nil();
  answer.string(*text);
  return true;
}

}  // namespace

echo_peer::echo_peer(unique_fd socket, answer_function answer)
    : socket_(std::move(socket)), thread_([this, answer = std::move(answer)] { serve(answer); }) {}

echo_peer::~echo_peer() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  thread_.join();
}

void echo_peer::serve(const answer_function& answer) {
  std::array<char, 64 * 1024> space;
  std::string arrived, out;
  while (true) {
    const ssize_t count = ::read(socket_.get(), space.data(), space.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    arrived.append(space.data(), static_cast<std::size_t>(count));
    arrived.erase(0, answer(arrived, out));
    if (!write_all(socket_.get(), out)) return;
    out.clear();
  }
}

std::size_t answer_raw(std::string_view arrived, std::string& out) {
  out.append(arrived);
  return arrived.size();
}

std::size_t answer_rpc(std::string_view arrived, std::string& out) {
  msgpack_reader in{arrived};
  std::size_t used = 0;
  while (answer_request(in, out)) used = in.position();
  return used;
}

result<std::pair<unique_fd, unique_fd>> connected_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(error_code::unavailable,
                std::string{"no pair of sockets can be had: "} + std::strerror(errno));
  return std::pair{unique_fd{ends[0]}, unique_fd{ends[1]}};
}

}  // namespace troupe::bench
