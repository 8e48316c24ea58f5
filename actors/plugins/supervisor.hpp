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

namespace troupe {

/// The only way into and out of one plugin. Owns its connection, its permissions and its restart
/// policy, stamps its identity on everything it says, and checks every message against the policy
/// of the moment at which it is handled.
using supervisor_actor = caf::typed_actor<
    // Runs a command of the plugin. Calls that are open when it dies are answered `plugin_crashed`.
    caf::result<value>(invocation),
    // An answer is not wanted any more: tells the plugin, which answers when it has stopped.
    caf::result<void>(cancel_request),
    // Starts or stops the plugin. Answered when it runs, or when nothing of it is left; after a
    // stop the supervisor ends.
    caf::result<void>(plugin_order),
    // What is known of it.
    caf::result<plugin_info>(describe_plugin),
    // Changes what it may do, from the next message on.
    caf::result<void>(alter_grant),
    // From the launcher, and from the clock.
    caf::result<void>(plugin_exited), caf::result<void>(plugin_exceeded), caf::result<void>(tick)>;

/// Everything that the supervisors of a node share.
struct plugin_environment {
  launcher_actor launcher;
  dispatcher_actor dispatcher;
  audit_actor audit;
  service_table services;            ///< What plugins may ask of the node.
  session_accepted introduction;     ///< What the node says of itself.
  std::filesystem::path python_sdk;  ///< Directory of the Python SDK; empty when there is none.
  log_target log;
};

/// One plugin to supervise: what its package says of itself, and what the operator grants it.
struct supervisor_setup {
  std::shared_ptr<const plugin_manifest> manifest;
  std::filesystem::path package;
  std::vector<std::string> grants;  ///< Of what the manifest requests; empty grants all of it.
  plugin_environment environment;
};

/// Starts the supervisor of a plugin, not yet the plugin: that is an order of its own. The
/// supervisor ends after a stop, or when whoever started it dismisses it; its plugin ends with it
/// in any case. @throws tl::bad_expected_access when `make_policy` fails for the setup.
supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_setup setup);

/// The policy that a manifest and the operator's grants make. Fails when a grant is malformed.
result<permissions> make_policy(const plugin_manifest& manifest,
                                const std::vector<std::string>& grants);

}  // namespace troupe
