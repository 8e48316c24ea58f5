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
#include <troupe/actors/plugins/permissions.hpp>
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
/// The answer: what the package says of itself. Shared, as supervisor and manager keep it.
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
/// A plugin uses more than its limits; it is to be ended. Told once in a run.
struct plugin_exceeded {
  std::string plugin;
  std::string what;
};
/// Told of the ends of plugins, and of what asks for one.
using exit_watcher =
    caf::typed_actor<caf::result<void>(plugin_exited), caf::result<void>(plugin_exceeded)>;

/// Asks the launcher to start a plugin, once the files of its package have been found to have the
/// sums of the manifest.
struct launch_plugin {
  sandbox_spec spec;
  exit_watcher watcher;
  std::shared_ptr<const plugin_manifest> manifest;
  std::vector<std::filesystem::path>
      files;  ///< What the plugin may read beside `spec.readable`, where it is a regular file.
  std::vector<std::filesystem::path>
      trees;  ///< The same, where it is a directory that can be shown.
};
/// A plugin's process runs.
struct plugin_launched {
  std::shared_ptr<unique_fd> socket;
  std::uint64_t process = 0;
  std::vector<sandbox_layer> layers;
};

/// Asks the launcher to end a plugin: after `patience`, in which it may end by itself, politely,
/// and `grace` later by force. Answered when nothing of it is left.
struct end_plugin {
  std::string plugin;
  std::chrono::milliseconds grace{0};
  bool for_good = false;  ///< It is not started again: its policy is forgotten as well.
  std::chrono::milliseconds patience{0};
};
/// The answer.
struct plugin_ended {
  std::optional<exit_status> status;  ///< How it ended, unless it was by force or long ago.
  std::string last_output = {};       ///< As in `plugin_exited`.
};

/// Asks the launcher what a plugin uses.
struct track_plugin {
  std::string plugin;
};

/// Tells the launcher the policy of a plugin as it is from now on.
struct policy_changed {
  std::string plugin;
  std::shared_ptr<const permissions> policy;
};
/// Asks whether a plugin may do something now, such as `context.read:/app/theme`.
struct check_operation {
  std::string plugin;
  std::string operation;
};

/// Starts, or stops, a supervisor's plugin. Answered when it runs, or has gone.
enum class plugin_order : std::uint8_t { start, stop };
/// Stops all plugins of a manager, which then ends. The error names those that were still running
/// after this time.
struct stop_plugins {
  std::chrono::milliseconds deadline{10'000};
};

/// Asks a supervisor what it knows of its plugin. Answered with a `plugin_info`.
struct describe_plugin {};

/// Gives or takes a capability from the next message on.
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
  X(troupe_plugins, troupe::policy_changed)  \
  X(troupe_plugins, troupe::check_operation) \
  X(troupe_plugins, troupe::plugin_order)    \
  X(troupe_plugins, troupe::stop_plugins)    \
  X(troupe_plugins, troupe::alter_grant)     \
  X(troupe_plugins, troupe::verify_package)  \
  X(troupe_plugins, troupe::plugin_exceeded) \
  X(troupe_plugins, troupe::plugin_ended)    \
  X(troupe_plugins, troupe::describe_plugin)

TROUPE_LOCAL_TYPES(troupe_plugins, 1240, TROUPE_PLUGIN_TYPES)
