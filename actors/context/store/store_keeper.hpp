#pragma once

#include <functional>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/actors/kernel/supervision.hpp>

namespace troupe {

/// Owns the store of a replica, on a thread of its own because disks make it wait. Takes one
/// request after the other.
using store_keeper_actor = caf::typed_actor<
    // Makes changes durable. Answered when they are.
    caf::result<void>(append_records),
    // Reads changes for a peer.
    caf::result<records_read>(read_records),
    // Writes a checkpoint.
    caf::result<void>(write_checkpoint)>;

store_keeper_actor spawn_store_keeper(caf::actor_system& system, context_store store);

/// The store keeper of a node. @param store Gives the store, once.
child_spec store_keeper_child(caf::actor_system& system, std::function<context_store()> store,
                              on_started<store_keeper_actor> started);

}  // namespace troupe
