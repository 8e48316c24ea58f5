#pragma once

// For hosts that use CAF themselves: the actor system of a host and the typed handles of its
// actors.

#include <caf/actor_system.hpp>

#include <troupe/runtime/host.hpp>
#include <troupe/runtime/node.hpp>

namespace troupe {

/// Opens a host to CAF. Handles are valid until the host stops.
struct caf_access {
  /// The actor system of a host. The host owns it.
  static caf::actor_system& system(host& from);
  /// The typed handles of a host's actors.
  static const node_actors& actors(host& from);

  /// Starts a node in an actor system that the program owns and that outlives it. Call
  /// `register_messages` before making the system, and load `caf::io::middleman` in its
  /// configuration. When the start fails and a part of the node does not stop, the error names that
  /// part, and the system waits for its end.
  static result<std::unique_ptr<node>> start_node(caf::actor_system& system, config settings);
};

}  // namespace troupe
