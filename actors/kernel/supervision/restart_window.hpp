#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace troupe {

/// Bounds restarts: at most `intensity` within any `period` (after Erlang/OTP's supervisors).
/// Remembers at most `intensity` times. Pure: the time is an argument.
class restart_window {
public:
  using time_point = std::chrono::steady_clock::time_point;

  restart_window(std::size_t intensity, std::chrono::milliseconds period)
      : intensity_(intensity), period_(period) {}

  /// Counts a restart, if one more is allowed. @param now Not before that of earlier calls.
  /// @returns false when there were `intensity` restarts within the period that ends now.
  bool admit(time_point now) {
    while (!restarts_.empty() && now - restarts_.front() > period_) restarts_.pop_front();
    if (restarts_.size() >= intensity_) return false;
    restarts_.push_back(now);
    return true;
  }

  /// Forgets all restarts.
  void clear() noexcept { restarts_.clear(); }

  /// Restarts within the period that ended with the latest `admit`.
  std::size_t count() const noexcept { return restarts_.size(); }

private:
  std::size_t intensity_;
  std::chrono::milliseconds period_;
  std::deque<time_point> restarts_;
};

}  // namespace troupe
