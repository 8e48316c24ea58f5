#pragma once

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Whether this is a path as paths are written.
bool is_path(const std::string& text);

/// Whether both ends of a range are paths, and in order.
bool is_range(const tree_range& range);

/// Count and hash of a range, tombstones included.
struct range_sum {
  std::uint64_t count = 0;
  state_hash hash;
  friend bool operator==(const range_sum&, const range_sum&) = default;
};

/// Of a range in a tree. O(log n). @param from and `to` as in `tree_range`.
range_sum sum_of(const context_tree& tree, const path& from, const path& to);

/// The range, with count and hash in this tree.
tree_range range_in(const context_tree& tree, const path& from, const path& to);

/// Visits the entries of a range in order, until `visit` returns false. O(log n + visited).
void visit_range(const context_tree& tree, const path& from, const path& to,
                 const context_tree::visitor& visit);

}  // namespace troupe
