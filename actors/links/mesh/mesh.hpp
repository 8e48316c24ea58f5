#pragma once

#include <functional>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/actors/links/mesh/dialer.hpp>
#include <troupe/messages/node.hpp>

namespace troupe {

/// Exchanges state with other nodes. It hears of each connection that stays, and watches the link
/// to see its end.
using peer_watcher = caf::typed_actor<caf::result<void>(peer_up)>;

/// Keeps this node connected with the others.
using mesh_actor = caf::typed_actor<
    // A session with a peer has begun. Either side may have dialed.
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
  session_open introduction;       ///< How this node introduces itself.
  std::vector<std::string> seeds;  ///< Where other nodes listen.
  bool discover = true;            ///< Also dial nodes on this machine that other nodes announce.
  link_limits limits;
  log_target log;
  service_table services;  ///< What peers may ask of this node.
  peer_watcher replica;
  dialer_actor dialer;  ///< Makes the connections.
};

/// Starts a mesh, which dials the seeds one after the other. It owns the links that it dials, and
/// they end with it. Its owner ends it. Never fails: an address that cannot be reached is dialed
/// again later.
mesh_actor spawn_mesh(caf::actor_system& system, mesh_setup setup);

/// The mesh of a node. @param setup Called when the children before it have started.
child_spec mesh_child(caf::actor_system& system, std::function<mesh_setup()> setup,
                      on_started<mesh_actor> started);

}  // namespace troupe
