#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/links/local_types.hpp>

namespace troupe {

/// Connects to other nodes, one address after the other, each within its deadline. It runs on a
/// thread of its own, because resolving a name and connecting block.
using dialer_actor = caf::typed_actor<caf::result<connected_socket>(dial_address)>;

dialer_actor spawn_dialer(caf::actor_system& system);

}  // namespace troupe
