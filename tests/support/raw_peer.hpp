#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/rpc.hpp>
#include <troupe/plugins/sdk/cpp/frame_buffer.hpp>
#include <troupe/plugins/unique_fd.hpp>
#include <troupe/tests/support/fixtures/actor_fixture.hpp>

namespace troupe::test {

/// Both ends of a stream connection.
struct socket_pair {
  socket_pair() {
    int both[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0)
      throw std::runtime_error{"no socket pair can be made"};
    near.reset(both[0]);
    far.reset(both[1]);
  }
  unique_fd near, far;
};

/// A frame, taken apart.
struct heard_frame {
  enum class kind : std::uint8_t { request, response, notification };
  kind what = kind::request;
  std::uint32_t id = 0;
  std::string method;
  std::string bytes;  ///< Of the parameters or the result.
  error failure;

  template <class T>
  T as() const {
    return decode_checked<T>(bytes).value();
  }
};

/// A program on the other end of a connection, in the hands of the test. Every wait ends after
/// `patience`.
class raw_peer {
public:
  explicit raw_peer(unique_fd socket) : socket_(std::move(socket)) {}

  /// Sends bytes as they are. What the other side no longer takes is dropped.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// @returns the id.
  std::uint32_t request(std::string_view method, std::string_view params = rpc::no_params) {
    std::string bytes;
    rpc::append_request(bytes, ++last_id_, method, params);
    send(bytes);
    return last_id_;
  }
  template <class Params>
  std::uint32_t request_with(std::string_view method, const Params& params) {
    return request(method, encode(params));
  }
  void notify(std::string_view method, std::string_view params = rpc::no_params) {
    std::string bytes;
    rpc::append_notification(bytes, method, params);
    send(bytes);
  }
  void respond(std::uint32_t id, std::string_view payload = rpc::nil) {
    std::string bytes;
    rpc::append_response(bytes, id, payload);
    send(bytes);
  }
  void refuse(std::uint32_t id, const error& why) {
    std::string bytes;
    rpc::append_failure(bytes, id, why);
    send(bytes);
  }

  /// The next frame that `wanted` accepts; others are kept for later. Nothing when the connection
  /// ends first.
  std::optional<heard_frame> next(const std::function<bool(const heard_frame&)>& wanted) {
    for (auto at = kept_.begin(); at != kept_.end(); ++at)
      if (wanted(*at)) {
        auto found = std::move(*at);
        kept_.erase(at);
        return found;
      }
    while (auto frame = read_frame()) {
      if (wanted(*frame)) return frame;
      kept_.push_back(std::move(*frame));
    }
    return std::nullopt;
  }
  /// The next request for this method. @throws std::runtime_error when the connection ends first,
  /// as all that follow.
  heard_frame expect_request(std::string_view method) {
    return expect(
        [&](const auto& f) { return f.what == heard_frame::kind::request && f.method == method; },
        method);
  }
  heard_frame expect_notification(std::string_view method) {
    return expect(
        [&](const auto& f) {
          return f.what == heard_frame::kind::notification && f.method == method;
        },
        method);
  }
  heard_frame expect_response(std::uint32_t id) {
    return expect(
        [&](const auto& f) { return f.what == heard_frame::kind::response && f.id == id; },
        "a response");
  }
  /// Asks and waits for the answer.
  heard_frame call(std::string_view method, std::string_view params = rpc::no_params) {
    return expect_response(request(method, params));
  }
  template <class Params>
  heard_frame call_with(std::string_view method, const Params& params) {
    return call(method, encode(params));
  }
  /// Waits for the other side to close the connection.
  bool sees_the_end() {
    return !next([](const auto&) { return false; }).has_value();
  }
  void close() { socket_.reset(); }
  /// Frames that came before one that was waited for, and were not asked for since.
  std::size_t kept() const { return kept_.size(); }

private:
  heard_frame expect(const std::function<bool(const heard_frame&)>& wanted, std::string_view what) {
    if (auto found = next(wanted)) return std::move(*found);
    throw std::runtime_error{"the connection ended instead of bringing " + std::string{what}};
  }

  std::optional<heard_frame> read_frame() {
    for (;;) {
      const auto bytes = arrived_.next().value();
      if (!bytes.empty()) return taken_apart(bytes);
      pollfd waiting{socket_.get(), POLLIN, 0};
      const int ready =
          ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds{patience}.count()));
      if (ready == 0) throw std::runtime_error{"the other side says nothing"};
      char buffer[64 * 1024];
      const auto got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return std::nullopt;
      arrived_.append({buffer, static_cast<std::size_t>(got)});
    }
  }

  static heard_frame taken_apart(std::string_view bytes) {
    const auto frame = rpc::parse(bytes).value();
    if (const auto* r = std::get_if<rpc::request>(&frame))
      return {
          heard_frame::kind::request, r->id, std::string{r->method}, std::string{r->params}, {}};
    if (const auto* r = std::get_if<rpc::response>(&frame))
      return {heard_frame::kind::response, r->id, {}, std::string{r->payload}, r->failure};
    const auto& n = std::get<rpc::notification>(frame);
    return {heard_frame::kind::notification, 0, std::string{n.method}, std::string{n.params}, {}};
  }

  unique_fd socket_;
  sdk::frame_buffer arrived_;
  std::deque<heard_frame> kept_;
  std::uint32_t last_id_ = 0;
};

}  // namespace troupe::test
