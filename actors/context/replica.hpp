#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/context/restoration.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store_keeper.hpp>
#include <troupe/actors/context/sync/leases.hpp>
#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/actors/links/mesh/mesh.hpp>

namespace troupe {

/// The context of this node. A shell around `sync_manager`: it reports events to the manager and
/// carries out its effects.
using replica_actor = caf::typed_actor<
    // Writes. Answered at the durability asked for.
    caf::result<values_written>(write_values),
    // Reads. Verifying, and listing through many tombstones, runs on a separate reader, at most two
    // at once. More are refused as `overloaded`.
    caf::result<value_found>(get_value), caf::result<value_page>(list_values),
    caf::result<value_explained>(explain_value), caf::result<values_verified>(verify_values),
    // Whether times of changes are ahead of the clock.
    caf::result<clock_checked>(check_clock),
    // Has the next start correct the clock. Answers when that is durable.
    caf::result<clock_checked>(correct_clock), caf::result<snapshot_taken>(take_snapshot),
    // Subscribes a watcher to changes.
    caf::result<void>(watch_context),
    // A link to a peer is up.
    caf::result<void>(peer_up),
    // `context.*` and `sync.*` over links.
    caf::result<payload>(service_call), caf::result<void>(service_notification),
    // Makes everything durable and writes a checkpoint.
    caf::result<void>(settle_context),
    // To itself.
    caf::result<void>(hear_next),
    // Time passes.
    caf::result<void>(tick)>;

/// Everything a replica depends on.
struct replica_setup {
  context_engine engine;
  store_identity identity;
  store_keeper_actor store;
  log_target log;
  wall_clock clock = system_wall_clock();
  std::uint64_t checkpoint_every = 20'000;  ///< Changes.
  std::uint64_t replayed = 0;               ///< Changes in the log that no checkpoint holds.
  processed_changes log_base;               ///< `context_store::log_base`
  std::vector<store_note> notes;            ///< What the start found damaged.
  /// What could be saved, when the checkpoint was lost: then the engine has the empty state.
  std::shared_ptr<const saved_parts> saved;
  bool joins = true;  ///< The node becomes a member when it meets another one.
  lease_limits leases;
};

/// Starts a replica. Its owner ends it, after `settle_context` if nothing may be lost. Never fails.
replica_actor spawn_replica(caf::actor_system& system, replica_setup setup);

/// The replica of a node. Makes everything durable before it ends. @param setup Called when the
/// children before it have started.
child_spec replica_child(caf::actor_system& system, std::function<replica_setup()> setup,
                         on_started<replica_actor> started);

}  // namespace troupe
