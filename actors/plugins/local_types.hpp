#pragma once

// Messages of the plugin subsystem that never leave the process, and their type ids.

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>
#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/actors/plugins/life/plugin_process.hpp>
#include <troupe/actors/plugins/policy/permissions.hpp>
#include <troupe/messages/audit.hpp>
#include <troupe/messages/plugin_requests.hpp>
#include <troupe/plugins/manifest.hpp>
#include <troupe/plugins/sandbox/sandbox.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// Asks the launcher to read and check a package.
struct read_package {
  std::filesystem::path directory;
};
/// The answer: the manifest. Shared by supervisor and manager.
struct package_read {
  std::shared_ptr<const plugin_manifest> manifest;
};

/// Asks whether the files of a package still have the sums of its manifest.
struct verify_package {
  std::filesystem::path directory;
  std::shared_ptr<const plugin_manifest> manifest;
};

/// A plugin's process has ended by itself.
struct plugin_exited {
  std::string plugin;
  exit_status status;
  std::string last_output = {};  ///< The end of what it printed, fit for a line.
};
/// A plugin uses more than its limits and must be ended. Sent once for each launch.
struct plugin_exceeded {
  std::string plugin;
  std::string what;
};
/// Learns of the ends of processes, and of reasons to end one.
using exit_watcher =
    caf::typed_actor<caf::result<void>(plugin_exited), caf::result<void>(plugin_exceeded)>;

/// Asks the launcher to start a plugin. It first verifies the sums of the manifest. Answered with
/// `plugin_launched`.
struct launch_plugin {
  sandbox_spec spec;
  exit_watcher watcher;
  std::shared_ptr<const plugin_manifest> manifest;
  /// What the plugin may read beside `spec.readable`, where it is a regular file.
  std::vector<std::filesystem::path> files;
  /// The same, where it is a directory that can be shown.
  std::vector<std::filesystem::path> trees;
};

/// Asks the launcher to end a plugin: it gets `patience` to end by itself, is asked to end, gets
/// `grace`, and is ended by force. Answered with `plugin_ended` when nothing of it is left.
struct end_plugin {
  std::string plugin;
  std::chrono::milliseconds grace{0};
  std::chrono::milliseconds patience{0};
};

/// Asks the launcher what a plugin uses. Answered with `resource_usage`.
struct track_plugin {
  std::string plugin;
};

/// Asks a supervisor whether its plugin may do something now, such as `context.read:/app/theme`.
/// Answered with a `permission_decision`.
struct check_operation {
  std::string operation;
};
/// The same question, on its way from the supervisor to the sandbox, with the policy that answers
/// it.
struct check_by_policy {
  std::string plugin;
  std::string operation;
  std::shared_ptr<const permissions> policy;
};

/// Starts or stops a supervisor's plugin. Answered when it runs, or when nothing of it is left.
enum class plugin_order : std::uint8_t { start, stop };
/// Stops all plugins of a manager, which then ends. The error names those that still ran after this
/// time.
struct stop_plugins {
  std::chrono::milliseconds deadline{10'000};
};

/// Asks a supervisor to describe its plugin. Answered with a `plugin_info`.
struct describe_plugin {};

/// Gives or takes a capability, from the next message on.
struct alter_grant {
  enum class kind : std::uint8_t { grant, revoke };
  kind what = kind::grant;
  std::string text;
};

}  // namespace troupe

#define TROUPE_PLUGIN_TYPES(X)               \
  X(troupe_plugins, troupe::read_package)    \
  X(troupe_plugins, troupe::package_read)    \
  X(troupe_plugins, troupe::plugin_exited)   \
  X(troupe_plugins, troupe::launch_plugin)   \
  X(troupe_plugins, troupe::plugin_launched) \
  X(troupe_plugins, troupe::end_plugin)      \
  X(troupe_plugins, troupe::track_plugin)    \
  X(troupe_plugins, troupe::check_by_policy) \
  X(troupe_plugins, troupe::check_operation) \
  X(troupe_plugins, troupe::plugin_order)    \
  X(troupe_plugins, troupe::stop_plugins)    \
  X(troupe_plugins, troupe::alter_grant)     \
  X(troupe_plugins, troupe::verify_package)  \
  X(troupe_plugins, troupe::plugin_exceeded) \
  X(troupe_plugins, troupe::plugin_ended)    \
  X(troupe_plugins, troupe::describe_plugin)

TROUPE_LOCAL_TYPES(troupe_plugins, 1240, TROUPE_PLUGIN_TYPES)
