#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <troupe/messages/wire/field.hpp>

// A message that travels over a link names its method once:
//
//     struct get_value {
//       static constexpr std::string_view method = "context.get";
//       using answer = value_found;
//       static constexpr method_access access{...};
//       ...
//     };
//
// The method table, the dispatch of a link's requests and the calls of clients and SDKs are derived
// from that. A message without an answer is a notification.

namespace troupe {

/// The subsystem that serves a method.
enum class service : std::uint8_t { commands, context, plugins, audit, node, mesh, link };

/// Whether a method has an answer.
enum class method_kind : std::uint8_t { request, notification };

/// The kinds of principals that may call a method. A plugin needs the method's capability as well.
struct method_callers {
  bool client = false;
  bool plugin = false;
  bool peer = false;
};

/// The sets of callers that the method table uses.
namespace called_by {

inline constexpr method_callers clients{.client = true};
inline constexpr method_callers plugins{.plugin = true};
inline constexpr method_callers peers{.peer = true};
inline constexpr method_callers clients_and_plugins{.client = true, .plugin = true};
inline constexpr method_callers everyone{.client = true, .plugin = true, .peer = true};

}  // namespace called_by

/// The resource that a capability check of a method is about.
enum class resource_scope : std::uint8_t {
  none,     ///< No resource: the capability is the verb alone.
  exact,    ///< The resource that the parameter names.
  subtree,  ///< The context path that the parameter names and everything below it.
};

/// The service of a method, its permitted callers, and the capability that a plugin needs.
struct method_access {
  enum service service;
  method_callers callers;
  std::string_view summary;    ///< One line, for people.
  std::string_view verb = "";  ///< Of the capability, such as `context.read`; empty for none.
  resource_scope scope = resource_scope::none;
  std::string_view parameter = "";  ///< The parameter that names the resource.
  /// The answer may be large and is made at once: few such requests of one link run together.
  bool reads = false;
};

/// A message that is sent under a method's name.
template <class T>
concept method_message = described<T> && requires {
  { T::method } -> std::convertible_to<std::string_view>;
};

/// A method message that is answered with a `T::answer`, which is `void` for an empty answer.
template <class T>
concept request_message = method_message<T> && requires(typename T::answer* answer) {
  answer;
};

/// A method message without an answer.
template <class T>
concept notification_message = method_message<T> && !request_message<T>;

/// A method message that a node serves: it has a row in the method table.
template <class T>
concept served_message = method_message<T> && requires {
  { T::access } -> std::convertible_to<method_access>;
};

/// A list of message types.
template <class... Messages>
struct message_types {};

/// Calls `visit(std::type_identity<Message>{})` for the message type that has this method. False
/// when none of them has it.
template <class... Messages, class Visit>
constexpr bool visit_method(message_types<Messages...>, std::string_view method, Visit&& visit) {
  const auto matches = [&]<class Message>(std::type_identity<Message> type) {
    if (method != Message::method) return false;
    visit(type);
    return true;
  };
  return (matches(std::type_identity<Messages>{}) || ...);
}

}  // namespace troupe
