#pragma once

#include <optional>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/messages/context_requests.hpp>

// What readers ask of a replica, answered from its tree. A tree is a snapshot, so that what takes
// long can be answered on another thread.

namespace troupe {

/// One page of the values at and below a path: as many as asked for, and as fit into one answer
/// (`answer_budget`).
///
/// The first page goes on to a second entry when the root holds a value, even if one was asked for:
/// the page after it is asked for by its last path, and the root as that asks for the first page.
/// @param max_visited tombstones included. @returns nothing when that did not suffice. O(log n +
/// visited).
std::optional<value_page> list_page(const context_tree& tree, const conflict_resolution& strategy,
                                    const list_values& wanted, std::size_t max_visited);

/// What verifying needs of an engine, as of one moment.
struct verified_state {
  context_tree tree;
  version_vector vector;
  std::size_t conflicts = 0;
};

/// The hash of a subtree, computed anew and compared with the one that is kept. O(entries).
values_verified verify_subtree(const verified_state& state, const conflict_resolution& strategy,
                               const path& prefix);

}  // namespace troupe
