#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// When the launcher verifies, looks at and ends the processes of plugins. Pure: time is an
/// argument, and what was seen of a process.
///
/// A process that is to end gets `patience` to end by itself, is asked to end, gets `grace`, and is
/// then ended by force. What could not be ended keeps its place until the next order; its exit is
/// not reported.
class process_watch {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// Between two looks at what one plugin uses.
  static constexpr std::chrono::milliseconds sample_interval{1000};

  /// What to do about a process now.
  enum class duty : std::uint8_t {
    nothing,
    report_exit,  ///< It has ended by itself. Asked for once.
    ask_to_end,   ///< Asked for once.
    reap,         ///< End what is left of it; then call `remove` or `end_failed`.
  };

  // -- packages that are verified before a launch -------------------------------------------------
  /// @returns a number for this verification.
  std::uint64_t begin_verification(const std::string& plugin);
  /// @returns whether the launch still stands: no order to end the plugin and no other launch of it
  /// has come meanwhile.
  bool finish_verification(const std::string& plugin, std::uint64_t number);

  // -- processes ----------------------------------------------------------------------------------
  /// A process has been started for the plugin.
  void add(const std::string& plugin, time_point now);
  /// An order to end the plugin. Cancels its launch if the package is still being verified.
  /// @returns false when it has no process. A process that is being ended already keeps its times.
  bool end(const std::string& plugin, std::chrono::milliseconds patience,
           std::chrono::milliseconds grace, time_point now);
  /// What the launcher saw of a process.
  enum class seen : std::uint8_t { running, exited };
  /// @param what was just seen. @returns what to do about the process now.
  duty observe(const std::string& plugin, seen what, time_point now);
  /// Forgets the process, which has been reaped.
  void remove(const std::string& plugin);
  /// The process could not be ended. It keeps its place until the next order to end it.
  void end_failed(const std::string& plugin);

  /// The plugin whose use is to be compared with its limits now. One at a time, since a look may
  /// read about every process of the machine; call it once each turn.
  std::optional<std::string> next_sample(time_point now);
  /// The plugin uses too much. @returns whether to report it: once for each process.
  bool report_excess(const std::string& plugin);

  bool is_empty() const noexcept { return processes_.empty(); }

private:
  struct process {
    time_point sample_at;
    bool excess_reported = false;
    bool exit_reported = false;
    bool is_ending = false;
    bool is_asked = false;  ///< To end.
    time_point ask_at, force_at;
  };

  std::map<std::string, process> processes_;
  std::map<std::string, std::uint64_t> verifications_;  ///< The latest of each plugin.
  std::uint64_t last_verification_ = 0;
};

}  // namespace troupe
