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

/// A private file tree over `/tmp`, in a mount namespace of the new process, mounted before its
/// program runs. It ends with the process: the host's mounts never change.
struct staging_plan {
  /// A file or directory of the host that appears at another path, also to users who cannot reach
  /// the original.
  struct entry {
    std::string source;
    std::string target;  ///< Below `/tmp`; parents are made in order of the entries.
    bool is_directory = true;
  };
  std::vector<entry> entries;
  std::string private_options;  ///< `mount` options of the tmpfs at `/tmp/private`, with its
                                ///< directories `tmp` and `shm`.
};

/// Everything that a new process needs, prepared so that only system calls remain between `clone`
/// and its program.
struct launch_plan {
  std::vector<std::string> command;      ///< Program, by absolute path, and arguments.
  std::vector<std::string> environment;  ///< `NAME=value`.
  std::string directory = "/";           ///< Where it starts.
  std::vector<int> cgroup_doors;         ///< Descriptors to write `"0"` to.
  std::optional<staging_plan>
      staging;  ///< With this, the process is the first of a process namespace of its own.
  std::optional<uid_t> identity;  ///< The user and group to become, when the host is root.
};

/// A process that has been started and has not reported yet.
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
/// Safe in a process with other threads: a bare `clone` makes the new one, which then makes only
/// the calls that are allowed after it. Fails with `unavailable` or `permission_denied` when the
/// kernel refuses namespaces, otherwise with `internal`.
result<launched_process> launch(const launch_plan& plan);

}  // namespace troupe
