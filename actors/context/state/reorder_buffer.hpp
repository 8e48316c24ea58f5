#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Changes that arrived before an earlier change of their incarnation. Bounded: at the bound a
/// change is not taken, and its sender sends it again later. Pure.
class reorder_buffer {
public:
  enum class outcome { stored, duplicate, different_content, full };

  /// @param max_records at least 1. @param max_bytes approximate memory.
  reorder_buffer(std::size_t max_records, std::size_t max_bytes) noexcept
      : max_records_(max_records), max_bytes_(max_bytes) {}

  /// `different_content`: another change with this dot waits already. Moves from the record only
  /// when it is stored. O(log n).
  outcome put(change_record&& record);
  /// The waiting change with this dot, or null. O(log n).
  const change_record* find(const dot& id) const noexcept;
  /// Removes and returns the waiting change with this dot. O(log n).
  std::optional<change_record> take(const dot& id);
  /// Drops all changes of one incarnation.
  void drop(const incarnation_id& source) noexcept;
  /// The changes missing before and between the waiting ones, given what was processed. O(n).
  std::vector<dot_range> missing(const version_vector& processed) const;

  std::size_t size() const noexcept { return waiting_.size(); }

private:
  std::size_t max_records_, max_bytes_;
  std::size_t bytes_ = 0;
  std::map<dot, change_record> waiting_;
};

}  // namespace troupe
