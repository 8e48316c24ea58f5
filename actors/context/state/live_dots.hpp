#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <troupe/actors/context/state/tree.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The content hash of every live sibling by its dot. It distinguishes a harmless duplicate from
/// two changes under one dot. 16 to 32 bytes per sibling. Overwritten siblings are forgotten. Pure.
class live_dots {
public:
  live_dots() = default;
  /// For all siblings of a tree. O(n log n).
  explicit live_dots(const context_tree& tree);

  /// The content of the live sibling with this dot, or nothing. O(log n).
  std::optional<std::uint64_t> content(const dot& id) const noexcept;
  /// Adds a dot later than every dot of its incarnation that was added before. Amortised O(1).
  void add(const dot& id, std::uint64_t content);
  /// Forgets a dot. Amortised O(log n).
  void remove(const dot& id) noexcept;

private:
  struct slot {
    std::uint64_t seq;
    std::uint64_t content;
    bool operator<(std::uint64_t other) const noexcept { return seq < other; }
  };
  /// Sorted by `seq`. Removed slots stay, marked, until they outnumber the rest.
  struct incarnation_slots {
    std::vector<slot> slots;
    std::size_t removed = 0;
  };
  static constexpr std::uint64_t removed_mark = 0;

  std::map<incarnation_id, incarnation_slots> incarnations_;
};

}  // namespace troupe
