#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace troupe {

/// Of events that peers can cause without end, the first few of a second are logged one by one, and
/// the others as a number: a log is written by whoever logs, and kept on a disk.
class log_quota {
public:
  static constexpr std::uint64_t per_second = 10;

  /// Counts an event; true when it is to be logged.
  bool take() noexcept { return ++events_ <= per_second; }
  /// A second is over. @returns how many of its events were not logged.
  std::uint64_t next_second() noexcept {
    return std::max(std::exchange(events_, 0), per_second) - per_second;
  }

private:
  std::uint64_t events_ = 0;
};

}  // namespace troupe
