#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace troupe {

/// Bounds the log lines for an event that peers can cause without end. The first few events of a
/// second are logged one by one, the others as a number.
class log_quota {
public:
  static constexpr std::uint64_t per_second = 10;

  /// Counts an event. @returns whether to log it.
  bool take() noexcept { return ++events_ <= per_second; }
  /// Ends a second. @returns how many of its events were not logged.
  std::uint64_t next_second() noexcept {
    return std::max(std::exchange(events_, 0), per_second) - per_second;
  }

private:
  std::uint64_t events_ = 0;
};

}  // namespace troupe
