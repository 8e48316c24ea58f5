#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/links/session/link_session.hpp>
#include <troupe/tests/support/frames.hpp>

namespace troupe::test {

using time_point = link_session::time_point;

/// When every test begins.
inline constexpr time_point start{std::chrono::hours{1}};

/// Remembers what a session hands to its owner.
class recorded_events : public link_events {
public:
  struct request {
    request_serial serial;
    std::string method;
    std::string params;
    rpc::envelope beside;
  };
  struct notification {
    std::string method;
    std::string params;
  };

  void on_request(request_serial serial, std::string_view method, std::string_view params,
                  const rpc::envelope& beside) override {
    requests.push_back({serial, std::string{method}, std::string{params}, beside});
  }
  void on_notification(std::string_view method, std::string_view params) override {
    notifications.push_back({std::string{method}, std::string{params}});
  }

  void on_cancelled(request_serial serial) override { cancelled.push_back(serial); }

  std::vector<request> requests;
  std::vector<notification> notifications;
  std::vector<request_serial> cancelled;
};

/// The outcome of one call, and how often it was told.
struct recorded_outcome {
  std::optional<result<std::string>> outcome;
  int told = 0;

  /// @warning must outlive the session.
  call_completion taker() {
    return [this](result<std::string> got) {
      ++told;
      outcome = std::move(got);
    };
  }
  error_code code() const {
    return outcome && !*outcome ? outcome->error().code : error_code::none;
  }
};

/// Limits with which an idle other side is pinged each second and may be silent for five.
inline link_limits pinging() {
  link_limits limits;
  limits.ping_interval = std::chrono::seconds{1};
  limits.silence = std::chrono::seconds{5};
  return limits;
}

/// A session with its events, at a time that the test moves.
class session_fixture {
public:
  explicit session_fixture(const link_limits& limits = {}) : session(limits, start) {}

  result<void> receive(std::string_view bytes) { return session.receive(bytes, now, events); }
  /// Takes a request, which must be handed to the owner. @returns how it is to be answered.
  request_serial serve(std::uint32_t id, std::string_view params = rpc::no_params) {
    const auto before = events.requests.size();
    if (!receive(request_frame(id, "m", params)) || events.requests.size() != before + 1)
      throw std::runtime_error{"a request was not handed on"};
    return events.requests.back().serial;
  }
  /// Starts a call that has ten seconds.
  result<std::uint32_t> call(recorded_outcome& outcome, std::string_view params = rpc::no_params) {
    return session.call("m", params, now + std::chrono::seconds{10}, outcome.taker());
  }
  result<void> pass(std::chrono::milliseconds time) {
    now += time;
    return session.tick(now, events);
  }
  std::vector<request_serial> end(const error& reason) { return session.end(reason, events); }
  /// Takes what is to be sent.
  std::string sent() { return std::exchange(session.output(), {}); }

  time_point now = start;
  recorded_events events;
  link_session session;
};

}  // namespace troupe::test
