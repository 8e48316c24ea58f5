#pragma once

#include <memory>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/context/value_queries.hpp>

namespace troupe {

/// Reads a snapshot of the context for as long as that takes, so that the replica need not. Answers
/// one request and ends.
using context_reader_actor = caf::typed_actor<
    // O(entries).
    caf::result<values_verified>(verify_values),
    // O(log n + visited), however many tombstones lie between the values.
    caf::result<value_page>(list_values)>;

context_reader_actor spawn_context_reader(caf::actor_system& system, verified_state state,
                                          std::shared_ptr<const conflict_resolution> strategy);

}  // namespace troupe
