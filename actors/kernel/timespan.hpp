#pragma once

#include <chrono>

#include <caf/timespan.hpp>

namespace troupe {

/// A duration to wait, from none to a day. CAF reads -1 ns as no bound, and a much longer duration
/// would overflow its nanoseconds, or a point in time that is reckoned from now.
template <class Rep, class Period>
constexpr caf::timespan bounded_timespan(std::chrono::duration<Rep, Period> given) noexcept {
  constexpr std::chrono::hours most{24};
  const std::chrono::duration<double> seconds = given;
  if (!(seconds.count() > 0)) return caf::timespan::zero();
  if (seconds >= most) return most;
  return std::chrono::duration_cast<caf::timespan>(given);
}

}  // namespace troupe
