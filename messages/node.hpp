#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/codec.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/plugin.hpp>

namespace troupe {

/// `node.info`, `node.peers`, `node.stop`, `plugin.list`: requests without parameters.
struct no_parameters {
  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const no_parameters&, const no_parameters&) = default;
};

/// The answer to `node.info`.
struct node_info {
  node_id id;
  std::string name;
  std::string version;
  cluster_id cluster;
  std::uint64_t incarnation = 0;
  std::uint64_t process = 0;  ///< The operating system's process id.
  std::uint64_t uptime_ms = 0;
  std::string data_dir;
  std::string listens;  ///< `host:port` for peers; empty when it does not listen.
  std::string sandbox;  ///< How plugins are confined.
  state_hash root_hash;
  std::uint64_t entries = 0;
  std::uint64_t conflicts = 0;
  static constexpr auto fields() {
    return std::tuple{required("id", &node_info::id),
                      required("name", &node_info::name),
                      required("version", &node_info::version),
                      required("cluster", &node_info::cluster),
                      required("incarnation", &node_info::incarnation),
                      required("process", &node_info::process),
                      required("uptime_ms", &node_info::uptime_ms),
                      required("data_dir", &node_info::data_dir),
                      required("listens", &node_info::listens),
                      required("sandbox", &node_info::sandbox),
                      required("root_hash", &node_info::root_hash),
                      required("entries", &node_info::entries),
                      required("conflicts", &node_info::conflicts)};
  }
  friend bool operator==(const node_info&, const node_info&) = default;
};

/// One other node, as this node sees it.
struct peer_info {
  std::string address;  ///< Where it listens or was dialed.
  bool connected = false;
  node_id id;  ///< Nil until it was met.
  std::string name;
  std::uint64_t incarnation = 0;
  std::string problem;  ///< Why there is no connection, or nothing.
  static constexpr auto fields() {
    return std::tuple{required("address", &peer_info::address),
                      required("connected", &peer_info::connected),
                      optional("id", &peer_info::id),
                      optional("name", &peer_info::name),
                      optional("incarnation", &peer_info::incarnation),
                      optional("problem", &peer_info::problem)};
  }
  friend bool operator==(const peer_info&, const peer_info&) = default;
};

/// The answer to `node.peers`.
struct peer_list {
  std::vector<peer_info> peers;
  static constexpr auto fields() { return std::tuple{required("peers", &peer_list::peers)}; }
  friend bool operator==(const peer_list&, const peer_list&) = default;
};

/// `peers.known`: where nodes listen, told to every new peer.
struct peers_known {
  std::vector<std::string> addresses;
  static constexpr auto fields() {
    return std::tuple{required("addresses", &peers_known::addresses)};
  }
  friend bool operator==(const peers_known&, const peers_known&) = default;
};

/// `plugin.load`: starts the plugin of a package directory.
struct load_plugin {
  std::string package;  ///< Absolute path of a directory with a `plugin.toml`.
  std::vector<std::string>
      grants;  ///< What the operator grants of what the manifest requests; empty grants all of it.
  permission_level level = permission_level::user;  ///< The most that the package may be trusted
                                                    ///< with; one that asks for more is refused.
  static constexpr auto fields() {
    return std::tuple{required("package", &load_plugin::package),
                      optional("grants", &load_plugin::grants),
                      optional("level", &load_plugin::level)};
  }
  friend bool operator==(const load_plugin&, const load_plugin&) = default;
};

/// `plugin.unload`: stops a plugin.
struct unload_plugin {
  std::string plugin;
  static constexpr auto fields() { return std::tuple{required("plugin", &unload_plugin::plugin)}; }
  friend bool operator==(const unload_plugin&, const unload_plugin&) = default;
};

/// `plugin.usage`: what a plugin uses now. Answered with `resource_usage`.
struct get_usage {
  std::string plugin;
  static constexpr auto fields() { return std::tuple{required("plugin", &get_usage::plugin)}; }
  friend bool operator==(const get_usage&, const get_usage&) = default;
};

