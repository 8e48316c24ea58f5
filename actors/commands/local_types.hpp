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

#include <troupe/actors/commands/validator.hpp>
#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/messages/execution.hpp>

namespace troupe {

/// What a function that handles a command knows beside the arguments.
struct command_context {
  std::string_view principal;  ///< The name of the caller. Valid during the call.
  trace_id trace;
  std::chrono::steady_clock::time_point deadline;  ///< When nobody waits for the answer any more.
  /// Asked to stop when that is so already: the caller has cancelled the request or gone, its
  /// deadline has passed, or the node is being stopped. A function that takes long looks at it, and
  /// returns `cancelled`. What is registered with it runs inside the dispatcher and must neither
  /// wait nor throw. Functions inside the dispatcher are never asked.
  std::stop_token stop;
};

/// A function that handles a command. It may take values out of the arguments, which nobody needs
/// after it. What it throws becomes `handler_failed`.
using command_function = std::function<result<value>(arguments&, const command_context&)>;

/// Asks the handler of a command to do its work. Answered with the result.
struct invocation {
  invoke_command command;
  std::uint64_t ticket = 0;  ///< By which the sender may cancel it; 0 when it will not.
};

/// An actor that handles commands, such as the supervisor of a plugin.
using command_handler_actor = caf::typed_actor<
    // Runs a command.
    caf::result<value>(invocation),
    // Its result is not wanted any more: the work should end, and the invocation be answered
    // `cancelled`.
    caf::result<void>(cancel_request)>;

/// Runs inside the dispatcher, so it must be cheap and never wait.
struct inline_handler {
  command_function run;
};
/// Runs on a worker thread. This is how most commands should run.
struct worker_handler {
  command_function run;
};

/// Whatever handles a command, and by that where it runs.
using command_handler = std::variant<inline_handler, worker_handler, command_handler_actor>;

/// Asks the dispatcher to offer a command from now on. Answered once it can be run.
struct add_command {
  command_spec spec;
  command_handler handler;
  std::vector<custom_check> checks;
};

/// Asks the dispatcher to forget the named commands of one handler, as when its plugin has gone.
/// What others offer stays. Sent by the handler itself, it also undoes an `add_command` before it
/// that has not been answered.
struct retract_commands {
  std::vector<std::string> names;
  caf::actor_id handler = caf::invalid_actor_id;
};

/// Asks a worker to run a function; the worker answers the dispatcher with `function_done`.
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

/// Asks the dispatcher to take no more requests, to ask the functions that run to stop, and to wait
/// for them, at most `deadline`. Fails with their commands' names when some have not returned by
/// then.
struct stop_commands {
  std::chrono::milliseconds deadline{0};
};

/// Whoever has functions run.
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
