#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/links/dialer.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/messages/node.hpp>

namespace troupe {

/// Whoever exchanges state with other nodes: told of each connection that stays. Its end is seen by
/// watching the link.
using peer_watcher = caf::typed_actor<caf::result<void>(peer_up)>;

/// Keeps this node connected with the others.
using mesh_actor = caf::typed_actor<
    // Takes note of a session with a peer, whichever side dialed.
    caf::result<void>(link_opened),
    // Lists the nodes that are known.
    caf::result<peer_list>(list_peers),
    // Serves `node.peers` and takes `peers.known`.
    caf::result<payload>(service_call), caf::result<void>(service_notification),
    // Dials one more address from now on.
    caf::result<void>(dial_address),
    // Lets time pass.
    caf::result<void>(tick)>;

/// Everything a mesh depends on.
struct mesh_setup {
  session_open introduction;       ///< What this node says of itself.
  std::vector<std::string> seeds;  ///< Where other nodes listen.
  bool discover = true;            ///< Also dial the nodes that others tell of, on this machine.
  link_limits limits;
  log_target log;
  service_table services;  ///< What peers may ask of this node.
  peer_watcher replica;
  dialer_actor dialer;  ///< Makes the connections.
};

mesh_actor spawn_mesh(caf::actor_system& system, mesh_setup setup);

}  // namespace troupe
