#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>

namespace troupe {

/// Runs one function after the other on a thread of its own, because the functions of a host may
/// wait.
using worker_actor = caf::typed_actor<caf::result<void>(run_function)>;

/// Starts a worker and its thread, which ends with it.
worker_actor spawn_worker(caf::actor_system& system);

/// Calls the function of a command; what it throws becomes an error.
result<value> call_function(const command_function& run, arguments& given,
                            const command_context& about) noexcept;

}  // namespace troupe
