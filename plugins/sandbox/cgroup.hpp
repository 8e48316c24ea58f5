#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// Where this process may make control groups, for each resource. An empty path means nowhere.
struct cgroup_site {
  /// One controller's parent directory and the interface it speaks.
  struct place {
    std::filesystem::path parent;
    int version = 0;  ///< 1 or 2.
  };
  place memory;
  place cpu;
  place cpu_account;  ///< Version 1 only: where CPU time is counted.
  place pids;
  place unified;  ///< Version 2 without controllers is still good for ending a tree at once.

  /// Finds the groups that this process is in. Pure.
  /// @param mountinfo the text of `/proc/self/mountinfo`
  /// @param self_cgroup the text of `/proc/self/cgroup`
  /// @param v2_controllers the text of `cgroup.subtree_control` of the v2 group that this process
  /// is in
  static cgroup_site find(std::string_view mountinfo, std::string_view self_cgroup,
                          std::string_view v2_controllers);

  /// Finds them for the calling process. On version 2 the group must have been delegated with its
  /// controllers enabled for children, which systemd does with `Delegate=yes` and
  /// `DelegateSubgroup=`.
  static cgroup_site find();
};

/// The control groups of one plugin: made before it starts, joined by its first process, removed
/// after its last.
class cgroup {
public:
  /// Makes the groups and sets the limits, as far as the site allows. Never fails, since each
  /// resource has a weaker mechanism. `name` must be unused.
  cgroup(const cgroup_site& site, const std::string& name, const resource_limits& limits);
  /// Removes the groups that are left.
  ~cgroup();
  cgroup(cgroup&&) noexcept = default;
  cgroup& operator=(cgroup&&) = delete;

  /// Files to which a process writes `"0"` to join; open and close-on-exec.
  const std::vector<unique_fd>& doors() const noexcept { return doors_; }

  /// `"cgroup v1"`, `"cgroup v2"`, or empty when this resource is not limited here.
  std::string_view memory_mechanism() const noexcept { return mechanism(memory_); }
  std::string_view cpu_mechanism() const noexcept { return mechanism(cpu_); }
  std::string_view process_mechanism() const noexcept { return mechanism(pids_); }

  /// Nothing for a resource that is not counted here.
  std::optional<std::uint64_t> memory_bytes() const;
  std::optional<std::uint64_t> cpu_milliseconds() const;
  std::optional<std::uint64_t> processes() const;

  /// Removes the groups; they must be empty, or become so within `max_wait`. False when one could
  /// not be removed.
  bool remove(std::chrono::milliseconds max_wait);

  /// Every directory that a group of this name has on this site. To be recorded before the group is
  /// made.
  static std::vector<std::filesystem::path> directories(const cgroup_site& site,
                                                        const std::string& name);

private:
  /// One resource's group; `directory` is empty when there is none.
  struct group {
    std::filesystem::path directory;
    int version = 0;
  };

  static std::string_view mechanism(const group& one) noexcept;
  group make(const cgroup_site::place& place, const std::string& name);

  std::vector<std::filesystem::path>
      made_;  ///< First: the groups below enter themselves here while they are made.
  std::vector<unique_fd> doors_;
  group memory_;
  group cpu_;
  group cpu_account_;
  group pids_;
};

/// Ends every process of a control group, then removes it. For groups of dead hosts. Signals
/// through `cgroup.kill` or pidfds of processes that are seen in the group after their pidfd was
/// opened. True when the directory is gone.
bool end_cgroup(const std::filesystem::path& directory, std::chrono::milliseconds max_wait);

/// Whether this is a directory of a control group file system.
bool is_cgroup(const std::filesystem::path& directory) noexcept;

}  // namespace troupe
