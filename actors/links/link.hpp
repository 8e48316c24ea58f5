#pragma once

#include <map>
#include <optional>
#include <string>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/link_greeting.hpp>
#include <troupe/actors/links/link_session.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/actors/links/methods.hpp>
#include <troupe/messages/link.hpp>

namespace troupe {

/// An actor that serves methods which arrive over links.
using service_actor = caf::typed_actor<
    // Answers a request: the bytes of the result.
    caf::result<payload>(service_call),
    // Takes a notification. The sender is the link.
    caf::result<void>(service_notification)>;

/// Who serves what. Whoever serves the commands also takes `cancel_request`: nothing else can be
/// cancelled.
using service_table = std::map<service, service_actor>;

/// Takes note of sessions; the ends of links are seen by watching them.
using link_owner = caf::typed_actor<caf::result<void>(link_opened)>;

/// Where a message that came over a link goes.
struct route {
  const method_rule* rule = nullptr;
  service_actor service;
};

/// Finds it: the method must exist and be of this kind, this kind of principal must be allowed to
/// call it, and the node must serve it.
result<route> find_route(const service_table& services, principal_kind caller,
                         std::string_view method, method_kind kind = method_kind::request);

/// Everything a link depends on. With neither `gate` nor `open` there is no greeting: both sides
/// know each other.
struct link_setup {
  std::string label;  ///< For logs, such as `client` or `peer 127.0.0.1:7000`.
  link_limits limits;
  log_target log;
  service_table services;
  session_gate gate;                 ///< Of the accepting side.
  std::optional<session_open> open;  ///< Of the dialing side: what to say first.
  principal other_side;  ///< Without a gate: who is there, as far as it is known before it answers.
  std::optional<link_owner> owner;  ///< Told when the session has begun.
};

/// Starts a link on a connected stream socket, which it then owns.
link_actor spawn_link(caf::actor_system& system, int socket, link_setup setup);

}  // namespace troupe
