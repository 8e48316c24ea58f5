#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <troupe/messages/command.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/plugins/sdk/cpp/call.hpp>
#include <troupe/plugins/sdk/cpp/connection.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe::sdk {

/// A plugin: an ordinary process that a node starts in a sandbox, with one open socket to the node.
/// A program declares its commands and lets `run` serve them. It links the CMake target
/// `troupe_sdk`:
///
///     int main() {
///       sdk::plugin greeter{"greeter", "1.0.0"};
///       greeter.command(
///           command_spec{"greet"}.summary("Greets someone").param<std::string>("name"),
///           [](const arguments& given, sdk::call& call) -> result<value> {
///             const auto name = given.get<std::string>("name");
///             call.context().set(path{"/plugins/greeter/last"}, name).value();
///             return "Hello, " + name;
///           });
///       return greeter.run();
///     }
///
/// Everything happens on one thread: commands run one after another, and while one of them waits
/// for the node, the plugin still answers pings, queues further commands (at most 1,024; more are
/// refused as `overloaded`) and learns of cancellations. A command that computes for long calls
/// `call::cancelled` at least once a second; a plugin that is silent for 5 s after a call's
/// deadline or a ping is taken for hung and restarted. What is written to the standard streams goes
/// to the node's log, a standard output that is a pipe only when its buffer is full or flushed.
///
/// A package is a directory with the program and a `plugin.toml`. `plugins/manifest.hpp`
/// documents its keys; these are enough:
///
///     name = "greeter"
///     version = "1.0.0"
///     entry = ["bin/greeter"]
///     permission_level = "user"
///
/// `troupe plugin load <directory>` starts it. In the sandbox the package and `/usr` can be read,
/// and nothing else of the machine. A plugin of this level may use its own `/plugins/greeter/**` of
/// the context; what else it needs, it requests in the manifest. Tests link `troupe_sdk_testing`
/// and need no node: see `test_host.hpp`.
class plugin {
public:
  /// What a command does. The error of a refused call whose `value()` it takes anyway is the
  /// command's own; everything else that it throws becomes `handler_failed` and a line on the
  /// standard error stream.
  using handler = std::function<result<value>(const arguments&, call&)>;

  /// @param name As in the manifest.
  plugin(std::string name, std::string version);

  /// Declares a command, called `<plugin>.<spec.name>`. The node checks the arguments against the
  /// parameters and fills in defaults before the function runs.
  ///
  /// The default concurrency of `command_spec` is announced as 1: the plugin runs one command at a
  /// time. More would wait here, and their waiting would be measured as execution.
  /// @throws std::invalid_argument when the name is taken or has anything but a-z, 0-9, `_` and `-`
  /// in words joined by dots; when `run` is empty; when a default is nil, which cannot be sent.
  plugin& command(command_spec spec, handler run);

  /// The commands with their full names, in the order of the names.
  std::vector<command_spec> commands() const;

  /// Serves the node until it says stop or closes the socket, whose descriptor is in the
  /// environment variable TROUPE_SOCKET (3 when unset). Returns the process's exit status: 1 when
  /// the node refused or broke the protocol, with one line about it on the standard error stream.
  int run();
  /// As `run`, on a socket that the caller made.
  int run(unique_fd socket, clock_function clock = std::chrono::steady_clock::now);

private:
  struct declared {
    command_spec spec;
    handler run;
  };

  result<void> serve(connection& node);
  result<session_accepted> open(connection& node) const;
  result<std::string> answer(connection& node, const session_accepted& host,
                             const incoming_request& request) const;
  result<value> execute(connection& node, const session_accepted& host,
                        const incoming_request& request) const;
  int complain(const error& why) const;
  tl::unexpected<error> failed(std::string how) const;

  std::string name_;
  std::string version_;
  std::map<std::string, declared> commands_;
};

}  // namespace troupe::sdk
