#pragma once

#include <functional>

#include <caf/io/typed_broker.hpp>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// Accepts connections and starts a link for each. It takes no messages but the exit message that
/// ends it.
using listener_actor = caf::io::accept_handler;

/// What a listener depends on.
struct listener_setup {
  std::string label;                  ///< For logs, such as the path of the socket.
  std::size_t max_connections = 256;  ///< One more is closed at once and logged.
  log_target log;
  /// Makes the setup of one link. The connected socket is for looking only. An error closes the
  /// connection.
  std::function<result<link_setup>(int socket)> setup_for;
};

/// Starts a listener. It owns its links, and they end with it. Its owner ends it.
/// @param socket Listens already; the listener takes it over. Without a socket the listener ends
/// with `unavailable` as soon as it runs.
listener_actor spawn_listener(caf::actor_system& system, unique_fd socket, listener_setup setup);

/// A listener of a node, which is started again when it ends. @param open Gives a duplicate of the
/// socket, or nothing once the node stops. @param setup Called when the children before it have
/// started, and again for each start.
child_spec listener_child(caf::actor_system& system, std::string name,
                          std::function<unique_fd()> open, std::function<listener_setup()> setup);

}  // namespace troupe
