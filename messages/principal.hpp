#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// The kinds of principals.
enum class principal_kind : std::uint8_t {
  host,    ///< The program that embeds the node.
  client,  ///< A program on a client connection, such as the command line.
  plugin,  ///< A plugin.
  peer,    ///< Another node.
  system,  ///< The node itself.
};

template <>
struct enum_names<principal_kind> {
  static constexpr std::array<enumerator<principal_kind>, 5> names{
      {{principal_kind::host, "host"},
       {principal_kind::client, "client"},
       {principal_kind::plugin, "plugin"},
       {principal_kind::peer, "peer"},
       {principal_kind::system, "system"}}};
};

/// On whose behalf something happens. Set by the link that knows its other side, never by that
/// other side.
struct principal {
  std::string name;
  principal_kind kind = principal_kind::client;
  std::vector<std::string>
      capabilities;  ///< Patterns of what it may do (`"command.execute:notes.*"`).
  std::vector<std::string>
      denied;  ///< Patterns of what it may not do. They outrank its capabilities.

  /// A client that runs as the same operating-system user as this node. Not sent to other nodes,
  /// where it has no meaning.
  bool same_user = false;

  static constexpr auto fields() {
    return std::tuple{required("name", &principal::name), required("kind", &principal::kind),
                      optional("capabilities", &principal::capabilities),
                      optional("denied", &principal::denied)};
  }
  friend bool operator==(const principal&, const principal&) = default;
};

/// A session's principal, made once and shared by all messages of the session.
using principal_ptr = std::shared_ptr<const principal>;

}  // namespace troupe
