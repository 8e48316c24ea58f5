#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Cuts the output of a plugin into lines for the log. Bounds their length, and their number in a
/// second.
class output_lines {
public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t max_line_bytes = 4096;
  static constexpr std::uint32_t max_lines_per_second = 100;
  static constexpr std::size_t max_last_lines = 3;
  static constexpr std::size_t max_last_bytes = 512;

  /// Takes bytes as they arrive; returns the lines to log. A longer line is cut into pieces of
  /// `max_line_bytes`.
  std::vector<std::string> take(std::string_view bytes, time_point now);
  /// The beginning of a line that never ended.
  std::vector<std::string> finish();
  /// The end of the output, logged or not: at most `max_last_lines` lines that are not blank,
  /// without indentation, joined with "; ", of which the last `max_last_bytes` are kept.
  std::string last() const;
  /// The number of lines beyond the rate since the last call.
  std::uint64_t take_dropped() noexcept;

private:
  void emit(std::vector<std::string>& lines, time_point now);

  std::string partial_;
  std::deque<std::string> last_;  ///< Whole lines; `max_last_lines` of `max_last_bytes` each.
  time_point second_{};
  std::uint32_t this_second_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace troupe
