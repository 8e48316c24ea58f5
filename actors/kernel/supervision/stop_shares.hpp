#pragma once

#include <chrono>

namespace troupe {

/// Divides the time for a stop among children that stop one after the other.
///
/// Each step of a child (its farewell, then its exit) may take half of the time that is left, so
/// that a child that blocks leaves time to the next ones. A step always gets at least `least`:
/// when no time is left, each child that blocks adds two of them to the stop.
///
/// Pure: the time is an argument.
class stop_shares {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::nanoseconds;
  static constexpr std::chrono::milliseconds least{20};

  explicit stop_shares(time_point stop_by) : stop_by_(stop_by) {}

  /// How long a step that begins now may take. @param most The child's own bound.
  duration share(time_point now, duration most) const;

  /// The time to name to a child whose step may take `share`: less than that, so that the child can
  /// say in time what blocks it.
  static std::chrono::milliseconds announced(duration share);

private:
  time_point stop_by_;
};

}  // namespace troupe
