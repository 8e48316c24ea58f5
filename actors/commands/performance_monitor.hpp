#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/command_index.hpp>
#include <troupe/actors/commands/histogram.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// The last step of a command: how often it ran, how it ended and how long it took. Kept by name,
/// so the numbers of a plugin's command go on when the plugin restarts.
///
/// Memory for a command is taken when its first request finishes and bounded from then on (see
/// `histogram`). Numbers of commands that come after `capacity` others are kept together under the
/// name `other_commands`.
class performance_monitor {
public:
  using nanoseconds = std::chrono::nanoseconds;

  /// Commands with numbers of their own, unless it is told otherwise.
  static constexpr std::size_t default_capacity = 10'000;
  /// Under this name the numbers of all further commands are kept together.
  static constexpr std::string_view other_commands = "(other)";

  /// @param capacity how many commands have numbers of their own.
  explicit performance_monitor(std::size_t capacity = default_capacity) : capacity_(capacity) {}

  /// Counts a finished request that ran for `duration`. O(1) and without allocation after a
  /// command's first requests.
  /// @param name the name that the command of this index has.
  void record_command(command_index index, std::string_view name, nanoseconds duration,
                      command_outcome outcome);
  /// As above where the index is not at hand. O(log commands).
  void record_command(std::string_view name, nanoseconds duration, command_outcome outcome);
  /// Counts a request that ended before it ran (invalid, denied, rejected, cancelled or timed out
  /// while it waited). It has no part in the times.
  void record_unstarted(command_index index, std::string_view name, command_outcome outcome);

  /// Nothing for a command that no request finished for.
  std::optional<command_metrics> get_command_metrics(std::string_view name) const;
  /// In the order of the names.
  std::vector<command_metrics> get_all_command_metrics() const;
  /// Forgets everything.
  void reset_metrics();

private:
  struct record {
    std::array<std::uint64_t, enum_names<command_outcome>::names.size()> outcomes{};
    histogram times;
  };
  struct cached_record {
    std::uint64_t serial = 0;
    record* found = nullptr;
  };

  record& record_of(std::string_view name);
  record& record_of(command_index index, std::string_view name);
  static command_metrics summarised(const std::string& name, const record& numbers);

  std::size_t capacity_;
  std::map<std::string, record, std::less<>> records_;
  std::vector<cached_record> by_slot_;
};

}  // namespace troupe
