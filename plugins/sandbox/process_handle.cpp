#include <troupe/plugins/sandbox/process_handle.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {

namespace {

using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

milliseconds until(clock::time_point end) {
  return std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(end - clock::now()));
}

/// One message and the descriptor that came with it; empty at the end or on error.
struct status_message {
  std::string text;
  unique_fd attached;
};

status_message receive(int status) {
  std::array<char, 1024> room;
  iovec part{room.data(), room.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const auto bytes = ::recvmsg(status, &header, MSG_CMSG_CLOEXEC);
  status_message message;
  if (bytes > 0) message.text.assign(room.data(), static_cast<std::size_t>(bytes));
  const cmsghdr* attached = CMSG_FIRSTHDR(&header);
  if (bytes > 0 && attached && attached->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(attached), sizeof fd);
    message.attached.reset(fd);
  }
  return message;
}

}  // namespace

std::optional<exit_status> process_handle::wait(milliseconds max_wait) {
  if (status_) return status_;
  if (!wait_readable(pidfd_.get(), max_wait)) return std::nullopt;
  siginfo_t facts{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &facts, WEXITED | WNOHANG) != 0) {
    status_ = exit_status{.status = 0, .signal = SIGKILL};
  } else if (facts.si_pid != 0) {
    status_ = facts.si_code == CLD_EXITED ? exit_status{.status = facts.si_status, .signal = 0}
                                          : exit_status{.status = 0, .signal = facts.si_status};
  }
  return status_;
}

void process_handle::kill() noexcept {
  if (!status_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

void process_handle::kill_group() noexcept {
  if (!status_) ::kill(-pid_, SIGKILL);
}

result<launch_report> await_report(int status, milliseconds max_wait) {
  const auto end = clock::now() + max_wait;
  launch_report report;
  while (true) {
    if (!wait_readable(status, until(end)))
      return fail(error_code::deadline_exceeded, "the sandbox was not ready within " +
                                                     std::to_string(max_wait.count()) +
                                                     " ms; raise the start deadline");
    auto message = receive(status);
    if (message.text.empty()) return report;
    if (message.text.front() == 'R') {
      report.ready = true;
      report.ready_text = message.text.substr(1);
      report.entry = std::move(message.attached);
    } else {
      const auto space = std::min(message.text.find(' '), message.text.size());
      std::from_chars(message.text.data() + 1, message.text.data() + space, report.failed_errno);
      report.failed_step = message.text.substr(std::min(space + 1, message.text.size()));
    }
  }
}

result<void> signal_process(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0 || errno == ESRCH) return {};
  return fail(error_code::internal,
              std::string{"a plugin could not be signalled: "} + std::strerror(errno));
}

bool wait_readable(int fd, milliseconds max_wait) {
  const auto end = clock::now() + max_wait;
  pollfd one{fd, POLLIN, 0};
  int count = 0;
  do {
    count = ::poll(&one, 1, static_cast<int>(until(end).count()));
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

std::string read_available(int fd, std::size_t max_bytes) {
  constexpr std::size_t step = 64 * 1024;
  std::string text;
  while (text.size() < max_bytes) {
    const auto used = text.size();
    const auto wanted = std::min(step, max_bytes - used);
    text.resize(used + wanted);
    const auto count = ::read(fd, text.data() + used, wanted);
    text.resize(used + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count <= 0) break;
  }
  return text;
}

}  // namespace troupe
