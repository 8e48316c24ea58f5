#pragma once

#include <map>
#include <optional>
#include <string>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/link_greeting.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/actors/links/methods.hpp>
#include <troupe/actors/links/session/link_limits.hpp>
#include <troupe/messages/link.hpp>

namespace troupe {

/// An actor that serves methods which arrive over links.
using service_actor = caf::typed_actor<
    // Answers a request: the bytes of the result.
    caf::result<payload>(service_call),
    // Takes a notification. The sender is the link.
    caf::result<void>(service_notification)>;

/// The actors behind the services. The one for commands is a `cancel_sink` as well: only commands
/// can be cancelled.
using service_table = std::map<service, service_actor>;

/// Hears of each session that has begun. It watches the link to see its end.
using link_owner = caf::typed_actor<caf::result<void>(link_opened)>;

/// Everything a link depends on. With neither `gate` nor `open` there is no greeting: both sides
/// know each other.
struct link_setup {
  std::string label;  ///< For logs, such as `client` or `peer 127.0.0.1:7000`.
  link_limits limits;
  log_target log;
  service_table services;            ///< What the other side may ask of this node.
  session_gate gate;                 ///< Of the accepting side.
  std::optional<session_open> open;  ///< Of the dialing side: what to say first.
  principal other_side;              ///< As far as it is known before the session opens.
  std::optional<link_owner> owner;   ///< Hears of the session.
};

/// Starts a link on a connected stream socket, which it then owns.
link_actor spawn_link(caf::actor_system& system, int socket, link_setup setup);

}  // namespace troupe
