#pragma once

#include <functional>

#include <caf/io/typed_broker.hpp>

#include <troupe/actors/links/link.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// Accepts connections and starts a link for each. Says nothing and is told nothing; ends with an
/// exit message.
using listener_actor = caf::io::accept_handler;

struct listener_setup {
  std::string label;                  ///< For logs, such as the path of the socket.
  std::size_t max_connections = 256;  ///< One more is closed at once, and counted in the log.
  log_target log;
  /// Makes the setup of one link, given the connected socket, which stays the listener's. An error
  /// closes the connection.
  std::function<result<link_setup>(int socket)> setup_for;
};

/// @param socket Listens already; taken over. Without one the listener ends as soon as it runs,
/// with `unavailable`.
listener_actor spawn_listener(caf::actor_system& system, unique_fd socket, listener_setup setup);

}  // namespace troupe
