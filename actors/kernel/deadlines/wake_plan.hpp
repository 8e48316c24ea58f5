#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace troupe {

/// Decides when the one timer of an actor rings for the earliest of its deadlines.
///
/// The timer never rings before a deadline that it was set for, and at most `interval` after one.
/// It rings at most once per `interval`. A cancelled deadline leaves the timer set: it then rings
/// for nothing, which costs less than setting it anew for each request.
///
/// Pure: the time is an argument.
class wake_plan {
public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds interval{10};

  /// A deadline was added. @returns when the timer must ring instead of when it is set for, or
  /// nothing when it stays as it is.
  std::optional<time_point> added(time_point deadline) {
    if (set_for_ && *set_for_ <= deadline + interval) return std::nullopt;
    return set_for_ = not_too_soon(deadline);
  }

  /// The timer has rung. @param next The earliest deadline that is left. @returns when it must ring
  /// again, or nothing when no deadline is left.
  std::optional<time_point> rang(time_point now, std::optional<time_point> next) {
    rang_ = now;
    set_for_ = next ? std::optional{not_too_soon(*next)} : std::nullopt;
    return set_for_;
  }

private:
  time_point not_too_soon(time_point wanted) const {
    return rang_ ? std::max(wanted, *rang_ + interval) : wanted;
  }

  std::optional<time_point> set_for_;
  std::optional<time_point> rang_;  ///< The last time.
};

}  // namespace troupe
