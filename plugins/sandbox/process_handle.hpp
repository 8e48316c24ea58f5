#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <sys/types.h>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/sandbox/sandbox.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// One process tree, named by a pidfd of its first process, which is a child of this process.
class process_handle {
public:
  process_handle(pid_t pid, unique_fd pidfd) noexcept : pid_{pid}, pidfd_{std::move(pidfd)} {}

  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.get(); }

  /// How it ended; reaps it. Nothing while it runs. A `max_wait` of zero does not wait. Signal 9
  /// when other code of the host has reaped the status.
  std::optional<exit_status> wait(std::chrono::milliseconds max_wait);
  /// Ends it; with a process namespace of its own, everything in it too.
  void kill() noexcept;
  /// Ends the processes that are left in the process group it leads. Does nothing once it has been
  /// reaped, since its number may name another group then.
  void kill_group() noexcept;

private:
  pid_t pid_;
  unique_fd pidfd_;
  std::optional<exit_status> status_;
};

/// The report of a launched program before it took over or gave up.
struct launch_report {
  bool ready = false;       ///< An `R` message came.
  std::string ready_text;   ///< What followed the `R`.
  unique_fd entry;          ///< The pidfd that came with it.
  std::string failed_step;  ///< From an `F` message; empty when none came.
  int failed_errno = 0;
};

/// Reads a status socket until its other end is closed; `deadline_exceeded` when that takes longer
/// than `max_wait`.
result<launch_report> await_report(int status, std::chrono::milliseconds max_wait);

/// Signals the process of a pidfd. Success also when it has ended.
result<void> signal_process(int pidfd, int signal);

/// Waits until a descriptor is readable or closed; false when that takes longer than `max_wait`.
bool wait_readable(int fd, std::chrono::milliseconds max_wait);

/// What can be read now from a non-blocking descriptor, at most `max_bytes`.
std::string read_available(int fd, std::size_t max_bytes);

}  // namespace troupe
