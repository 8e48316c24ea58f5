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

/// The last step of a command: counts its outcomes and measures its durations. Numbers are kept by
/// name, so those of a plugin's command go on when the plugin restarts.
///
/// A command takes memory from its first finished request on, bounded by `histogram`. The commands
/// beyond the first `capacity` are counted together, under the name `other_commands`.
class performance_monitor {
public:
  using nanoseconds = std::chrono::nanoseconds;

  /// The default capacity.
  static constexpr std::size_t default_capacity = 10'000;
  /// The name for all commands beyond the capacity.
  static constexpr std::string_view other_commands = "(other)";

  /// @param capacity commands with numbers of their own.
  explicit performance_monitor(std::size_t capacity = default_capacity) : capacity_(capacity) {}

  /// Counts a request that ran for `duration`, until its caller was answered. O(1) and without
  /// allocation after a command's first requests.
  /// @param name of the command with this index.
  void record_command(command_index index, std::string_view name, nanoseconds duration,
                      command_outcome outcome);
  /// As above, without the index. O(log commands).
  void record_command(std::string_view name, nanoseconds duration, command_outcome outcome);
  /// Counts a request that never ran: invalid, denied, rejected, or cancelled or timed out while it
  /// waited. It has no duration.
  void record_unstarted(command_index index, std::string_view name, command_outcome outcome);

  /// Nothing for a command without finished requests.
  std::optional<command_metrics> get_command_metrics(std::string_view name) const;
  /// Sorted by name.
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
