#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

/// Writes the counters of a build that measures coverage; not there in other builds.
extern "C" void __gcov_dump() __attribute__((weak));

namespace troupe::test {

/// What became of a child process.
struct child_report {
  std::string said;  ///< What its function returned, as far as it got.
  int status = -1;   ///< As of `waitpid`.
  bool in_time = false;

  bool ended_well() const noexcept {
    return in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
};

/// Runs a function in a child process that ends without destructors, so that it may leave threads
/// behind. A child that takes longer than `limit` is killed. Call it while this process has no
/// threads.
inline child_report in_child_process(const std::function<std::string()>& function,
                                     std::chrono::milliseconds limit) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error{"no pipe"};
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error{"no child process"};
  if (child == 0) {
    close(ends[0]);
    const auto said = function();
    const auto written = write(ends[1], said.data(), said.size());
    if (__gcov_dump != nullptr) __gcov_dump();
    _exit(written == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  close(ends[1]);
  child_report report;
  const auto until = std::chrono::steady_clock::now() + limit;
  char block[4096];
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd waiting{ends[0], POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
    const auto got = read(ends[0], block, sizeof block);
    if (got > 0)
      report.said.append(block, static_cast<std::size_t>(got));
    else if ((report.in_time = got == 0))
      break;
  }
  close(ends[0]);
  if (!report.in_time) kill(child, SIGKILL);
  waitpid(child, &report.status, 0);
  return report;
}

}  // namespace troupe::test
