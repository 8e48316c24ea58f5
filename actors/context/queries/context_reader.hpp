#pragma once

#include <memory>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/context/queries/value_queries.hpp>

namespace troupe {

/// Answers one long read from a snapshot of the context, so that the replica stays free. Then it
/// ends.
using context_reader_actor = caf::typed_actor<
    // O(entries).
    caf::result<values_verified>(verify_values),
    // O(log n + visited), tombstones included.
    caf::result<value_page>(list_values)>;

/// Starts a reader. It ends by itself after one answer. Never fails.
/// @param state A snapshot. @param strategy Decides between siblings; not null.
context_reader_actor spawn_context_reader(caf::actor_system& system, verified_state state,
                                          std::shared_ptr<const conflict_resolution> strategy);

}  // namespace troupe
