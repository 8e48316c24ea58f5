#pragma once

#include <chrono>
#include <functional>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/replica.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/runtime/stop_request.hpp>

namespace troupe {

/// Describes the node itself and takes the order to stop it: `node.info` and `node.stop`.
using node_service_actor =
    caf::typed_actor<caf::result<node_info>(get_node_info), caf::result<payload>(service_call),
                     caf::result<void>(service_notification)>;

/// @param about The constant part of `node_info`. @param settle_deadline For what is not on the
/// disk when a client asks for the stop of the node. @param on_stop Called then; must not block.
node_service_actor spawn_node_service(caf::actor_system& system, node_info about,
                                      replica_actor replica,
                                      std::chrono::milliseconds settle_deadline,
                                      std::function<void(stop_request)> on_stop);

/// The node service as a child. @param replica Called when the children before it have started.
child_spec node_service_child(caf::actor_system& system, node_info about,
                              std::function<replica_actor()> replica,
                              std::chrono::milliseconds settle_deadline,
                              std::function<void(stop_request)> on_stop,
                              on_started<node_service_actor> started);

}  // namespace troupe