/// `plugin.check`: whether a plugin may do something now. Answered with `permission_decision`.
struct check_permission {
  std::string plugin;
  std::string operation;  ///< `verb:resource`, such as `context.read:/app/theme`.
  static constexpr auto fields() {
    return std::tuple{required("plugin", &check_permission::plugin),
                      required("operation", &check_permission::operation)};
  }
  friend bool operator==(const check_permission&, const check_permission&) = default;
};

/// `plugin.grant` and `plugin.revoke`: from the next message on.
struct change_grant {
  std::string plugin;
  std::string capability;
  static constexpr auto fields() {
    return std::tuple{required("plugin", &change_grant::plugin),
                      required("capability", &change_grant::capability)};
  }
  friend bool operator==(const change_grant&, const change_grant&) = default;
};

/// What is known of one plugin.
struct plugin_info {
  std::string name;
  std::string version;
  std::string package;
  plugin_phase phase = plugin_phase::discovered;
  enum permission_level level = permission_level::restricted;
  std::vector<std::string> capabilities;  ///< In effect.
  std::vector<std::string> commands;
  std::uint64_t restarts = 0;
  std::uint64_t denials = 0;
  std::uint64_t process =
      0;  ///< The operating system's process id of the sandbox; 0 when there is none.
  resource_limits limits;
  std::string problem;  ///< Why it is not running, or nothing.
  static constexpr auto fields() {
    return std::tuple{required("name", &plugin_info::name),
                      required("version", &plugin_info::version),
                      required("package", &plugin_info::package),
                      required("phase", &plugin_info::phase),
                      required("level", &plugin_info::level),
                      required("capabilities", &plugin_info::capabilities),
                      required("commands", &plugin_info::commands),
                      required("restarts", &plugin_info::restarts),
                      required("denials", &plugin_info::denials),
                      required("process", &plugin_info::process),
                      required("limits", &plugin_info::limits),
                      required("problem", &plugin_info::problem)};
  }
  friend bool operator==(const plugin_info&, const plugin_info&) = default;
};

/// The answer to `plugin.list`.
struct plugin_list {
  std::vector<plugin_info> plugins;
  static constexpr auto fields() { return std::tuple{required("plugins", &plugin_list::plugins)}; }
  friend bool operator==(const plugin_list&, const plugin_list&) = default;
};

/// One line of the audit trail: who was allowed, denied, given or deprived of what, and by which
/// rule.
struct audit_record {
  std::uint64_t time_ms = 0;  ///< Since 1970.
  std::string event;  ///< `plugin.denied`, `plugin.granted`, `plugin.revoked`, `plugin.started`,
                      ///< `plugin.ended` …
  std::string principal;
  std::string subject;  ///< The capability or thing in question.
  std::string rule;     ///< What decided.
  trace_id trace;
  static constexpr auto fields() {
    return std::tuple{required("time_ms", &audit_record::time_ms),
                      required("event", &audit_record::event),
                      required("principal", &audit_record::principal),
                      required("subject", &audit_record::subject),
                      required("rule", &audit_record::rule),
                      optional("trace", &audit_record::trace)};
  }
  friend bool operator==(const audit_record&, const audit_record&) = default;
};

/// `audit.search`: the newest records, newest first.
struct search_audit {
  std::string principal;      ///< Only of this principal; empty for all.
  std::string event;          ///< Only this event; empty for all.
  std::uint32_t limit = 100;  ///< At most 1,000.
  static constexpr auto fields() {
    return std::tuple{optional("principal", &search_audit::principal),
                      optional("event", &search_audit::event),
                      optional("limit", &search_audit::limit)};
  }
  friend bool operator==(const search_audit&, const search_audit&) = default;
};

/// The answer to `search_audit`.
struct audit_list {
  std::vector<audit_record> records;
  static constexpr auto fields() { return std::tuple{required("records", &audit_list::records)}; }
  friend bool operator==(const audit_list&, const audit_list&) = default;
};

}  // namespace troupe
