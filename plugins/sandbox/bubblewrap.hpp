#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include <troupe/plugins/sandbox/cgroup.hpp>
#include <troupe/plugins/sandbox/host_record.hpp>
#include <troupe/plugins/sandbox/process_handle.hpp>
#include <troupe/plugins/sandbox/process_sample.hpp>
#include <troupe/plugins/sandbox/sandbox.hpp>
#include <troupe/plugins/sandbox/weaker_mode.hpp>

namespace troupe {

/// Where the sandbox finds its programs and keeps its records, and how much protection it may do
/// without.
struct bubblewrap_config {
  /// Absolute and not below `/tmp`, or a name that is looked for in `/usr/bin`, `/bin` and
  /// `/usr/local/bin`.
  std::filesystem::path bwrap = "bwrap";
  std::filesystem::path plugin_init;  ///< The `troupe-plugin-init` program, absolute.
  std::filesystem::path
      record_directory;  ///< Where the record for `remove_leftovers` is kept; made when missing.
  uid_t first_identity =
      2'000'000'000;  ///< When the host is root, plugins run as this user, the next, and so on.
  std::vector<weaker_mode> allow;  ///< Protection that may be missing.
  cgroup_site cgroups = cgroup_site::find();
};

/// The default sandbox: namespaces by bubblewrap, and inside them `troupe-plugin-init`.
///
/// The layers around a plugin, from the outside in:
///
/// - A process namespace around bwrap itself. Ending its first process ends all; the kernel ends it
///   with the host.
/// - Control groups for memory, CPU and processes where this host may make them. Otherwise
///   `RLIMIT_NPROC`, and for memory `RLIMIT_DATA` for each process with `check_limits` for their
///   sum.
/// - An unprivileged user: the host's own, or one for each plugin when the host is root.
/// - bwrap: every namespace unshared (so no network), no capabilities. The plugin sees `/usr`, the
///   host's loader cache, its package at `/plugin` and the `readable` paths, all read-only; `/proc`
///   of its own processes; a `/dev` of harmless devices; `/tmp` and `/dev/shm` in one tmpfs with
///   limited bytes and inodes. The unprivileged user must be able to read the package and the
///   readable paths.
/// - plugin-init: closes descriptors, sets rlimits, applies Landlock and the system call filter.
///
/// bwrap reports a program that a signal has ended as exit status 128 plus the signal's number.
///
/// The tmpfs is made in a mount namespace of the plugin's own, so the host's mounts never change.
/// Nothing of a plugin outlives the host but empty control groups, which `remove_leftovers`
/// removes.
///
/// The program finds: its package as working directory and `/plugin`, descriptor 3 as its socket,
/// standard input empty, and the variables `PATH`, `HOME`, `TMPDIR`, `LANG`, `TROUPE_PLUGIN` (its
/// name), `TROUPE_SOCKET` (`3`) and those of the spec.
class bubblewrap final : public plugin_sandbox {
public:
  /// `unavailable` when bwrap or plugin-init is missing, with what to install; `storage_failure`
  /// for the record.
  static result<std::unique_ptr<bubblewrap>> open(bubblewrap_config config, permission_check check);
  /// Ends every plugin, without grace.
  ~bubblewrap() override;

  std::string_view name() const noexcept override { return "bubblewrap"; }
  result<sandboxed_process> create(const sandbox_spec& spec) override;
  result<void> request_stop(std::string_view plugin) override;
  result<std::optional<exit_status>> poll_exit(std::string_view plugin) override;
  result<std::optional<exit_status>> destroy(std::string_view plugin,
                                             std::chrono::milliseconds grace) override;
  result<resource_usage> track_resources(std::string_view plugin) override;
  /// Without a control group for memory, compares the memory of all processes, shared pages
  /// included, with the limit.
  result<void> check_limits(std::string_view plugin) override;
  result<std::size_t> remove_leftovers() override;

private:
  /// One plugin from its start to `destroy`.
  struct instance {
    process_handle tree;
    unique_fd entry;  ///< pidfd of the plugin's own program.
    cgroup groups;
    std::vector<std::filesystem::path>
        recorded;  ///< The directories of the groups, as the record has them.
    std::uint64_t max_memory_bytes;
    std::uint32_t slot;  ///< Index of its user, from `first_identity` on.
  };

  bubblewrap(bubblewrap_config config, permission_check check, host_record record);

  std::uint32_t free_slot() const;
  result<std::vector<std::filesystem::path>> record_groups(const std::string& name);
  result<instance*> find(std::string_view plugin);
  static process_sample sample(instance& one);

  bubblewrap_config config_;
  host_record record_;
  std::uint64_t created_ = 0;
  std::map<std::string, instance, std::less<>> instances_;
};

}  // namespace troupe
