// troupe-plugin-init: the last program before a plugin's own. It runs inside the sandbox that bwrap
// has made, drops the remaining rights, and becomes the plugin:
//
//   troupe-plugin-init --socket FD --status FD --open-files N --processes N --file-bytes N
//                      [--data-bytes N] [--read PATH]... [--without-landlock-if-missing]
//                      -- PROGRAM [ARGUMENT]...
//
// Static, so that it needs no file of its sandbox. The program gets the environment unchanged.
//
// To the status socket (SOCK_SEQPACKET) it sends `R<landlock abi>` with a pidfd of itself just
// before the program takes over; the close that follows says that the program has. When a step
// fails it sends `F<errno> <step>`, writes one line that names the step to standard error, and
// exits with the step's status below.

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/landlock.hpp>
#include <troupe/plugins/sandbox/syscall_filter.hpp>

namespace {

/// Exit statuses, one for each step. Statuses of the program itself may coincide; the status socket
/// tells them apart.
enum class step : int {
  arguments = 70,    ///< The command line is not as above.
  descriptors = 71,  ///< Foreign file descriptors could not be closed.
  host = 72,         ///< The other end of the socket is closed: the host is gone.
  identity = 73,     ///< It runs as root, or with capabilities.
  limits = 74,       ///< A resource limit could not be set.
  landlock = 75,     ///< The kernel has no Landlock, or refused the rules.
  seccomp = 76,      ///< The system call filter could not be loaded.
  report = 77,       ///< The host could not be notified.
  execute = 78,      ///< The program could not be executed.
};

/// Enough for libraries that keep keys out of swap.
constexpr rlim_t max_locked_bytes = 64 * 1024;

int status_socket = -1;

[[noreturn]] void give_up(step where, const std::string& what, int problem) {
  const std::string message = "F" + std::to_string(problem) + ' ' + what;
  if (status_socket >= 0) (void)::send(status_socket, message.data(), message.size(), MSG_NOSIGNAL);
  std::fprintf(stderr, "plugin-init: %s: %s\n", what.c_str(), std::strerror(problem));
  std::exit(static_cast<int>(where));
}

struct settings {
  int socket = -1;
  int status = -1;
  rlim_t open_files = 0;
  rlim_t processes = 0;
  rlim_t file_bytes = 0;
  std::optional<rlim_t> data_bytes;
  std::vector<std::string> readable;
  bool landlock_may_be_missing = false;
  char** program = nullptr;
};

/// Walks the command line; every option but the last is followed by its value.
class command_line {
public:
  explicit command_line(char** words) : next_{words + 1} {}

