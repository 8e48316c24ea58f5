#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/plugin.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// `plugin.load`: starts the plugin of a package directory.
struct load_plugin {
  static constexpr std::string_view method = "plugin.load";
  using answer = struct plugin_info;
  static constexpr method_access access{.service = service::plugins,
                                        .callers = called_by::clients,
                                        .summary = "starts the plugin of a directory"};

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
  static constexpr std::string_view method = "plugin.unload";
  using answer = void;
  static constexpr method_access access{
      .service = service::plugins, .callers = called_by::clients, .summary = "stops a plugin"};

  std::string plugin;
  static constexpr auto fields() { return std::tuple{required("plugin", &unload_plugin::plugin)}; }
  friend bool operator==(const unload_plugin&, const unload_plugin&) = default;
};

/// `plugin.usage`: what a plugin uses now. Answered with `resource_usage`.
struct get_usage {
  static constexpr std::string_view method = "plugin.usage";
  using answer = resource_usage;
  static constexpr method_access access{
      .service = service::plugins, .callers = called_by::clients, .summary = "what a plugin uses"};

  std::string plugin;
  static constexpr auto fields() { return std::tuple{required("plugin", &get_usage::plugin)}; }
  friend bool operator==(const get_usage&, const get_usage&) = default;
};

/// `plugin.check`: whether a plugin may do something now. Answered with `permission_decision`.
struct check_permission {
  static constexpr std::string_view method = "plugin.check";
  using answer = permission_decision;
  static constexpr method_access access{.service = service::plugins,
                                        .callers = called_by::clients,
                                        .summary = "whether a plugin may do something now"};

  std::string plugin;
  std::string operation;  ///< `verb:resource`, such as `context.read:/app/theme`.
  static constexpr auto fields() {
    return std::tuple{required("plugin", &check_permission::plugin),
                      required("operation", &check_permission::operation)};
  }
  friend bool operator==(const check_permission&, const check_permission&) = default;
};

/// `plugin.grant`: gives a plugin a capability from the next message on.
struct grant_capability {
  static constexpr std::string_view method = "plugin.grant";
  using answer = void;
  static constexpr method_access access{.service = service::plugins,
                                        .callers = called_by::clients,
                                        .summary = "gives a plugin a capability"};

  std::string plugin;
  std::string capability;
  static constexpr auto fields() {
    return std::tuple{required("plugin", &grant_capability::plugin),
                      required("capability", &grant_capability::capability)};
  }
  friend bool operator==(const grant_capability&, const grant_capability&) = default;
};

/// `plugin.revoke`: takes a capability from a plugin from the next message on.
struct revoke_capability {
  static constexpr std::string_view method = "plugin.revoke";
  using answer = void;
  static constexpr method_access access{.service = service::plugins,
                                        .callers = called_by::clients,
                                        .summary = "takes a capability from a plugin"};

  std::string plugin;
  std::string capability;
  static constexpr auto fields() {
    return std::tuple{required("plugin", &revoke_capability::plugin),
                      required("capability", &revoke_capability::capability)};
  }
  friend bool operator==(const revoke_capability&, const revoke_capability&) = default;
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

/// `plugin.list`
struct list_plugins {
  static constexpr std::string_view method = "plugin.list";
  using answer = struct plugin_list;
  static constexpr method_access access{
      .service = service::plugins, .callers = called_by::clients, .summary = "the plugins"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const list_plugins&, const list_plugins&) = default;
};

/// The answer to `list_plugins`.
struct plugin_list {
  std::vector<plugin_info> plugins;
  static constexpr auto fields() { return std::tuple{required("plugins", &plugin_list::plugins)}; }
  friend bool operator==(const plugin_list&, const plugin_list&) = default;
};

}  // namespace troupe
