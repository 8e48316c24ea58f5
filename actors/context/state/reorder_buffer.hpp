#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Changes that arrived before others that they need: an earlier one of their incarnation, or one
/// that they overwrote. Bounded: at the bound a change is not taken, and its sender sends it again
/// later. A sender that has less than an equal share still has room then, so nobody keeps out
/// others, whichever origins it invents; all together may take a few times the bound. Pure.
class reorder_buffer {
public:
  enum class outcome { stored, duplicate, different_content, full };
  struct waiting {
    change_record record;
    node_id from;  ///< Who has sent it.
  };

  /// @param max_records at least 1. @param max_bytes approximate memory.
  reorder_buffer(std::size_t max_records, std::size_t max_bytes) noexcept
      : max_records_(max_records), max_bytes_(max_bytes) {}

  /// `different_content`: another change with this dot waits already. Moves from the record only
  /// when it is stored. @param from the sender. O(log n).
  outcome put(change_record&& record, const node_id& from);
  /// The waiting change with this dot, or null. O(log n).
  const change_record* find(const dot& id) const noexcept;
  /// Removes and returns the waiting change with this dot. O(log n).
  std::optional<waiting> take(const dot& id);
  /// Drops the changes of a node that are there already. O(changes of the node).
  void drop_of(const node_id& origin, const processed_changes& processed) noexcept;
  /// Drops all changes of a node. O(those).
  void drop_of(const node_id& origin) noexcept;
  void drop_all() noexcept;
  /// Drops what a sender has sent. O(n), or O(1) when that is nothing.
  void drop_from(const node_id& sender) noexcept;
  /// The changes missing before and between the waiting ones, given what was processed. O(n).
  std::vector<dot_range> missing(const processed_changes& processed) const;

  /// The incarnations of which changes wait, sorted. O(n).
  std::vector<incarnation_id> sources() const;

  std::size_t size() const noexcept { return waiting_.size(); }

private:
  struct amount {
    std::size_t records = 0, bytes = 0;
  };
  using all_waiting = std::map<dot, waiting>;

  bool has_room(const node_id& from, std::size_t bytes) const noexcept;
  void count_out(const waiting& each) noexcept;
  all_waiting::iterator drop(all_waiting::iterator at) noexcept;

  std::size_t max_records_, max_bytes_;
  std::size_t bytes_ = 0;
  std::map<node_id, amount> of_sender_;
  all_waiting waiting_;
};

}  // namespace troupe
