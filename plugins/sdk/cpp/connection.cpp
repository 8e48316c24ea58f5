#include <troupe/plugins/sdk/cpp/connection.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

namespace troupe::sdk {

namespace {

constexpr std::size_t read_bytes = 64 * 1024;
/// With this much still to be sent nothing more is read, so that a node that does not read cannot
/// fill the memory.
constexpr std::size_t pause_reading_at = std::size_t{8} << 20;
constexpr std::chrono::milliseconds longest_poll = std::chrono::hours{1};

bool would_block(int problem) noexcept {
  return problem == EAGAIN || problem == EWOULDBLOCK || problem == EINTR;
}

int poll_timeout(std::optional<time_point> until, time_point now) {
  if (!until) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(*until - now, time_point::duration::zero()));
  return static_cast<int>(std::min(left, longest_poll).count());
}

/// Why the connection is over.
error lost(int problem) {
  const bool is_closed = problem == EPIPE || problem == ECONNRESET;
  return {error_code::unavailable,
          is_closed ? std::string{"the node closed the connection"}
                    : std::string{"the connection to the node failed: "} + std::strerror(problem),
          {}};
}

error cancelled() { return {error_code::cancelled, "the caller cancelled the command", {}}; }

}  // namespace

connection::connection(unique_fd socket, clock_function clock)
    : socket_(std::move(socket)), clock_(std::move(clock)) {}

result<void> connection::turn(std::optional<time_point> until) {
  if (end_) return fail(*end_);
  const auto unsent = session_.outgoing().size();
  pollfd ready{socket_.get(), 0, 0};
  if (unsent > 0) ready.events |= POLLOUT;
  if (unsent < pause_reading_at) ready.events |= POLLIN;
  // Nothing is ready when the time is up or a signal came; the caller looks again in both cases.
  if (::poll(&ready, 1, poll_timeout(until, now())) <= 0) return {};
  if ((ready.revents & POLLOUT) != 0)
    if (auto written = write_some(); !written) return written;
  if ((ready.revents & ~POLLOUT) != 0)
    return read_some();  // data, the end or an error; reading tells which
  return {};
}

result<void> connection::write_some() {
  const auto bytes = session_.outgoing();
  const auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count >= 0)
    session_.sent(static_cast<std::size_t>(count));
  else if (!would_block(errno))
    return finish(lost(errno));
  return {};
}

result<void> connection::read_some() {
  std::array<char, read_bytes> bytes;
  const auto count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && would_block(errno)) return {};
  if (count <= 0) return finish(lost(count == 0 ? ECONNRESET : errno));
  const auto done = session_.receive({bytes.data(), static_cast<std::size_t>(count)}, now());
  if (done) return {};
  return finish(
      {error_code::protocol_violation, "the node broke the protocol: " + done.error().message, {}});
}

tl::unexpected<error> connection::finish(error why) { return fail(end_.emplace(std::move(why))); }

result<void> connection::drain() {
  while (!session_.outgoing().empty())
    if (auto done = turn(std::nullopt); !done) return done;
  return {};
}

result<std::string> connection::ask(std::string_view method, std::string_view params,
                                    std::chrono::milliseconds timeout,
                                    const incoming_request* caller) {
  const auto begun = now();
  auto limit = begun + std::clamp(timeout, std::chrono::milliseconds{0}, longest_deadline);
  rpc::envelope beside;
  if (caller != nullptr) {
    if (caller->cancelled) return fail(cancelled());
    limit = std::min(limit, caller->deadline.value_or(limit));
    beside.trace = caller->trace;
  }
  if (limit <= begun)
    return fail(error_code::deadline_exceeded,
                "no time is left to ask the node for " + std::string{method});
  beside.deadline = std::chrono::ceil<std::chrono::milliseconds>(limit - begun);
  const auto id = session_.request(method, rpc::with_envelope(params, beside));
  if (!id) return fail(id.error());
  auto answer = wait_for(*id, method, limit, caller);
  session_.abandon(*id);
  return answer;
}

result<std::string> connection::wait_for(std::uint32_t id, std::string_view method,
                                         time_point limit, const incoming_request* caller) {
  while (true) {
    if (auto answer = session_.take_answer(id)) return std::move(*answer);
    if (caller != nullptr && caller->cancelled) return fail(cancelled());
    if (now() >= limit)
      return fail(error_code::deadline_exceeded,
                  "the node did not answer " + std::string{method} + " in time");
    if (auto done = turn(limit); !done) return fail(std::move(done.error()));
  }
}

}  // namespace troupe::sdk
