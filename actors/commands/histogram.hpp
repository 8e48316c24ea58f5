#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace troupe {

/// Counts durations and estimates their quantiles with a relative error of at most 1.6 %, in
/// bounded memory and O(1) for each duration.
///
/// Log-linear: every power of two of nanoseconds is divided into 32 equal parts (the scheme of
/// HdrHistogram). Counts below 64 ns are exact. Durations above `longest` (39 hours) count as that
/// long. Each power of two takes 256 bytes from its first duration on: durations from 1 µs to 1 ms
/// take about 3 KiB, all durations at most 12 KiB.
class histogram {
public:
  using nanoseconds = std::chrono::nanoseconds;

  /// Longer durations count as this long.
  static constexpr nanoseconds longest{(std::int64_t{1} << 47) - 1};

  /// Counts one duration. A negative one counts as 0. Allocates only for the first duration of its
  /// power of two.
  void record(nanoseconds duration);

  /// The number of recorded durations.
  std::uint64_t count() const noexcept { return count_; }
  /// The sum of all durations; 0 without any. Exact, as are `shortest_seen` and `longest_seen`.
  nanoseconds total() const noexcept { return total_; }
  /// The shortest duration; 0 without any.
  nanoseconds shortest_seen() const noexcept { return shortest_; }
  /// The longest duration; 0 without any.
  nanoseconds longest_seen() const noexcept { return longest_; }

  /// The duration that a share `q` (0 to 1, clamped) of all durations does not exceed; 0 without
  /// any. O(buckets).
  nanoseconds quantile(double q) const noexcept;

private:
  static constexpr std::size_t parts_bits = 5;
  static constexpr std::size_t parts = std::size_t{1} << parts_bits;
  /// Group 0 holds 0 to 31 ns. Group g, from 1 on, holds 2^(g+4) to 2^(g+5) - 1 ns.
  static constexpr std::size_t groups = 47 - parts_bits + 1;
  using group = std::array<std::uint64_t, parts>;

  static std::uint64_t middle_of(std::size_t group_number, std::size_t part) noexcept;

  std::array<std::unique_ptr<group>, groups> groups_;
  std::uint64_t count_ = 0;
  nanoseconds total_{0};
  nanoseconds shortest_{0};
  nanoseconds longest_{0};
};

}  // namespace troupe
