#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/messages/principal.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// The msgpack bytes of a reply or of a parameter map, between a link and the actor that decodes
/// them.
struct payload {
  binary msgpack;

  static constexpr auto fields() { return std::tuple{required("msgpack", &payload::msgpack)}; }
  friend bool operator==(const payload&, const payload&) = default;
};

/// Asks a link to call the program on its other side. Answered with a `payload`, the other side's
/// error, or an error of the link: `deadline_exceeded`, `unavailable` when it ends first,
/// `overloaded` when its bounds are reached.
struct call_remote {
  std::string method;
  binary params;                          ///< The bytes of a parameter map.
  std::chrono::milliseconds deadline{0};  ///< Time that is left; must be positive.
  trace_id trace;

  static constexpr auto fields() {
    return std::tuple{
        required("method", &call_remote::method), required("params", &call_remote::params),
        required("deadline_ms", &call_remote::deadline), optional("trace", &call_remote::trace)};
  }
  friend bool operator==(const call_remote&, const call_remote&) = default;
};

/// Asks a link to notify the program on its other side. Answered when the notification is in the
/// output buffer, or with `overloaded`.
struct notify_remote {
  std::string method;
  binary params;

  static constexpr auto fields() {
    return std::tuple{required("method", &notify_remote::method),
                      required("params", &notify_remote::params)};
  }
  friend bool operator==(const notify_remote&, const notify_remote&) = default;
};

/// Ends a link. Its output is still sent as far as the operating system takes it at once.
struct close_link {
  std::string reason;

  static constexpr auto fields() { return std::tuple{required("reason", &close_link::reason)}; }
  friend bool operator==(const close_link&, const close_link&) = default;
};

/// A request that came over a link, for the actor that serves its method. The link sets the caller.
/// Answered with the `payload` of the result or an error.
struct service_call {
  principal_ptr caller;  ///< Never empty.
  std::string method;
  binary params;
  std::chrono::milliseconds deadline{0};
  trace_id trace;
  std::uint64_t ticket = 0;  ///< Names the request in a `cancel_request`; 0: it is never cancelled.

  static constexpr auto fields() {
    return std::tuple{
        required("caller", &service_call::caller), required("method", &service_call::method),
        required("params", &service_call::params), required("deadline_ms", &service_call::deadline),
        optional("trace", &service_call::trace),   optional("ticket", &service_call::ticket)};
  }
  friend bool operator==(const service_call& a, const service_call& b) {
    return *a.caller == *b.caller && a.method == b.method && a.params == b.params &&
           a.deadline == b.deadline && a.trace == b.trace && a.ticket == b.ticket;
  }
};

/// A notification that came over a link. Not answered.
struct service_notification {
  principal_ptr caller;  ///< Never empty.
  std::string method;
  binary params;

  static constexpr auto fields() {
    return std::tuple{required("caller", &service_notification::caller),
                      required("method", &service_notification::method),
                      required("params", &service_notification::params)};
  }
  friend bool operator==(const service_notification& a, const service_notification& b) {
    return *a.caller == *b.caller && a.method == b.method && a.params == b.params;
  }
};

/// The kinds of programs that open a session.
enum class session_kind : std::uint8_t { plugin, client, peer };

template <>
struct enum_names<session_kind> {
  static constexpr std::array<enumerator<session_kind>, 3> names{{{session_kind::plugin, "plugin"},
                                                                  {session_kind::client, "client"},
                                                                  {session_kind::peer, "peer"}}};
};

/// The first request on every link.
struct session_open {
  static constexpr std::string_view method = "session.open";
  using answer = struct session_accepted;
  static constexpr method_access access{
      .service = service::link, .callers = called_by::everyone, .summary = "the first request"};

  std::vector<std::uint32_t>
      protocol;  ///< The lowest and the highest version that the opener speaks.
  session_kind kind = session_kind::client;
  std::string name;               ///< For people. Of a plugin: the name in its manifest.
  std::string version;            ///< Of a plugin.
  std::string sdk;                ///< Of a plugin: the SDK that it was built with.
  cluster_id cluster;             ///< Of a peer.
  node_id node;                   ///< Of a peer.
  std::uint64_t incarnation = 0;  ///< Of a peer.
  std::string address;  ///< Of a peer: where it listens, `host:port`; empty when it does not.

  static constexpr auto fields() {
    return std::tuple{required("protocol", &session_open::protocol),
                      required("kind", &session_open::kind),
                      required("name", &session_open::name),
                      optional("version", &session_open::version),
                      optional("sdk", &session_open::sdk),
                      optional("cluster", &session_open::cluster),
                      optional("node", &session_open::node),
                      optional("incarnation", &session_open::incarnation),
                      optional("address", &session_open::address)};
  }
  friend bool operator==(const session_open&, const session_open&) = default;
};

/// `session.closed`: why this side closes the link.
struct session_closed {
  static constexpr std::string_view method = "session.closed";
  static constexpr method_access access{.service = service::link,
                                        .callers = called_by::peers,
                                        .summary = "why the other side closes"};

  std::string reason;

  static constexpr auto fields() { return std::tuple{required("reason", &session_closed::reason)}; }
  friend bool operator==(const session_closed&, const session_closed&) = default;
};

/// `ping`: asks for a sign of life.
struct ping {
  static constexpr std::string_view method = "ping";
  using answer = void;
  static constexpr method_access access{.service = service::link,
                                        .callers = called_by::everyone,
                                        .summary = "asks for a sign of life"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const ping&, const ping&) = default;
};

/// `cancel`: the sender no longer waits for the answer to a request.
struct cancel_call {
  static constexpr std::string_view method = "cancel";
  static constexpr method_access access{
      .service = service::link, .callers = called_by::everyone, .summary = "cancels a request"};

  std::uint32_t msgid = 0;

  static constexpr auto fields() { return std::tuple{required("msgid", &cancel_call::msgid)}; }
  friend bool operator==(const cancel_call&, const cancel_call&) = default;
};

/// The answer to `session_open`.
struct session_accepted {
  std::uint32_t protocol = 1;
  node_id node;
  std::string node_name;
  std::uint64_t incarnation = 0;
  cluster_id cluster;
  std::vector<std::string> capabilities;

  static constexpr auto fields() {
    return std::tuple{required("protocol", &session_accepted::protocol),
                      required("node", &session_accepted::node),
                      optional("node_name", &session_accepted::node_name),
                      optional("incarnation", &session_accepted::incarnation),
                      optional("cluster", &session_accepted::cluster),
                      optional("capabilities", &session_accepted::capabilities)};
  }
  friend bool operator==(const session_accepted&, const session_accepted&) = default;
};

/// The versions of the protocol that this build speaks.
inline constexpr std::uint32_t lowest_protocol = 1;
inline constexpr std::uint32_t highest_protocol = 1;

/// The version that both sides speak, or the error `version_mismatch`, which names both ranges.
result<std::uint32_t> agree_on_protocol(const std::vector<std::uint32_t>& offered);

}  // namespace troupe
