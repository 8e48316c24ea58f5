#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/links/local_types.hpp>

namespace troupe {

/// Connects to other nodes, one address after the other, each within its deadline. It runs on a
/// thread of its own, because resolving a name and connecting block.
using dialer_actor = caf::typed_actor<caf::result<connected_socket>(dial_address)>;

/// Starts a dialer. Its owner ends it, which may take as long as one address does. Never fails.
dialer_actor spawn_dialer(caf::actor_system& system);

/// The dialer of a node. Start it before the other children, so that it stops last: a name server
/// or a silent network may block it, and no other child has to wait for that.
child_spec dialer_child(caf::actor_system& system, on_started<dialer_actor> started);

}  // namespace troupe
