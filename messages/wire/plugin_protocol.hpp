#pragma once

#include <string>
#include <vector>

#include <troupe/messages/command.hpp>
#include <troupe/messages/logging.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// `plugin.start`: the node asks a plugin for the commands that it contributes.
struct start_plugin {
  static constexpr std::string_view method = "plugin.start";
  using answer = struct plugin_started;

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const start_plugin&, const start_plugin&) = default;
};

/// `plugin.stop`: the node asks a plugin to finish what it does and to end.
struct stop_plugin {
  static constexpr std::string_view method = "plugin.stop";
  using answer = void;

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const stop_plugin&, const stop_plugin&) = default;
};

/// The answer to `start_plugin`.
struct plugin_started {
  std::vector<command_spec> commands;
  static constexpr auto fields() {
    return std::tuple{optional("commands", &plugin_started::commands)};
  }
  friend bool operator==(const plugin_started&, const plugin_started&) = default;
};

/// `log`: a line of a plugin for the node's log.
struct log_line {
  static constexpr std::string_view method = "log";
  static constexpr method_access access{
      .service = service::link, .callers = called_by::plugins, .summary = "a line for the log"};

  std::string level = "info";  ///< The name of a `log_severity`.
  std::string message;
  static constexpr auto fields() {
    return std::tuple{optional("level", &log_line::level), required("message", &log_line::message)};
  }
  friend bool operator==(const log_line&, const log_line&) = default;
};

/// `grants.changed`: what the plugin may do from now on.
struct grants_changed {
  static constexpr std::string_view method = "grants.changed";

  std::vector<std::string> capabilities;
  static constexpr auto fields() {
    return std::tuple{required("capabilities", &grants_changed::capabilities)};
  }
  friend bool operator==(const grants_changed&, const grants_changed&) = default;
};

}  // namespace troupe
