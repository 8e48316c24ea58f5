#include <troupe/runtime/cli/client.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/links/sockets.hpp>

namespace troupe::cli {

namespace {

using clock = std::chrono::steady_clock;

/// Refuses requests: a node asks a client nothing.
class no_requests : public link_events {
public:
  explicit no_requests(link_session& session) : session_(session) {}
  void on_request(std::uint32_t id, std::string_view method, std::string_view,
                  const rpc::envelope&) override {
    session_.refuse(id,
                    {error_code::not_found, "a client does not serve " + std::string{method}, {}});
  }
  void on_notification(std::string_view, std::string_view) override {}
  void on_cancelled(request_serial) override {}

private:
  link_session& session_;
};

}  // namespace

client::client(unique_fd socket, const link_limits& limits)
    : socket_(std::move(socket)), session_(std::make_unique<link_session>(limits, clock::now())) {}

result<client> client::connect(const std::filesystem::path& data_dir,
                               std::chrono::milliseconds deadline) {
  if (data_dir.empty())
    return fail(error_code::invalid_argument, "the name of the data directory is empty");
  const auto file = data_dir / "troupe.sock";
  const auto until = clock::now() + deadline;
  auto socket = connect_unix(file, deadline);
  if (!socket && socket.error().code == error_code::deadline_exceeded)
    return fail(std::move(socket.error()));
  if (!socket)
    return fail(
        socket.error().code == error_code::invalid_argument ? socket.error().code
                                                            : error_code::unavailable,
        socket.error().message + "; start one with: troupe run --data-dir " + data_dir.native());
  client made{std::move(*socket), link_limits{}};
  session_open opening;
  opening.protocol = {lowest_protocol, highest_protocol};
  opening.kind = session_kind::client;
  opening.name = "cli";
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
  auto answer = made.call(opening, std::max(left, std::chrono::milliseconds{1}));
  if (!answer) return fail(std::move(answer.error()));
  made.node_ = std::move(*answer);
  return made;
}

result<std::string> client::call_bytes(std::string_view method, std::string_view params,
                                       std::chrono::milliseconds deadline) {
  std::optional<result<std::string>> outcome;
  const auto until = clock::now() + deadline;
  auto started = session_->call(method, rpc::with_envelope(params, {deadline, {random_uuid()}}),
                                until, [&](result<std::string_view> answer) {
                                  if (answer)
                                    outcome = std::string{*answer};
                                  else
                                    outcome = fail(std::move(answer.error()));
                                });
  if (!started) return fail(std::move(started.error()));
  while (!outcome) {
    if (auto moved = exchange(until); !moved) {
      no_requests events{*session_};
      session_->end(moved.error(), events);
      break;
    }
  }
  return std::move(*outcome);
}

/// Waits for the socket, at most a second. Sends output and receives what has come.
result<void> client::exchange(link_session::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock::now());
  auto& output = session_->output();
  no_requests events{*session_};
  pollfd waiting{socket_.get(), static_cast<short>(output.empty() ? POLLIN : POLLIN | POLLOUT), 0};
  if (poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count() + 1, 1, 1000))) <
          0 &&
      errno != EINTR)
    return fail(error_code::unavailable,
                std::string{"the connection failed: "} + std::strerror(errno));
  if ((waiting.revents & POLLOUT) != 0) {
    const auto sent =
        send(socket_.get(), output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
      return fail(error_code::unavailable, "the node closed the connection");
    if (sent > 0) output.erase(0, static_cast<std::size_t>(sent));
  }
  if ((waiting.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    std::array<char, 64 * 1024> bytes;
    const auto got = recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
      return fail(error_code::unavailable, "the node closed the connection");
    if (got > 0)
      if (auto taken = session_->receive({bytes.data(), static_cast<std::size_t>(got)},
                                         clock::now(), events);
          !taken)
        return taken;
  }
  return session_->tick(clock::now(), events);
}

}  // namespace troupe::cli
