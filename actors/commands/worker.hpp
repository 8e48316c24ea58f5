#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>

namespace troupe {

/// Runs functions, one after the other, on a thread of its own: a host's functions may block.
using worker_actor = caf::typed_actor<caf::result<void>(run_function)>;

/// Starts a worker and its thread. The thread ends with the worker.
worker_actor spawn_worker(caf::actor_system& system);

/// Calls the function of a command. An exception becomes an error.
result<value> call_function(const command_function& run, arguments& given,
                            const command_context& about) noexcept;

}  // namespace troupe
