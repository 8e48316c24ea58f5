#pragma once

#include <functional>
#include <memory>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/plugins/local_types.hpp>
#include <troupe/actors/plugins/package_reader.hpp>

namespace troupe {

/// Owns the sandbox: the one thread that starts, watches and ends plugin processes, for as long as
/// the node lives. (A plugin ends with the thread that started it.) Also logs what plugins write to
/// their standard output and samples what they use where nothing else limits it. Passes packages
/// to a package reader.
using launcher_actor = caf::typed_actor<
    // Passes a package to the package reader, which checks it while the launcher goes on.
    caf::result<package_read>(read_package),
    // Starts a plugin. The watcher learns when its process ends by itself or uses too much.
    caf::result<plugin_launched>(launch_plugin),
    // Ends a plugin. Answered when nothing of it is left, or with the reason why something is; a
    // later order tries again.
    caf::result<plugin_ended>(end_plugin),
    // The resources that a plugin uses now.
    caf::result<resource_usage>(track_plugin),
    // Asks the sandbox what a plugin may do, by the policy in the question.
    caf::result<permission_decision>(check_by_policy),
    // Lets time pass.
    caf::result<void>(tick)>;

/// Makes the sandbox, on the thread that starts the launcher. The sandbox works on the launcher's
/// own thread later.
using sandbox_factory = std::function<result<std::unique_ptr<plugin_sandbox>>(permission_check)>;

/// Starts a launcher on a thread of its own. It owns the sandbox, and everything that runs in it
/// ends with the launcher. Its owner ends it. When the factory fails, every request but
/// `read_package` is answered with its error.
/// @param reader is not owned.
launcher_actor spawn_launcher(caf::actor_system& system, sandbox_factory make,
                              package_reader_actor reader, const log_target& log);

/// The launcher of a node. @param reader Called when the children before it have started.
child_spec launcher_child(caf::actor_system& system, sandbox_factory make,
                          std::function<package_reader_actor()> reader, const log_target& log,
                          on_started<launcher_actor> started);

}  // namespace troupe
