#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/actors/context/sync_effects.hpp>
#include <troupe/actors/kernel/rate_window.hpp>

namespace troupe {

/// `"1 change is"`, `"2 changes are"`.
std::string changes_are(std::uint64_t count);

/// Log lines about changes of peers: conflicts, refusals, alarms and losses. Peers can cause them
/// without end, so of each kind a second has few lines and then one with the number of the others.
/// Pure.
class change_reports {
public:
  /// A change has made its path a conflict, or left it one.
  void conflict(const change_record& change, std::vector<sync_effect>& effects);
  /// A change was not taken, or is odd. @param from the node that has sent it; this one, when it
  /// is in its own log.
  void problem(const dot& id, const node_id& from, const apply_outcome& outcome,
               std::vector<sync_effect>& effects);
  /// A transaction is lost. @param last its last change.
  void lost(const dot& last, std::vector<sync_effect>& effects);
  /// A node says so of another one's, and it is not taken.
  void loss_denied(const node_id& by, const node_id& of, std::vector<sync_effect>& effects);
  /// Lets time pass. @param steady_ms see `event_time`
  void tick(std::uint64_t steady_ms, std::vector<sync_effect>& effects);

private:
  static constexpr std::uint64_t max_lines = 10;  // a second, of each kind

  rate_window conflicts_{max_lines}, refusals_{max_lines}, alarms_{max_lines}, losses_{max_lines},
      denials_{max_lines};
  std::uint64_t next_second_ms_ = 0;
};

}  // namespace troupe
