#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/principal.hpp>

namespace troupe {

/// What the accepting side answers to a `session.open`.
struct session_grant {
  principal caller;
  session_accepted answer;  ///< The greeting fills in the agreed protocol version.
};

/// Decides about a `session.open`. An error goes to the other side and ends the connection.
using session_gate = std::function<result<session_grant>(const session_open&)>;

/// A session that has begun: how the other side introduced itself.
struct session_began {
  session_kind kind = session_kind::client;
  node_id node;  ///< Of a peer, like the members below.
  std::string name;
  std::uint64_t incarnation = 0;
  std::string address;  ///< Where an accepted peer listens. Empty for a dialed one.
  bool dialed = false;  ///< This side opened the connection.
};

/// The longest name in `session.open` and its answer.
inline constexpr std::size_t max_session_name_bytes = 64;

/// How a session opens. The dialing side introduces itself with `session.open`; the accepting side
/// lets its gate decide and answers. A connection without either needs no greeting: both sides know
/// each other.
class link_greeting {
public:
  /// @param gate Of the accepting side. @param introduction Of the dialing side. At most one of
  /// them may be given.
  link_greeting(session_gate gate, std::optional<session_open> introduction);

  bool is_needed() const noexcept { return gate_ || introduction_; }
  /// What the dialing side says first; null on the accepting side.
  const session_open* introduction() const noexcept {
    return introduction_ ? &*introduction_ : nullptr;
  }

  /// An opened session, and what to answer on the accepting side.
  struct opening {
    session_grant grant;
    session_began session;
  };
  /// Decides about the first request of the other side. It must be a `session.open` with a protocol
  /// version that both sides speak, and the gate must agree.
  result<opening> admit(std::string_view method, std::string_view params) const;
  /// Checks the answer to the introduction. Any process may listen at a dialed address, so the
  /// answer must be one that a node of the same cluster gives.
  result<opening> check_acceptance(std::string_view answer) const;

private:
  session_gate gate_;
  std::optional<session_open> introduction_;
};

}  // namespace troupe
