#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/plugins/unique_fd.hpp>
#include <troupe/runtime/node.hpp>
#include <troupe/runtime/recovery.hpp>

namespace troupe {

/// The sockets on which a node listens.
struct node_doors {
  unique_fd peers;    ///< Empty when it does not listen for other nodes.
  unique_fd clients;  ///< Empty when it does not serve clients.
};

/// What the children of a node are made from, and their handles. Shared with the functions that
/// start them: the supervisor may call these when the node is gone.
struct node_parts {
  node_parts(caf::actor_system& in, config with, log_target to, recovered_context from,
             std::function<void(stop_request)> stop)
      : system(in),
        settings(std::move(with)),
        log(std::move(to)),
        recovered(std::move(from)),
        on_stop(std::move(stop)) {}

  caf::actor_system& system;
  config settings;
  log_target log;
  recovered_context recovered;  ///< Until the store keeper and the replica take it.
  session_open introduction;    ///< What this node says of itself to a peer that it dials.
  session_accepted acceptance;  ///< What it says of itself to a peer or client that dials it.
  node_info about;
  std::function<void(stop_request)> on_stop;
  node_actors actors;
  service_table services;  ///< What links may ask of this node.
};

/// The children of a node, in the order in which they start.
std::vector<child_spec> node_children(const std::shared_ptr<node_parts>& parts,
                                      const std::shared_ptr<node_doors>& doors);

}  // namespace troupe
