#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Cuts what a plugin prints into lines for the log, at most so many a second and at most so long.
class output_lines {
public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::size_t max_line_bytes = 4096;
  static constexpr std::uint32_t max_lines_per_second = 100;
  static constexpr std::size_t max_last_lines = 3;
  static constexpr std::size_t max_last_bytes = 512;

  /// Takes bytes as they come; returns the lines to log. A longer line is cut into pieces of
  /// `max_line_bytes`.
  std::vector<std::string> take(std::string_view bytes, time_point now);
  /// The beginning of a line that never ended.
  std::vector<std::string> finish();
  /// The end of what was printed, logged or not: at most `max_last_lines` lines that are not blank,
  /// without what they are indented by, in one with "; " between them, and of that at most the last
  /// `max_last_bytes`.
  std::string last() const;
  /// Lines beyond the rate since this was last asked.
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
