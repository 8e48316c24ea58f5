#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <troupe/messages/command.hpp>
#include <troupe/messages/principal.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// Asks the dispatcher to run a command. Answered with the command's result. Stays in the process:
/// a link sends an `execute_request` and knows its caller, deadline and trace.
struct execute_command {
  std::string command;
  class arguments arguments;
  principal_ptr caller;  ///< Never empty.
  std::chrono::milliseconds deadline{
      0};  ///< Time left to the caller; 0 means the command's own timeout.
  trace_id trace;
  std::uint64_t ticket = 0;  ///< Names the request when the sender cancels it; 0 for never.
};

/// Asks the handler of a command to run it. Answered with the result.
struct invoke_command {
  static constexpr std::string_view method = "command.execute";
  using answer = value;

  std::string command;
  class arguments arguments;
  std::string principal;                  ///< The name of the caller.
  std::chrono::milliseconds deadline{0};  ///< Time left, at least 1 ms.
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

/// Parameters of `command.list`: asks for the commands that the caller may run, sorted by name.
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

/// Parameters of `command.describe`: asks for one command in full. A command that the caller may
/// not run is `not_found`.
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

/// Parameters of `metrics.get`: asks for the performance of one command, or of all commands when
/// the name is empty.
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

/// The answer to `get_metrics`, sorted by name.
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
                                        .summary = "resets the measurements"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const reset_metrics&, const reset_metrics&) = default;
};

/// Asks the dispatcher to remove the named commands. Unknown names are ignored.
struct remove_commands {
  std::vector<std::string> names;

  static constexpr auto fields() { return std::tuple{required("names", &remove_commands::names)}; }
  friend bool operator==(const remove_commands&, const remove_commands&) = default;
};

}  // namespace troupe
