#pragma once

#include <functional>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>

namespace troupe {

/// Owns the store of a replica. Runs on its own thread, because the disk blocks it, and serves one
/// request at a time.
using store_keeper_actor = caf::typed_actor<
    // Appends changes to the log, or adopts a state. Answers when that is durable.
    caf::result<void>(append_commit),
    // Reads changes of one incarnation from the log.
    caf::result<batches_read>(read_batches),
    // Writes a checkpoint. Answers when it is durable.
    caf::result<void>(write_checkpoint),
    // Removes from the log what is not needed. Answers whether there is more to do now.
    caf::result<log_trimmed>(trim_log),
    // Has the next start correct the clock. Answers when that is durable.
    caf::result<void>(want_clock_correction),
    // Begins anew. Answers when that is durable.
    caf::result<state_set_aside>(set_state_aside),
    // Keeps entries in a file for people. Answers when it is on the disk.
    caf::result<entries_kept>(keep_entries),
    // Gives memory that it does not need back to the system.
    caf::result<void>(give_back_store_memory),
    // Keeps what has come of the state of a peer.
    caf::result<void>(write_transfer),
    // Gives what is kept of it.
    caf::result<transfer_loaded>(load_transfer),
    // Checks the next part of the store.
    caf::result<scrubbed_part>(check_store)>;

/// Starts the actor. It closes the store when it ends.
store_keeper_actor spawn_store_keeper(caf::actor_system& system, context_store store);

/// The store keeper of a node. @param store Gives the store, once.
child_spec store_keeper_child(caf::actor_system& system, std::function<context_store()> store,
                              on_started<store_keeper_actor> started);

}  // namespace troupe
