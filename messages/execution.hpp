#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <troupe/messages/codec.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/method.hpp>
#include <troupe/messages/principal.hpp>

namespace troupe {

/// Asks the dispatcher to run a command. Answered with the command's result. Never leaves the
/// process: over links it is an `execute_request`, whose caller, deadline and trace the link knows.
struct execute_command {
  std::string command;
  class arguments arguments;
  principal_ptr caller;  ///< Never empty.
  std::chrono::milliseconds deadline{
      0};  ///< Time left to the caller; 0 means the command's own timeout.
  trace_id trace;
  std::uint64_t ticket = 0;  ///< By which the sender may cancel it; 0 when it will not.
};

/// Asks the handler of a command to do its work. Answered with the result.
struct invoke_command {
  static constexpr std::string_view method = "command.execute";
  using answer = value;

  std::string command;
  class arguments arguments;
  std::string principal;                  ///< The name of the caller.
  std::chrono::milliseconds deadline{0};  ///< Time left; always positive.
  trace_id trace;

  static constexpr auto fields() {
    return std::tuple{required("command", &invoke_command::command),
                      required("arguments", &invoke_command::arguments),
                      required("principal", &invoke_command::principal),
                      optional("deadline_ms", &invoke_command::deadline),
                      optional("trace", &invoke_command::trace)};
  }
  friend bool operator==(const invoke_command&, const invoke_command&) = default;
};

/// Parameters of `command.execute`.
struct execute_request {
  static constexpr std::string_view method = "command.execute";
  using answer = value;
  static constexpr method_access access{.service = service::commands,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "runs a command",
                                        .verb = "command.execute",
                                        .scope = resource_scope::exact,
                                        .parameter = "command"};

  std::string command;
  class arguments arguments;

  static constexpr auto fields() {
    return std::tuple{required("command", &execute_request::command),
                      optional("arguments", &execute_request::arguments)};
  }
  friend bool operator==(const execute_request&, const execute_request&) = default;
};

/// Parameters of `command.list`: asks for the commands that the caller may run, in the order of
/// their names.
struct list_commands {
  static constexpr std::string_view method = "command.list";
  using answer = struct command_list;
  static constexpr method_access access{.service = service::commands,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "the commands",
                                        .reads = true};

  std::string prefix;

  static constexpr auto fields() { return std::tuple{optional("prefix", &list_commands::prefix)}; }
  friend bool operator==(const list_commands&, const list_commands&) = default;
};

/// The answer to `list_commands`.
struct command_list {
  std::vector<command_spec> commands;

  static constexpr auto fields() {
    return std::tuple{required("commands", &command_list::commands)};
  }
  friend bool operator==(const command_list&, const command_list&) = default;
};

/// Parameters of `command.describe`: asks for one command in full. Answered with a `command_spec`;
/// a command that the caller may not run is `not_found`.
struct describe_command {
  static constexpr std::string_view method = "command.describe";
  using answer = command_spec;
  static constexpr method_access access{.service = service::commands,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "one command in full"};

  std::string command;

  static constexpr auto fields() {
    return std::tuple{required("command", &describe_command::command)};
  }
  friend bool operator==(const describe_command&, const describe_command&) = default;
};

/// Parameters of `metrics.get`: of one command, or of all when the name is empty.
struct get_metrics {
  static constexpr std::string_view method = "metrics.get";
  using answer = struct metrics_list;
  static constexpr method_access access{.service = service::commands,
                                        .callers = called_by::clients,
                                        .summary = "the performance of commands"};

  std::string command;

  static constexpr auto fields() { return std::tuple{optional("command", &get_metrics::command)}; }
  friend bool operator==(const get_metrics&, const get_metrics&) = default;
};

/// The answer to `get_metrics`, in the order of the names.
struct metrics_list {
  std::vector<command_metrics> commands;

  static constexpr auto fields() {
    return std::tuple{required("commands", &metrics_list::commands)};
  }
  friend bool operator==(const metrics_list&, const metrics_list&) = default;
};

/// Parameters of `metrics.reset`.
struct reset_metrics {
  static constexpr std::string_view method = "metrics.reset";
  using answer = void;
  static constexpr method_access access{.service = service::commands,
                                        .callers = called_by::clients,
                                        .summary = "starts the measurements anew"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const reset_metrics&, const reset_metrics&) = default;
};

/// Asks the dispatcher to forget the named commands, as when their plugin has gone. Unknown names
/// are passed over.
struct remove_commands {
  std::vector<std::string> names;

  static constexpr auto fields() { return std::tuple{required("names", &remove_commands::names)}; }
  friend bool operator==(const remove_commands&, const remove_commands&) = default;
};

}  // namespace troupe
