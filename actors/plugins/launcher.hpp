#pragma once

#include <functional>
#include <memory>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision.hpp>
#include <troupe/actors/plugins/local_types.hpp>
#include <troupe/actors/plugins/package_reader.hpp>

namespace troupe {

/// Owns the sandbox: the one thread that starts, watches and ends plugin processes, for as long as
/// the node lives. (A plugin ends with the thread that started it.) Also reads what plugins write
/// to their standard output into the log, samples what they use where nothing else limits it, and
/// has packages read by their reader.
using launcher_actor = caf::typed_actor<
    // Has a package read and checked, beside everything else.
    caf::result<package_read>(read_package),
    // Starts a plugin; tells the watcher when its process ends by itself, or is to be ended for
    // what it uses.
    caf::result<plugin_launched>(launch_plugin),
    // Ends one. Answered when nothing of it is left, or with why something is; the next order then
    // tries again.
    caf::result<plugin_ended>(end_plugin),
    // What one uses now.
    caf::result<resource_usage>(track_plugin),
    // Keeps the policy of a plugin, and answers by it.
    caf::result<void>(policy_changed), caf::result<permission_decision>(check_operation),
    // Lets time pass.
    caf::result<void>(tick)>;

/// Makes the sandbox, on the thread that starts the launcher; what the sandbox does later it does
/// on the launcher's own.
using sandbox_factory = std::function<result<std::unique_ptr<plugin_sandbox>>(permission_check)>;

/// @param reader is not owned.
/// Starts a launcher on a thread of its own. It owns the sandbox and ends what runs in it when it
/// ends itself; whoever holds the handle ends it. When the factory fails, everything but
/// `read_package` is answered with its error.
launcher_actor spawn_launcher(caf::actor_system& system, sandbox_factory make,
                              package_reader_actor reader, const log_target& log);

/// The launcher of a node. @param reader Called when the children before it have started.
child_spec launcher_child(caf::actor_system& system, sandbox_factory make,
                          std::function<package_reader_actor()> reader, const log_target& log,
                          on_started<launcher_actor> started);

}  // namespace troupe
