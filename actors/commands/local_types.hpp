#pragma once

// Messages of the command subsystem that never leave the process, and their type ids.

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/validation/validator.hpp>
#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/messages/execution.hpp>

namespace troupe {

/// What a command's function knows beside the arguments.
struct command_context {
  std::string_view principal;  ///< The name of the caller. Valid during the call.
  trace_id trace;
  std::chrono::steady_clock::time_point deadline;  ///< The caller is answered then.
  /// For long-running functions: poll the token, and return `cancelled` when a stop is requested.
  /// That happens when the caller cancels or goes, at the deadline, and when the node stops. A stop
  /// callback runs inside the dispatcher and must neither block nor throw. A function inside the
  /// dispatcher is never asked to stop.
  std::stop_token stop;
};

/// A command's function. It may move values out of the arguments. An exception becomes
/// `handler_failed`.
using command_function = std::function<result<value>(arguments&, const command_context&)>;

/// Asks the handler of a command to run it. Answered with the result, however late: until then the
/// request keeps its place among the command's concurrent executions.
struct invocation {
  invoke_command command;
  std::uint64_t ticket = 0;  ///< Names the invocation when it is cancelled; 0 for never.
};

/// An actor that handles commands, such as the supervisor of a plugin.
using command_handler_actor = caf::typed_actor<
    // Runs a command.
    caf::result<value>(invocation),
    // The result is no longer wanted: the caller cancelled, or the deadline passed. End the work
    // and answer the invocation, with `cancelled` say.
    caf::result<void>(cancel_request)>;

/// Runs inside the dispatcher. The function must be cheap and never block.
struct inline_handler {
  command_function run;
};
/// Runs on a worker thread: the way for most commands.
struct worker_handler {
  command_function run;
};

/// What runs a command, and where.
using command_handler = std::variant<inline_handler, worker_handler, command_handler_actor>;

/// Asks the dispatcher to offer a command. Answered once the command can be run.
struct add_command {
  command_spec spec;
  command_handler handler;
  std::vector<custom_check> checks;
};

/// Asks the dispatcher to remove those of the named commands that this handler offers. Sent by the
/// handler, it also undoes an earlier `add_command` that is not answered yet.
struct retract_commands {
  std::vector<std::string> names;
  caf::actor_id handler = caf::invalid_actor_id;
};

/// Asks a worker to run a function. The worker sends `function_done` when it has ended.
struct run_function {
  std::uint64_t execution = 0;
  std::shared_ptr<const command_function> run;
  arguments given;
  principal_ptr caller;
  trace_id trace;
  std::chrono::steady_clock::time_point deadline;
  std::stop_token stop;
};

/// A worker has finished.
struct function_done {
  std::uint64_t execution = 0;
  result<value> outcome;
};

/// Asks the dispatcher to reject all further requests, to ask running functions to stop, and to
/// wait for them, at most `deadline`. Fails with the names of the commands whose functions still
/// run then.
struct stop_commands {
  std::chrono::milliseconds deadline{0};
};

/// An actor that has functions run.
using function_sink = caf::typed_actor<caf::result<void>(function_done)>;

}  // namespace troupe

#define TROUPE_COMMAND_TYPES(X)                \
  X(troupe_commands, troupe::execute_command)  \
  X(troupe_commands, troupe::add_command)      \
  X(troupe_commands, troupe::run_function)     \
  X(troupe_commands, troupe::function_done)    \
  X(troupe_commands, troupe::stop_commands)    \
  X(troupe_commands, troupe::retract_commands) \
  X(troupe_commands, troupe::invocation)

TROUPE_LOCAL_TYPES(troupe_commands, 1220, TROUPE_COMMAND_TYPES)
