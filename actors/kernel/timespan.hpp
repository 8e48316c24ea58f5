#pragma once

#include <chrono>

#include <caf/timespan.hpp>

namespace troupe {

/// A time to wait as CAF takes it: at least none and at most a day. CAF takes -1 ns for no bound at
/// all, and what is much longer would overflow its nanoseconds, or a point in time that is counted
/// from now on.
template <class Rep, class Period>
constexpr caf::timespan bounded_timespan(std::chrono::duration<Rep, Period> given) noexcept {
  constexpr std::chrono::hours most{24};
  const std::chrono::duration<double> seconds = given;
  if (!(seconds.count() > 0)) return caf::timespan::zero();
  if (seconds >= most) return most;
  return std::chrono::duration_cast<caf::timespan>(given);
}

}  // namespace troupe
