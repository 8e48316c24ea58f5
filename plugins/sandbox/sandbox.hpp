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

/// One kind of protection and what provides it, for the operator to read: `{"storage", "tmpfs,
/// bytes and inodes"}`.
struct sandbox_layer {
  std::string name;
  std::string mechanism;  ///< `"none"` when nothing does.

  friend bool operator==(const sandbox_layer&, const sandbox_layer&) = default;
};

/// A plugin that runs. The descriptors are close-on-exec and belong to whoever holds this; the
/// process belongs to the sandbox that made it, which alone signals and reaps it.
struct sandboxed_process {
  pid_t pid = 0;    ///< For logs. Not to be signalled: numbers are given out again.
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

/// Decides on operations of plugins, such as `context.read:/app/theme`. The supervisor's policy
/// answers behind it.
using permission_check =
    std::function<result<permission_decision>(std::string_view plugin, std::string_view operation)>;

/// Runs plugins as processes that can do no more than they may.
///
/// Not thread-safe. `create` must always be called from the same thread, which must outlive every
/// plugin: the kernel ends a plugin when the thread that started it ends (`PR_SET_PDEATHSIG`),
/// which is what makes plugins go with a host that is killed. The process around may have any
/// number of other threads.
class plugin_sandbox {
public:
  explicit plugin_sandbox(permission_check check);
  virtual ~plugin_sandbox() = default;
  plugin_sandbox(const plugin_sandbox&) = delete;
  plugin_sandbox& operator=(const plugin_sandbox&) = delete;

  /// `"bubblewrap"` or `"none"`.
  virtual std::string_view name() const noexcept = 0;

  /// Starts a plugin and returns when its program has taken over, or when it is known why it
  /// cannot: within `spec.start_deadline` (`deadline_exceeded`). `already_exists` when the name is
  /// taken until `destroy`, `invalid_argument` for a malformed spec, `unavailable` or
  /// `permission_denied` with the name of the layer that this machine cannot give, and what to do
  /// about it. A failure leaves nothing behind. Blocks.
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

  /// Fails with `limit_exceeded` when the plugin uses more than its limits of what nothing but this
  /// holds down. To be asked again and again; whoever asks then ends the plugin.
  virtual result<void> check_limits(std::string_view plugin) = 0;

  /// Whether the plugin may do this now, by the policy that was given to the constructor.
  result<permission_decision> check_permission(std::string_view plugin,
                                               std::string_view operation) const;

  /// Ends processes and removes control groups of hosts that were killed. Call once, before the
  /// first `create`. Returns how many hosts were cleaned up after.
  virtual result<std::size_t> remove_leftovers() = 0;

private:
  permission_check check_;
};

}  // namespace troupe
