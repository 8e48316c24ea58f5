#pragma once

#include <sys/types.h>

#include <troupe/actors/links/link_greeting.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/link.hpp>

// Decides which users and sessions the sockets of a node admit. The greeting checks protocol and
// name before, and puts the agreed protocol version into the answer.

namespace troupe {

/// Decides whether a program of this user may use the unix socket of a node. The node's own user
/// and root may. @param own The user of the node.
result<void> admit_user(uid_t user, uid_t own);

/// Decides about a client's `session.open` on the unix socket. `admit_user` has decided about its
/// user, so every client is admitted. @param introduction The node's own
/// description.
result<session_grant> admit_client(const session_open& opening,
                                   const session_accepted& introduction);

/// Decides about a peer's `session.open`: its cluster must be the same, and its node id another
/// one. @param own What this node says when it dials.
result<session_grant> admit_peer(const session_open& opening, const session_open& own);

}  // namespace troupe
