#include <troupe/plugins/sandbox/launch.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr int max_signal = 64;

/// Everything the new process uses, in memory it only has to read. No allocation happens after
/// `clone`.
struct child_plan {
  std::vector<char*> command;
  std::vector<char*> environment;
  const char* directory;
  const std::vector<int>* cgroup_doors;
  const staging_plan* staging;
  std::vector<int> trees;  ///< Room for one descriptor for each staging entry.
  std::optional<uid_t> identity;
  bool maps_itself = false;
  std::array<char, 64> uid_map{};
  std::array<char, 64> gid_map{};
  int socket;
  int output;
  int status;
  int null;
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
  all.push_back(nullptr);
  return all;
}

// ---- From here to `run_child`: code that runs in the new process. Only system calls, no
// allocation, no locks. ---- GCOV_EXCL_START: a process that becomes another program leaves no
// coverage data. The sandbox tests see what it did.

[[noreturn]] void give_up(int status, const char* step) noexcept {
  const int problem = errno;
  std::array<char, 128> text{};
  std::size_t at = 0;
  text[at++] = 'F';
  std::array<char, 12> digits{};
  std::size_t count = 0;
  for (int rest = problem; rest > 0 || count == 0; rest /= 10)
    digits[count++] = static_cast<char>('0' + rest % 10);
  while (count > 0) text[at++] = digits[--count];
  text[at++] = ' ';
  for (const char* c = step; *c && at < text.size(); ++c) text[at++] = *c;
  (void)!::send(status, text.data(), at, MSG_NOSIGNAL);
  ::_exit(127);
}

void require(bool fine, int status, const char* step) noexcept {
  if (!fine) give_up(status, step);
}

bool write_file(const char* file, const char* text) noexcept {
  const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const auto bytes = static_cast<ssize_t>(std::strlen(text));
  const bool fine = ::write(fd, text, static_cast<std::size_t>(bytes)) == bytes;
  ::close(fd);
  return fine;
}

void reset_signals() noexcept {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  // Fails for the few that cannot be changed. These are right as they are.
  for (int signal = 1; signal <= max_signal; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool make_target(const staging_plan::entry& entry) noexcept {
  if (entry.is_directory) return ::mkdir(entry.target.c_str(), 0755) == 0;
  const int file = ::open(entry.target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (file < 0) return false;
  ::close(file);
  return true;
}

void build_staging(child_plan& plan) noexcept {
  const auto check = [&](bool fine, const char* step) { require(fine, plan.status, step); };
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0, "private mounts");
  // bwrap looks up its child in /proc, by the child's number in this process namespace. Where the
  // kernel refuses the mount, the old /proc must have that number too; bwrap reports when it has
  // not.
  (void)!::mount("troupe", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  const auto& entries = plan.staging->entries;
  // Take the trees up first: some may lie in the /tmp that is about to be covered.
  for (std::size_t i = 0; i < entries.size(); ++i) {
    plan.trees[i] = static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, entries[i].source.c_str(),
                                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    check(plan.trees[i] >= 0, entries[i].source.c_str());
  }
  check(::mount("troupe", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV,
                "mode=0755,size=1m,nr_inodes=2k") == 0,
        "staging tmpfs");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    check(make_target(entries[i]), entries[i].target.c_str());
    check(::syscall(SYS_move_mount, plan.trees[i], "", AT_FDCWD, entries[i].target.c_str(),
                    MOVE_MOUNT_F_EMPTY_PATH) == 0,
          entries[i].target.c_str());
  }
  check(::mkdir("/tmp/private", 0755) == 0, "private tmpfs");
  check(::mount("troupe", "/tmp/private", "tmpfs", MS_NOSUID | MS_NODEV,
                plan.staging->private_options.c_str()) == 0,
        "private tmpfs");
  for (const char* directory : {"/tmp/private/tmp", "/tmp/private/shm"}) {
    check(::mkdir(directory, 0700) == 0, "private tmpfs");
    if (plan.identity)
      check(::chown(directory, *plan.identity, *plan.identity) == 0, "private tmpfs");
  }
}

void become(const child_plan& plan) noexcept {
  const uid_t id = *plan.identity;
  require(::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, id, id, id) == 0 &&
              ::syscall(SYS_setresuid, id, id, id) == 0,
          plan.status, "unprivileged user");
}

/// Moves the plan's descriptors to 0..4 and closes all others.
void arrange_descriptors(child_plan& plan) noexcept {
  // Out of the way first, so that no move overwrites a source of another one.
  for (int* fd : {&plan.null, &plan.output, &plan.socket, &plan.status}) {
    *fd = ::fcntl(*fd, F_DUPFD_CLOEXEC, 16);
    if (*fd < 0) ::_exit(127);
  }
  const bool moved = ::dup2(plan.null, 0) == 0 && ::dup2(plan.output, 1) == 1 &&
                     ::dup2(plan.output, 2) == 2 &&
                     ::dup2(plan.socket, plugin_socket_fd) == plugin_socket_fd &&
                     ::dup2(plan.status, plugin_status_fd) == plugin_status_fd;
  require(moved && ::syscall(SYS_close_range, plugin_status_fd + 1, ~0U, 0) == 0, plan.status,
          "descriptors");
  plan.status = plugin_status_fd;
}

/// The order to end with the parent comes too late when the parent has just ended. Then the
/// parent's end of the socket is closed, since no other process has it.
void end_with_parent(const child_plan& plan) noexcept {
  require(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, plan.status, "end with parent");
  pollfd host{plugin_socket_fd, 0, 0};
  if (::poll(&host, 1, 0) < 0 || host.revents != 0) ::_exit(127);
}

[[noreturn]] void run_child(child_plan& plan) noexcept {
  reset_signals();
  ::setsid();
  for (const int door : *plan.cgroup_doors)
    require(::write(door, "0", 1) == 1, plan.status, "cgroup");
  if (plan.maps_itself)
    require(write_file("/proc/self/setgroups", "deny") &&
                write_file("/proc/self/uid_map", plan.uid_map.data()) &&
                write_file("/proc/self/gid_map", plan.gid_map.data()),
            plan.status, "user namespace");
  if (plan.staging) build_staging(plan);
  arrange_descriptors(plan);
  // Afterwards, since becoming another user cancels the order to end with the parent.
  if (plan.identity) become(plan);
  end_with_parent(plan);
  require(::chdir(plan.directory) == 0, plan.status, plan.directory);
  // Only a program that uses the status socket keeps it open.
  require(plan.staging || ::fcntl(plugin_status_fd, F_SETFD, FD_CLOEXEC) == 0, plan.status,
          "descriptors");
  ::execve(plan.command[0], plan.command.data(), plan.environment.data());
  give_up(plan.status, plan.command[0]);
}

// GCOV_EXCL_STOP
// ---- From here on: the host. ----

/// Blocks every signal of the calling thread, so that no handler of the host runs in the new
/// process.
class blocked_signals {
public:
  blocked_signals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~blocked_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;

private:
  sigset_t before_;
};

/// Twice Linux's default. The pipes of 256 plugins take half of what a user may have in pipes.
constexpr int wanted_pipe_bytes = 128 * 1024;

struct descriptor_pair {
  unique_fd ours;
  unique_fd theirs;
};

bool make_socketpair(int type, descriptor_pair& ends) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) return false;
  ends = {unique_fd{fds[0]}, unique_fd{fds[1]}};
  return true;
}

