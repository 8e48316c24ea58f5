#pragma once

#include <chrono>
#include <functional>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/plugins/supervisor.hpp>

namespace troupe {

/// Manages the plugins of a node: it lets the launcher read and check their packages, starts a
/// supervisor for each plugin and passes orders to the supervisors.
using plugin_manager_actor = caf::typed_actor<
    // Starts the plugin of a package. Answered when it runs, or with the reason why it does not.
    caf::result<plugin_info>(load_plugin),
    // Stops a plugin. Answered when nothing of it is left.
    caf::result<void>(unload_plugin),
    // Lists all plugins, in the order of their names.
    caf::result<plugin_list>(list_plugins),
    // Stops all plugins, then ends.
    caf::result<void>(stop_plugins),
    // `plugin.*` over links.
    caf::result<payload>(service_call), caf::result<void>(service_notification)>;

/// For reading a package, whose files may be large.
inline constexpr std::chrono::seconds read_deadline{60};
/// For the dispatcher's list of commands, which a host's inline command may delay.
inline constexpr std::chrono::seconds names_deadline{20};
/// For the launcher to make or end the sandbox, beyond a plugin's own deadlines.
inline constexpr std::chrono::seconds order_slack{20};
/// For the load of a plugin with the longest deadlines that a manifest may have.
inline constexpr std::chrono::seconds load_deadline =
    read_deadline + names_deadline + max_start_deadline + 2 * order_slack;

/// Starts the manager of a node without any plugins. It owns its supervisors and ends after a stop.
/// When it ends otherwise, it dismisses them. Never fails.
plugin_manager_actor spawn_plugin_manager(caf::actor_system& system,
                                          plugin_environment environment);

/// The plugin manager of a node. Stops all plugins before it ends. @param environment Called when
/// the children before it have started.
child_spec plugin_manager_child(caf::actor_system& system,
                                std::function<plugin_environment()> environment,
                                on_started<plugin_manager_actor> started);

}  // namespace troupe
