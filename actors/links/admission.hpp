#pragma once

#include <troupe/actors/links/link_greeting.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/link.hpp>

// Who may open a session at the sockets of a node. The greeting has checked protocol and name
// before, and puts the agreed protocol version into the answer.

namespace troupe {

/// Decides about a client's `session.open` on the unix socket. Only programs of the node's own user
/// reach that socket, so every client is admitted. @param introduction What the node tells of
/// itself.
result<session_grant> admit_client(const session_open& opening,
                                   const session_accepted& introduction);

/// Decides about a peer's `session.open`: its cluster must be the same, and its node id another
/// one. @param own What this node says when it dials.
result<session_grant> admit_peer(const session_open& opening, const session_open& own);

}  // namespace troupe