bool make_pipe(descriptor_pair& ends) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return false;
  ends = {unique_fd{fds[0]}, unique_fd{fds[1]}};
  // A plugin that prints much waits less for its reader. The kernel may refuse.
  (void)::fcntl(ends.ours.get(), F_SETPIPE_SZ, wanted_pipe_bytes);
  return ::fcntl(ends.ours.get(), F_SETFL, O_NONBLOCK) == 0;
}

child_plan prepare(const launch_plan& plan, const descriptor_pair& socket,
                   const descriptor_pair& output, const descriptor_pair& status,
                   const unique_fd& null) {
  child_plan child{.command = pointers(plan.command),
                   .environment = pointers(plan.environment),
                   .directory = plan.directory.c_str(),
                   .cgroup_doors = &plan.cgroup_doors,
                   .staging = plan.staging ? &*plan.staging : nullptr,
                   .trees = std::vector<int>(plan.staging ? plan.staging->entries.size() : 0, -1),
                   .identity = plan.identity,
                   .maps_itself = plan.staging.has_value() && !plan.identity,
                   .socket = socket.theirs.get(),
                   .output = output.theirs.get(),
                   .status = status.theirs.get(),
                   .null = null.get()};
  std::snprintf(child.uid_map.data(), child.uid_map.size(), "%u %u 1", ::geteuid(), ::geteuid());
  std::snprintf(child.gid_map.data(), child.gid_map.size(), "%u %u 1", ::getegid(), ::getegid());
  return child;
}

/// The hint that goes with a refusal to make namespaces.
tl::unexpected<error> fail_namespaces(int problem) {
  return fail(problem == EPERM ? error_code::permission_denied : error_code::unavailable,
              std::string{"the kernel refuses the sandbox's namespaces: "} +
                  std::strerror(problem) +
                  "; allow user namespaces to this user (sysctl user.max_user_namespaces, "
                  "kernel.unprivileged_userns_clone, "
                  "kernel.apparmor_restrict_unprivileged_userns), or choose the sandbox \"none\"");
}

}  // namespace

result<launched_process> launch(const launch_plan& plan) {
  descriptor_pair socket, output, status;
  const unique_fd null{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  if (!make_socketpair(SOCK_STREAM, socket) || !make_socketpair(SOCK_SEQPACKET, status) ||
      !make_pipe(output) || !null)
    return fail(error_code::unavailable, std::string{"no descriptors for a new plugin: "} +
                                             std::strerror(errno) +
                                             "; raise the limit of open files (ulimit -n)");
  auto child = prepare(plan, socket, output, status, null);

  std::uint64_t flags = CLONE_PIDFD;
  if (child.staging) flags |= CLONE_NEWPID | CLONE_NEWNS;
  if (child.maps_itself) flags |= CLONE_NEWUSER;
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = flags;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;

  const blocked_signals blocked;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) run_child(child);
  if (pid < 0) return fail_namespaces(errno);
  return launched_process{static_cast<pid_t>(pid), unique_fd{pidfd}, std::move(socket.ours),
                          std::move(output.ours), std::move(status.ours)};
}

}  // namespace troupe
