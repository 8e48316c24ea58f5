#pragma once

#include <algorithm>
#include <cstdint>

#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The incarnation that made a change.
inline incarnation_id incarnation_of(const dot& id) noexcept { return {id.origin, id.incarnation}; }
/// The incarnation that made these changes.
inline incarnation_id incarnation_of(const dot_range& range) noexcept {
  return {range.origin, range.incarnation};
}
/// The incarnation that an entry of a vector counts.
inline incarnation_id incarnation_of(const version_entry& entry) noexcept {
  return {entry.origin, entry.incarnation};
}

/// How far a vector has come with an incarnation; 0 when it does not know it.
inline std::uint64_t seq_at(const version_vector& vector, const incarnation_id& source) noexcept {
  return vector.at(source.origin, source.incarnation);
}

/// Whether a vector has an entry for a later incarnation of a node.
inline bool has_later(const version_vector& vector, const incarnation_id& source) noexcept {
  const auto known = vector.of(source.origin);
  return !known.empty() && known.back().incarnation > source.incarnation;
}

/// Whether who says to have `vector` may have all of these: a vector leaves out the incarnations
/// that have ended, so one with a later incarnation may cover all earlier ones.
inline bool may_cover(const version_vector& vector, const version_vector& wanted) noexcept {
  return std::ranges::all_of(wanted.entries(), [&](const version_entry& each) {
    const auto of_node = vector.of(each.origin);
    return seq_at(vector, incarnation_of(each)) >= each.seq ||
           (!of_node.empty() && of_node.back().incarnation > each.incarnation);
  });
}

}  // namespace troupe
