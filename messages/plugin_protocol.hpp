#pragma once

#include <string>
#include <vector>

#include <troupe/messages/codec.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// The answer of a plugin to `plugin.start`: the commands that it contributes.
struct plugin_started {
  std::vector<command_spec> commands;
  static constexpr auto fields() {
    return std::tuple{optional("commands", &plugin_started::commands)};
  }
  friend bool operator==(const plugin_started&, const plugin_started&) = default;
};

/// `log`: a line of a plugin for the node's log.
struct log_line {
  std::string level = "info";  ///< `debug`, `info`, `warning` or `error`.
  std::string message;
  static constexpr auto fields() {
    return std::tuple{optional("level", &log_line::level), required("message", &log_line::message)};
  }
  friend bool operator==(const log_line&, const log_line&) = default;
};

/// `grants.changed`: what the plugin may do from now on.
struct grants_changed {
  std::vector<std::string> capabilities;
  static constexpr auto fields() {
    return std::tuple{required("capabilities", &grants_changed::capabilities)};
  }
  friend bool operator==(const grants_changed&, const grants_changed&) = default;
};

}  // namespace troupe
