#pragma once

#include <optional>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/messages/context_requests.hpp>

// Reads of a replica, answered from its tree. A tree is a snapshot, so long reads can run on
// another thread.

namespace troupe {

/// One page of the values at and below a path: at most as many as wanted, and as fit into one
/// answer (see `answer_budget`).
///
/// When the root holds a value, the first page has at least two entries. The next page is asked for
/// by the last path of this one, and the root as last path asks for the first page.
/// @param max_visited entries, tombstones included. @returns nothing when they did not suffice.
/// O(log n + visited).
std::optional<value_page> list_page(const context_tree& tree, const conflict_resolution& strategy,
                                    const list_values& wanted, std::size_t max_visited);

/// The part of an engine's state that long reads need.
struct verified_state {
  context_tree tree;
  version_vector vector;
  std::size_t conflicts = 0;
};

/// Recomputes the hash of a subtree and compares it with the incremental one. O(entries).
values_verified verify_subtree(const verified_state& state, const conflict_resolution& strategy,
                               const path& prefix);

}  // namespace troupe
