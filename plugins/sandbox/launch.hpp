#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// The descriptors that a launched program finds beside 0 (`/dev/null`), 1 and 2 (the output pipe).
inline constexpr int plugin_socket_fd = 3;
inline constexpr int plugin_status_fd = 4;

/// A private file tree that is laid over `/tmp` in a mount namespace of the new process's own,
/// before its program runs. It goes with the process: the host's mounts never change.
struct staging_plan {
  /// A file or directory of the host that appears at another place, whoever may reach the original.
  struct entry {
    std::string source;
    std::string target;  ///< Below `/tmp`; parents are made in order of the entries.
    bool is_directory = true;
  };
  std::vector<entry> entries;
  std::string private_options;  ///< `mount` options of the tmpfs at `/tmp/private`, with its
                                ///< directories `tmp` and `shm`.
};

/// All that a new process needs, prepared so that between its birth and its program only system
/// calls are made.
struct launch_plan {
  std::vector<std::string> command;      ///< Program, by absolute path, and arguments.
  std::vector<std::string> environment;  ///< `NAME=value`.
  std::string directory = "/";           ///< Where it starts.
  std::vector<int> cgroup_doors;         ///< Descriptors to write `"0"` to.
  std::optional<staging_plan>
      staging;  ///< With this, the process is the first of a process namespace of its own.
  std::optional<uid_t> identity;  ///< The user and group to become, when the host is root.
};

/// A process that has been started but has not yet said anything.
struct launched_process {
  pid_t pid = 0;
  unique_fd pidfd;
  unique_fd socket;
  unique_fd output;
  unique_fd status;  ///< A SOCK_SEQPACKET socket: `F<errno> <step>` from the new process, or what
                     ///< its program says.
};

/// Starts a process. It leads its own session, has default signal handling and an empty signal
/// mask, has none of the host's descriptors, and is killed when the calling thread ends.
///
/// Safe in a process with other threads: the new one is made by a bare `clone` and calls only what
/// may be called after it. Fails with `unavailable` or `permission_denied` when the kernel refuses
/// namespaces, otherwise with `internal`.
result<launched_process> launch(const launch_plan& plan);

}  // namespace troupe
