#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include <troupe/messages/field.hpp>
#include <troupe/plugins/sandbox/cgroup.hpp>
#include <troupe/plugins/sandbox/host_record.hpp>
#include <troupe/plugins/sandbox/process_handle.hpp>
#include <troupe/plugins/sandbox/sandbox.hpp>

namespace troupe {

/// Protection that an operator may agree, by name, to go without.
enum class weaker_mode : std::uint8_t {
  no_landlock,  ///< Run plugins on kernels without Landlock: files are then guarded by the mount namespace alone.
};

template <>
struct enum_names<weaker_mode> {
  static constexpr std::array<enumerator<weaker_mode>, 1> names{{{weaker_mode::no_landlock, "no-landlock"}}};
};

struct bubblewrap_config {
  /// Absolute and not below `/tmp`, or a name that is looked for in `/usr/bin`, `/bin` and `/usr/local/bin`.
  std::filesystem::path bwrap = "bwrap";
  std::filesystem::path plugin_init;       ///< The `troupe-plugin-init` program, absolute.
  std::filesystem::path record_directory;  ///< Where the record for `remove_leftovers` is kept; made when missing.
  uid_t first_identity = 2'000'000'000;    ///< When the host is root, plugins run as this user, the next, and so on.
  std::vector<weaker_mode> allow;          ///< What may be done without.
  cgroup_site cgroups = cgroup_site::find();
};

/// The default sandbox: namespaces by bubblewrap, and inside them `troupe-plugin-init`.
///
/// What holds a plugin, from the outside in:
///
/// - a process namespace around bwrap itself, so that ending one process ends all; the kernel ends that one with the host;
/// - control groups for memory, CPU and processes where this host may make them, else `RLIMIT_DATA` and `RLIMIT_NPROC`;
/// - an unprivileged user: the host's own, or one of its own for each plugin when the host is root;
/// - bwrap: every namespace unshared (so no network), no capabilities. It sees `/usr` and the loader's cache of the host,
///   its package at `/plugin` and what `readable` lists, all read-only; `/proc` of its own processes; a `/dev` of the harmless
///   devices; `/tmp` and `/dev/shm` in one tmpfs that is limited in bytes and in inodes. The package and the readable paths
///   must be readable by that user;
/// - plugin-init: closes descriptors, sets rlimits, applies Landlock and the system call filter.
///
/// The tmpfs is made in a mount namespace of the plugin's own, so the host's mounts never change. Nothing of a plugin
/// outlives the host but empty control groups, which `remove_leftovers` removes.
///
/// The program finds: its package as working directory and `/plugin`, descriptor 3 as its socket, standard input empty, and
/// the variables `PATH`, `HOME`, `TMPDIR`, `LANG`, `TROUPE_PLUGIN` (its name), `TROUPE_SOCKET` (`3`) and those of the spec.
class bubblewrap final : public plugin_sandbox {
public:
  /// `unavailable` when bwrap or plugin-init is missing, with what to install; `storage_failure` for the record.
  static result<std::unique_ptr<bubblewrap>> open(bubblewrap_config config, permission_check check);
  /// Ends every plugin, without grace.
  ~bubblewrap() override;

  std::string_view name() const noexcept override { return "bubblewrap"; }
  result<sandboxed_process> create(const sandbox_spec& spec) override;
  result<void> request_stop(std::string_view plugin) override;
  result<std::optional<exit_status>> poll_exit(std::string_view plugin) override;
  result<std::optional<exit_status>> destroy(std::string_view plugin, std::chrono::milliseconds grace) override;
  result<resource_usage> track_resources(std::string_view plugin) override;
  result<std::size_t> remove_leftovers() override;

private:
  /// One plugin from its start to `destroy`.
  struct instance {
    process_handle tree;
    unique_fd entry;  ///< pidfd of the plugin's own program.
    cgroup groups;
    std::uint32_t slot;  ///< Which of the identities it has.
  };

  bubblewrap(bubblewrap_config config, permission_check check, host_record record);

  std::uint32_t free_slot() const;
  result<cgroup> make_groups(const sandbox_spec& spec);
  result<instance*> find(std::string_view plugin);

  bubblewrap_config config_;
  host_record record_;
  std::uint64_t created_ = 0;
  std::map<std::string, instance, std::less<>> instances_;
};

}  // namespace troupe
