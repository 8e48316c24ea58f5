#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/kernel/supervision.hpp>

namespace troupe {

/// Knows the watches of a host, whose functions are the program's own: a stop ends them, waits for no longer than it may, and
/// names those whose function does not return.
using watch_keeper = caf::typed_actor<
    // Keeps this watcher until it ends.
    caf::result<void>(watch_context),
    // Ends all of them, then itself. Answered with those that did not end within the deadline.
    caf::result<stop_report>(stop_children),
    // The deadline.
    caf::result<void>(tick)>;

watch_keeper spawn_watch_keeper(caf::actor_system& system);

}  // namespace troupe
