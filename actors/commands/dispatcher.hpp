#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision.hpp>

namespace troupe {

/// The one door for all commands of a node. A request passes six steps, and each is decided by a
/// class of its own that knows no actors: resolve (`resolver`), permit (`permit`), validate
/// (`validator`), admit (`admission`), run
/// (`work_schedule`, for functions that may wait; cheap ones run inside the dispatcher, and actors
/// are asked) and record
/// (`performance_monitor`). Every request is answered: with the result, an error, or when it is
/// cancelled or comes to its deadline.
using dispatcher_actor = caf::typed_actor<
    // Runs a command.
    caf::result<value>(execute_command),
    // The sender cancels what it asked for, over a link or not: what waits never runs, and what
    // runs is asked to stop.
    caf::result<void>(cancel_request),
    // Offers a command, or takes commands back. Requests that wait for a removed command are
    // answered `unavailable`.
    caf::result<void>(add_command), caf::result<void>(remove_commands),
    caf::result<void>(retract_commands),
    // Lists and describes commands.
    caf::result<command_list>(list_commands), caf::result<command_spec>(describe_command),
    // Performance.
    caf::result<metrics_list>(get_metrics), caf::result<void>(reset_metrics),
    // The same over links: `command.*` and `metrics.*`.
    caf::result<payload>(service_call), caf::result<void>(service_notification),
    // Takes no more requests and turns away those that wait; answered when no function runs any
    // more.
    caf::result<void>(stop_commands),
    // From workers, and from the clock.
    caf::result<void>(function_done), caf::result<void>(tick)>;

/// The bounds of a dispatcher.
struct dispatcher_config {
  std::size_t max_commands = 10'000;
  std::size_t max_waiting =
      100'000;  ///< Requests in all queues together; one more is refused as `overloaded`.
  std::size_t max_workers =
      64;  ///< Threads for functions, made when needed; further work waits for one.
};

/// Starts the dispatcher of a node; it has no commands yet. Its workers end with it.
dispatcher_actor spawn_dispatcher(caf::actor_system& system, const dispatcher_config& config,
                                  const log_target& log);

/// The dispatcher of a node. Waits for the functions that run before it ends.
child_spec dispatcher_child(caf::actor_system& system, const dispatcher_config& config,
                            const log_target& log, on_started<dispatcher_actor> started);

}  // namespace troupe
