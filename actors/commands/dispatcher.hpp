#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>

namespace troupe {

/// The one door for all commands of a node; a `command_desk` decides. A request passes six steps,
/// and a class of its own decides each of them: resolve (`resolver`), permit (`permit`), validate
/// (`validator`), admit (`admission`), run (`work_schedule`) and record (`performance_monitor`).
/// Every request is answered: with a result, an error, or at its cancellation or deadline.
using dispatcher_actor = caf::typed_actor<
    // Runs a command.
    caf::result<value>(execute_command),
    // The sender cancels its request. A waiting request never runs; a running one is asked to stop.
    // The request is answered `cancelled` at once.
    caf::result<void>(cancel_request),
    // Offers a command, or removes commands. Requests in the queue of a removed command are
    // answered `unavailable`.
    caf::result<void>(add_command), caf::result<void>(remove_commands),
    caf::result<void>(retract_commands),
    // Lists and describes commands.
    caf::result<command_list>(list_commands), caf::result<command_spec>(describe_command),
    // Performance.
    caf::result<metrics_list>(get_metrics), caf::result<void>(reset_metrics),
    // The same over links: `command.*` and `metrics.*`.
    caf::result<payload>(service_call), caf::result<void>(service_notification),
    // Rejects new and waiting requests. Answered when no function runs any more.
    caf::result<void>(stop_commands),
    // From workers, and from the clock.
    caf::result<void>(function_done), caf::result<void>(tick)>;

/// The bounds of a dispatcher.
struct dispatcher_config {
  std::size_t max_commands = 10'000;
  std::size_t max_waiting = 100'000;  ///< Requests in all queues. More are rejected: `overloaded`.
  std::size_t max_workers = 64;       ///< Threads for functions, started when needed.
  /// How long a handler actor may work on a request past its deadline. Until then, or until it
  /// answers or ends, the request keeps its place among the command's concurrent executions.
  std::chrono::milliseconds handler_grace = std::chrono::hours{1};
};

/// Starts the dispatcher of a node, without commands. Its workers end with it.
dispatcher_actor spawn_dispatcher(caf::actor_system& system, const dispatcher_config& config,
                                  const log_target& log);

/// The dispatcher of a node. Waits for the functions that run before it ends.
child_spec dispatcher_child(caf::actor_system& system, const dispatcher_config& config,
                            const log_target& log, on_started<dispatcher_actor> started);

}  // namespace troupe
