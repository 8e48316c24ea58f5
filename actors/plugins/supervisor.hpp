#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/actors/monitor/audit.hpp>
#include <troupe/actors/plugins/launcher.hpp>
#include <troupe/actors/plugins/policy/grant_book.hpp>

namespace troupe {

/// The only way into and out of one plugin. Owns its connection, its permissions and its life over
/// all restarts, stamps its identity on everything that it asks for, and checks every message
/// against the policy of the moment at which it is handed on.
using supervisor_actor = caf::typed_actor<
    // Runs a command of the plugin. Answered when the plugin has answered, however late. Calls that
    // are open when it crashes are answered `plugin_crashed`.
    caf::result<value>(invocation),
    // The answer is no longer wanted. The supervisor asks the plugin to cancel the call.
    caf::result<void>(cancel_request),
    // Starts or stops the plugin. Answered when it runs, or when nothing of it is left. The
    // supervisor ends after a stop.
    caf::result<void>(plugin_order),
    // Describes the plugin.
    caf::result<plugin_info>(describe_plugin),
    // Changes what the plugin may do, from the next message on.
    caf::result<void>(alter_grant),
    // Whether the plugin may do something now.
    caf::result<permission_decision>(check_operation),
    // From the launcher, and from the clock.
    caf::result<void>(plugin_exited), caf::result<void>(plugin_exceeded), caf::result<void>(tick)>;

/// Everything that the supervisors of a node share.
struct plugin_environment {
  launcher_actor launcher;
  dispatcher_actor dispatcher;
  audit_actor audit;
  service_table services;            ///< What plugins may ask of the node.
  session_accepted introduction;     ///< How the node introduces itself.
  std::filesystem::path python_sdk;  ///< Directory of the Python SDK; empty when there is none.
  log_target log;
};

/// One plugin to supervise.
struct supervisor_setup {
  std::shared_ptr<const plugin_manifest> manifest;
  std::filesystem::path package;
  grant_book grants;  ///< What the operator has granted it so far.
  plugin_environment environment;
};

/// Starts the supervisor of a plugin. The plugin itself starts by an order. The supervisor ends
/// after a stop, or when its owner dismisses it; its plugin ends with it in any case.
supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_setup setup);

}  // namespace troupe
