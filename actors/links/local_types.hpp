#pragma once

// Messages of links that never leave the process, and their type ids.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// One connection that speaks the protocol.
using link_actor = caf::typed_actor<
    // Calls the program on the other side.
    caf::result<payload>(call_remote),
    // Notifies it; answered once the notice is in the output buffer.
    caf::result<void>(notify_remote),
    // Ends the connection.
    caf::result<void>(close_link)>;

/// A session that has begun, told to the link's owner.
struct link_opened {
  link_actor link;
  session_kind kind = session_kind::client;
  node_id node;  ///< Of a peer, as all that follows.
  std::string name;
  std::uint64_t incarnation = 0;
  std::string address;  ///< Where the peer listens; of a dialed link: what was dialed.
  bool dialed = false;  ///< This side opened the connection.
};

/// A replica of the context on another node can be reached over this link.
struct peer_up {
  link_actor link;
  node_id node;
  std::string name;
  std::uint64_t incarnation = 0;
};

/// Tells an actor that the answer to a request of the sender's is not wanted any more. It is
/// answered all the same, soon and with `cancelled` where the work can be ended. Passed over when
/// there is no such request, or no longer.
struct withdraw_request {
  std::uint64_t ticket = 0;  ///< As it was named in the request.
};

/// Lets time pass in an actor. A slow tick comes back for as long as the actor lives, a fast one
/// while there is need.
enum class tick : std::uint8_t { slow, fast };

/// Asks for a connection to `host:port`.
struct dial_address {
  std::string address;
  std::chrono::milliseconds deadline{5'000};
};

/// A connected socket. Whoever takes the descriptor out owns it; otherwise it closes with the
/// message.
struct connected_socket {
  std::shared_ptr<unique_fd> fd;
};

}  // namespace troupe

CAF_BEGIN_TYPE_ID_BLOCK(troupe_links, caf::first_custom_type_id + 1200)
CAF_ADD_TYPE_ID(troupe_links, (troupe::link_opened))
CAF_ADD_TYPE_ID(troupe_links, (troupe::peer_up))
CAF_ADD_TYPE_ID(troupe_links, (troupe::tick))
CAF_ADD_TYPE_ID(troupe_links, (troupe::dial_address))
CAF_ADD_TYPE_ID(troupe_links, (troupe::connected_socket))
CAF_ADD_TYPE_ID(troupe_links, (troupe::withdraw_request))
CAF_END_TYPE_ID_BLOCK(troupe_links)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link_opened)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::peer_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::dial_address)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::connected_socket)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::withdraw_request)
