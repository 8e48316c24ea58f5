#pragma once

// Messages of links that never leave the process, and their type ids.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/local_types.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// One connection that speaks the protocol.
using link_actor = caf::typed_actor<
    // Calls the program on the other side.
    caf::result<payload>(call_remote),
    // Notifies it. The answer comes once the notification is in the output buffer.
    caf::result<void>(notify_remote),
    // Ends the connection.
    caf::result<void>(close_link)>;

/// A session has begun.
struct link_opened {
  link_actor link;
  session_kind kind = session_kind::client;
  node_id node;  ///< Of a peer, like the members below.
  std::string name;
  std::uint64_t incarnation = 0;
  std::string address;  ///< Where the peer listens. Of a dialed link: the address that was dialed.
  bool dialed = false;  ///< This side opened the connection.
};

/// The replica of another node can be reached over this link.
struct peer_up {
  link_actor link;
  node_id node;
  std::string name;
  std::uint64_t incarnation = 0;
};

/// Asks for a connection to `host:port`.
struct dial_address {
  std::string address;
  std::chrono::milliseconds deadline{5'000};
};

/// A connected socket. The receiver takes the descriptor out and then owns it. Otherwise it closes
/// with the message.
struct connected_socket {
  std::shared_ptr<unique_fd> fd;
};

}  // namespace troupe

#define TROUPE_LINK_TYPES(X)            \
  X(troupe_links, troupe::link_opened)  \
  X(troupe_links, troupe::peer_up)      \
  X(troupe_links, troupe::dial_address) \
  X(troupe_links, troupe::connected_socket)

TROUPE_LOCAL_TYPES(troupe_links, 1200, TROUPE_LINK_TYPES)
