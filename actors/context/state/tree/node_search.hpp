#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/actors/context/state/tree/packed_leaf.hpp>
#include <troupe/actors/context/state/tree/tree_node.hpp>

// What reading and changing a `context_tree` have in common.

namespace troupe {

inline const packed_leaf& leaf_of(const tree_node& node) noexcept {
  return static_cast<const packed_leaf&>(node);
}
inline const inner_node& inner_of(const tree_node& node) noexcept {
  return static_cast<const inner_node&>(node);
}

/// The child in which a bound lies. The first child has no lower bound of its own.
inline std::size_t child_at(const inner_node& inner, const tree_bound& bound) noexcept {
  const auto end =
      std::partition_point(inner.children.begin() + 1, inner.children.end(),
                           [&](const tree_child& child) { return bound.is_behind(child.low); });
  return static_cast<std::size_t>(end - inner.children.begin()) - 1;
}

/// The child that holds a key, if any does.
inline std::size_t child_for(const inner_node& inner, std::string_view key) noexcept {
  return inner.index.find(inner.children, key);
}

/// Calls `visit` with the entries of a leaf from `from` up to `to` until it returns false.
/// @returns whether it went to the end.
template <class Visit>
bool visit_entries(const packed_leaf& leaf, std::size_t from, std::size_t to, const Visit& visit) {
  std::string key;
  tree_entry entry;
  for (auto at = from; at < to; ++at) {
    leaf.read_key(at, key);
    leaf.read(at, key, entry);
    if (!visit(std::as_const(entry))) return false;
  }
  return true;
}

/// Count and hash of one entry.
inline tree_summary summary_of(const tree_entry& entry) {
  return tree_summary::of(entry.path(), entry.siblings());
}

/// Count and hash of the first entries of a leaf.
inline tree_summary summary_of_first(const packed_leaf& leaf, std::size_t entries) {
  tree_summary total;
  visit_entries(leaf, 0, entries, [&](const tree_entry& entry) {
    total += summary_of(entry);
    return true;
  });
  return total;
}

}  // namespace troupe
