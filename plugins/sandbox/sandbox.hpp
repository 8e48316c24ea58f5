#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <troupe/messages/error.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/plugins/capability.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// One plugin to be started.
struct sandbox_spec {
  std::string plugin;             ///< Its name, unique within the sandbox; see `is_plugin_name`.
  std::filesystem::path package;  ///< Its package, absolute.
  std::vector<std::string>
      entry;                 ///< Program and arguments. A relative program is inside the package.
  security_context context;  ///< Confines it.
  std::vector<std::filesystem::path>
      readable;  ///< What it may read beside its package: existing absolute paths.
  std::map<std::string, std::string>
      environment;  ///< Variables beside those of every plugin. Nothing else is passed on.
  std::chrono::milliseconds start_deadline{
      std::chrono::seconds{10}};  ///< For the sandbox to be made; see `create`.
};

/// One kind of protection and the mechanism that provides it, for the operator, such as
/// `{"storage", "tmpfs, bytes and inodes"}`.
struct sandbox_layer {
  std::string name;
  std::string mechanism;  ///< `"none"` when there is none.

  friend bool operator==(const sandbox_layer&, const sandbox_layer&) = default;
};

/// A plugin that runs. The holder of this owns the descriptors, which are close-on-exec. The
/// sandbox owns the process, and alone signals and reaps it.
struct sandboxed_process {
  pid_t pid = 0;    ///< For logs. Do not signal it: numbers are reused.
  unique_fd pidfd;  ///< Becomes readable when the whole tree has ended.
  unique_fd
      socket;  ///< Our end of the stream socket that is the plugin's only way in or out. Blocking.
  unique_fd output;  ///< What it writes to standard output and error, merged. Non-blocking; bounded
                     ///< by the pipe.
  std::vector<sandbox_layer> layers;
};

/// How a process ended: with a status of its own, or by a signal.
struct exit_status {
  int status = 0;  ///< 0..255.
  int signal = 0;  ///< 0 when it ended by itself.

  bool is_success() const noexcept { return status == 0 && signal == 0; }
  friend bool operator==(const exit_status&, const exit_status&) = default;
};

/// `"exit status 3"` or `"signal 9"`.
std::string to_string(const exit_status& status);

/// Decides about operations of plugins, such as `context.read:/app/theme`, by the policy of the
/// plugin's supervisor.
using permission_check =
    std::function<result<permission_decision>(std::string_view plugin, std::string_view operation)>;

/// Runs plugins as processes that can do what they may do, and no more. This is the type
/// `plugin_sandbox` of the requirements.
///
/// Not thread-safe. `create` must always be called from the same thread, which must outlive every
/// plugin: the kernel ends a plugin with the thread that started it (`PR_SET_PDEATHSIG`), and so
/// with a host that is killed. The host may have any number of other threads.
class plugin_sandbox {
public:
  explicit plugin_sandbox(permission_check check);
  virtual ~plugin_sandbox() = default;
  plugin_sandbox(const plugin_sandbox&) = delete;
  plugin_sandbox& operator=(const plugin_sandbox&) = delete;

  /// `"bubblewrap"` or `"none"`.
  virtual std::string_view name() const noexcept = 0;

  /// Starts a plugin. Returns when its program has taken over. Fails with `deadline_exceeded` after
  /// `spec.start_deadline`, with `already_exists` while the name is in use, with `invalid_argument`
  /// for a malformed spec, and with `unavailable` or `permission_denied` when this machine cannot
  /// give a layer; the message names the layer and what to do. A failure leaves nothing behind.
  /// Blocks.
  virtual result<sandboxed_process> create(const sandbox_spec& spec) = 0;

  /// Asks the program to end, with SIGTERM. Does not wait.
  virtual result<void> request_stop(std::string_view plugin) = 0;

  /// How the plugin ended, or nothing while it runs. Does not wait. `not_found` for a name that is
  /// not in use.
  virtual result<std::optional<exit_status>> poll_exit(std::string_view plugin) = 0;

  /// Ends a plugin: SIGTERM, then up to `grace` for the program to end, then the end of everything
  /// it started; reaps, and removes what the sandbox made for it. With a grace of zero there is no
  /// SIGTERM. Close the socket first. A name that is not in use is success, with nothing:
  /// destroying twice is fine.
  virtual result<std::optional<exit_status>> destroy(std::string_view plugin,
                                                     std::chrono::milliseconds grace) = 0;

  /// What the plugin uses now and what holds its limits.
  virtual result<resource_usage> track_resources(std::string_view plugin) = 0;

  /// Fails with `limit_exceeded` when the plugin exceeds a limit that only this check enforces.
  /// Call it repeatedly, and end the plugin when it fails.
  virtual result<void> check_limits(std::string_view plugin) = 0;

  /// Whether the plugin may do this now, by the check that was given to the constructor. The
  /// sandbox keeps no policy.
  result<permission_decision> check_permission(std::string_view plugin,
                                               std::string_view operation) const;

  /// Ends processes and removes control groups of hosts that were killed. Call once, before the
  /// first `create`. Returns how many hosts were cleaned up after.
  virtual result<std::size_t> remove_leftovers() = 0;

private:
  permission_check check_;
};

}  // namespace troupe
