#pragma once

#include <troupe/actors/context/engine.hpp>
#include <troupe/messages/context_requests.hpp>

// What readers ask of a replica, answered from its engine.

namespace troupe {

/// One page of the values at and below a path. O(log n + page).
value_page list_page(const context_engine& engine, const list_values& wanted);

/// The hash of a subtree, computed anew and compared with the one that is kept. O(entries).
values_verified verify_subtree(const context_engine& engine, const path& prefix);

}  // namespace troupe
