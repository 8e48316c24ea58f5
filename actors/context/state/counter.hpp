#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/state/tree/sibling.hpp>
#include <troupe/messages/wire/sync.hpp>

// Counters: paths whose number is increased by several nodes at once.
//
// Each incarnation keeps the sum of its own increments at a path in its latest increment there, so
// an increment that comes twice counts once, and none is lost. An increment takes over the sums of
// earlier incarnations of its node; so a path has about one live increment for each node that
// counts. A put or an erasure carries the sums that it saw: what they add up to is what it
// overwrote. Whoever overwrites it carries them on. What readers see is the value that counts among
// the puts and erasures, plus what the increments have added beyond what was overwritten. (A
// state-based counter: Shapiro et al., "A comprehensive study of Convergent and Commutative
// Replicated Data Types", 2011.)
//
// A node that starts often folds the sums of its old incarnations into one, when nobody can have
// more of them: see `fold_counts`.

namespace troupe {

/// What one incarnation has added to a counter, up to one of its changes; or, folded, all that it
/// and the earlier ones of its node have added.
struct counter_part {
  incarnation_id source;
  std::uint64_t seq = 0;  ///< Of its latest increment; 0 when folded.
  std::int64_t amount = 0;

  bool is_folded() const noexcept { return seq == 0; }
  friend bool operator==(const counter_part&, const counter_part&) = default;
};

/// The parts as the bytes of `change_record::counts`: a msgpack array of each origin and an array
/// of its parts in turn. That has the distance to the incarnation before, the seq and the amount in
/// turn. Empty for no parts. O(parts).
/// @param parts as `merged_counts` makes them.
std::string pack_counts(std::span<const counter_part> parts);
/// The parts in such bytes; nothing when the bytes are malformed: not sorted by source, or a folded
/// part that is not the first one of its node. Nor may it be the only one: an incarnation that
/// folds counts, too, and what it counts arrives after all that it has folded. O(bytes).
std::optional<std::vector<counter_part>> unpack_counts(std::string_view counts);

/// Whether one of these writes is an increment. O(siblings).
bool has_increments(std::span<const sibling> siblings) noexcept;
/// Whether two or more writes compete. Increments do not: they add up. O(siblings).
bool is_conflict(std::span<const sibling> siblings) noexcept;

/// Whether a path is a counter, or was one. O(siblings).
bool has_counts(std::span<const sibling> siblings) noexcept;

/// Of each incarnation the latest part that is in no folded one, sorted. O(parts * log parts).
std::vector<counter_part> merged_counts(std::vector<counter_part> parts);
/// All parts in the increments among these writes, merged.
std::vector<counter_part> counted_by(std::span<const sibling> siblings);
/// The same of all writes: what the next write at the path has seen.
std::vector<counter_part> counts_in(std::span<const sibling> siblings);

/// A number plus what was counted beyond what was overwritten; limited to the range of 64 bits.
/// Nothing when it is no integer.
/// @param base nothing: zero. @param overwritten sorted by source. @param counted the same.
std::optional<value> counted_value(const std::optional<value>& base,
                                   std::span<const counter_part> overwritten,
                                   std::span<const counter_part> counted);

/// Folds old parts of one node, merged, so that about `singles` are left that are not.
///
/// Only what has ended where nobody can have more of it: all members have committed the end, or the
/// node has started so often since that more of it counts nowhere (`processed_changes`). A node
/// whose disk was set back may be wrong about that only after `singles` more starts, and only when
/// it has not met a member since that joined later. What it had added before and lost does not
/// count again then. The same holds for the increments of a running node after its copy has folded
/// them. O(parts * log incarnations).
/// @param stable what all members have committed; may be null.
void fold_counts(std::vector<counter_part>& parts, std::size_t singles,
                 const processed_changes& processed, const processed_changes* stable);

}  // namespace troupe