  /// The next option, or "--" when the program follows.
  std::string_view option() {
    if (!*next_) give_up(step::arguments, "arguments: no program is named", EINVAL);
    option_ = *next_++;
    return option_;
  }
  std::string text() {
    if (!*next_) reject();
    return *next_++;
  }
  template <class Integer>
  Integer number() {
    const auto written = text();
    Integer value{};
    const auto [end, problem] =
        std::from_chars(written.data(), written.data() + written.size(), value);
    if (problem != std::errc{} || end != written.data() + written.size()) reject();
    return value;
  }
  [[noreturn]] void reject() {
    give_up(step::arguments, "arguments: " + std::string{option_}, EINVAL);
  }
  char** rest() const noexcept { return next_; }

private:
  char** next_;
  std::string_view option_;
};

settings read_settings(char** words) {
  settings given;
  command_line line{words};
  for (auto option = line.option(); option != "--"; option = line.option()) {
    if (option == "--socket")
      given.socket = line.number<int>();
    else if (option == "--status")
      status_socket = given.status = line.number<int>();
    else if (option == "--open-files")
      given.open_files = line.number<rlim_t>();
    else if (option == "--processes")
      given.processes = line.number<rlim_t>();
    else if (option == "--file-bytes")
      given.file_bytes = line.number<rlim_t>();
    else if (option == "--data-bytes")
      given.data_bytes = line.number<rlim_t>();
    else if (option == "--read")
      given.readable.push_back(line.text());
    else if (option == "--without-landlock-if-missing")
      given.landlock_may_be_missing = true;
    else
      line.reject();
  }
  given.program = line.rest();
  if (!*given.program || given.socket < 3 || given.status < 3 || given.socket == given.status)
    give_up(step::arguments, "arguments: a program, a socket and a status socket are needed",
            EINVAL);
  return given;
}

void close_foreign_descriptors(const settings& given) {
  const auto close_between = [](int first, int last) {
    if (first > last) return;
    if (::syscall(SYS_close_range, static_cast<unsigned>(first), static_cast<unsigned>(last), 0) !=
        0)
      give_up(step::descriptors, "descriptors", errno);
  };
  const auto [low, high] = std::minmax(given.socket, given.status);
  close_between(3, low - 1);
  close_between(low + 1, high - 1);
  if (::syscall(SYS_close_range, static_cast<unsigned>(high) + 1, ~0U, 0) != 0)
    give_up(step::descriptors, "descriptors", errno);
  if (::fcntl(given.status, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(given.socket, F_SETFD, 0) != 0)
    give_up(step::descriptors, "descriptors", errno);
}

/// A host that died while the sandbox was made has closed its end.
void require_living_host(int socket) {
  pollfd end{socket, 0, 0};
  if (::poll(&end, 1, 0) < 0) give_up(step::host, "host", errno);
  if (end.revents != 0) give_up(step::host, "host", ENOTCONN);
}

void require_harmless_identity() {
  if (::getuid() == 0 || ::geteuid() == 0 || ::getgid() == 0 || ::getegid() == 0)
    give_up(step::identity, "identity: a plugin must not run as root", EPERM);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) give_up(step::identity, "identity", errno);
  for (const auto& half : data)
    if ((half.effective | half.permitted | half.inheritable) != 0)
      give_up(step::identity, "identity: a plugin must not have capabilities", EPERM);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    give_up(step::identity, "identity: no_new_privs", errno);
}

/// Lowers the soft and the hard limit. Never raises the hard one: an unprivileged process cannot.
void limit(__rlimit_resource resource, rlim_t wanted, const char* name) {
  rlimit present{};
  if (::getrlimit(resource, &present) != 0)
    give_up(step::limits, std::string{"limits: "} + name, errno);
  const rlim_t most = std::min(wanted, present.rlim_max);
  const rlimit lowered{most, most};
  if (::setrlimit(resource, &lowered) != 0)
    give_up(step::limits, std::string{"limits: "} + name, errno);
}

void set_limits(const settings& given) {
  limit(RLIMIT_CORE, 0, "core");
  limit(RLIMIT_NOFILE, given.open_files, "open files");
  limit(RLIMIT_NPROC, given.processes, "processes");
  limit(RLIMIT_FSIZE, given.file_bytes, "file size");
  limit(RLIMIT_MSGQUEUE, 0, "message queues");
  limit(RLIMIT_RTPRIO, 0, "real-time priority");
  limit(RLIMIT_NICE, 0, "nice");
  limit(RLIMIT_MEMLOCK, max_locked_bytes, "locked memory");
  if (given.data_bytes) limit(RLIMIT_DATA, *given.data_bytes, "data");
}

int restrict_files(const settings& given) {
  const int abi = troupe::landlock_abi();
  if (abi == 0) {
    if (given.landlock_may_be_missing) return 0;
    give_up(step::landlock, "landlock", ENOSYS);
  }
  troupe::landlock_rules rules{
      .executable = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/plugin"},
      .readable = {"/etc", "/proc"},
      .writable = {"/tmp", "/dev/shm"},
      .devices = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}};
  rules.readable.insert(rules.readable.end(), given.readable.begin(), given.readable.end());
  if (const int problem = troupe::enforce_landlock(rules, abi))
    give_up(step::landlock, "landlock", problem);
  return abi;
}

/// Reports that all is in place, and hands the host a pidfd, which can never name another process.
void report_ready(const settings& given, int landlock_abi) {
  std::string text = "R" + std::to_string(landlock_abi);
  const int self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  if (self < 0) give_up(step::report, "report: pidfd_open", errno);
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  cmsghdr* attached = CMSG_FIRSTHDR(&message);
  attached->cmsg_level = SOL_SOCKET;
  attached->cmsg_type = SCM_RIGHTS;
  attached->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(attached), &self, sizeof self);
  if (::sendmsg(given.status, &message, MSG_NOSIGNAL) < 0) give_up(step::report, "report", errno);
  ::close(self);
}

}  // namespace

int main(int, char** words) {
  const settings given = read_settings(words);
  close_foreign_descriptors(given);
  require_living_host(given.socket);
  require_harmless_identity();
  set_limits(given);
  const int abi = restrict_files(given);
  report_ready(given, abi);
  if (const int problem = troupe::enforce_syscall_filter())
    give_up(step::seccomp, "seccomp", problem);
  ::execv(given.program[0], given.program);
  give_up(step::execute, std::string{"execute "} + given.program[0], errno);
}
