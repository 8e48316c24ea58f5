#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include <troupe/actors/links/session/link_limits.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// Tells whether the other side of a link is alive: it must finish the messages that it begins,
/// answer pings while it is idle, and give a sign of life after a call has passed its deadline.
class liveness {
public:
  using time_point = std::chrono::steady_clock::time_point;

  liveness(const link_limits& limits, time_point now);

  /// The other side gave a sign of life, or this side did not listen.
  void hear() noexcept {
    silent_since_.reset();
    unheard_since_.reset();
  }
  /// A message may begin now: the one before it has ended, or this side did not read.
  void restart_message(time_point now) noexcept { message_began_ = now; }
  /// Time passes. After more than two seconds without a call this side was held up, and the other
  /// one gets all its time again.
  void pass(time_point now) noexcept;
  /// A call has passed its deadline, and with it all calls made before: however many newer ones
  /// there are, the other side hangs. @param busy_until It may be busy until then with a call that
  /// it was given before.
  void expect_sign(time_point busy_until) noexcept;

  /// Fails when a message has begun too long ago. @param pending Its bytes that arrived.
  result<void> check_message(time_point now, std::size_t pending) const;
  /// Fails when the other side has been silent for too long. @param has_calls Calls of this side
  /// wait for their answers. Their deadlines tell when the other side has been silent for too long.
  /// @returns whether to ping now.
  result<bool> check_silence(time_point now, bool has_calls);

private:
  std::chrono::milliseconds half_frame_;
  std::chrono::milliseconds ping_interval_;
  std::chrono::milliseconds silence_;
  time_point message_began_;
  time_point last_ping_;
  time_point last_pass_;
  std::optional<time_point> silent_since_;   ///< The first ping after which nothing was heard.
  std::optional<time_point> unheard_since_;  ///< Nothing was heard although a call is overdue.
};

}  // namespace troupe
