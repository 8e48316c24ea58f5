// This file is long because more than half of it is two lists of system calls, which are read as
// one.

#include <troupe/plugins/sandbox/syscall_filter.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>

#include <asm/ioctls.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

namespace troupe {

namespace {

constexpr const char* ordinary_calls[] = {
    // files
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "vmsplice",
    "write",
    "writev",
    // waiting
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "pause",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "signalfd",
    "signalfd4",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    // memory
    "brk",
    "get_mempolicy",
    "madvise",
    "mbind",
    "membarrier",
    "memfd_create",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "set_mempolicy",
    // processes and threads
    "arch_prctl",
    "capget",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_waitv",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "ioprio_get",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setuid",
    "vfork",
    "wait4",
    "waitid",
    // signals
    "kill",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sigaltstack",
    "tgkill",
    "tkill",
    // time
    "alarm",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "setitimer",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "times",
    // the machine
    "getrandom",
    "sysinfo",
    "uname",
    // sockets that are there already
    "getpeername",
    "getsockname",
    "getsockopt",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
};

constexpr const char* dangerous_calls[] = {
    "accept",
    "accept4",
    "acct",
    "add_key",
    "adjtimex",
    "bind",
    "bpf",
    "capset",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "connect",
    "delete_module",
    "fanotify_init",
    "fanotify_mark",
    "finit_module",
    "fremovexattr",
    "fsconfig",
    "fsetxattr",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "lremovexattr",
    "lsetxattr",
    "listen",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "removexattr",
    "request_key",
    "setdomainname",
    "setgroups",
    "sethostname",
    "setns",
    "settimeofday",
    "setxattr",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "vhangup",
};

constexpr std::uint64_t low_32_bits = 0xffffffff;

constexpr std::uint64_t permitted_ioctls[] = {TCGETS,     TCSETS,    TCSETSW,  TCSETSF,
                                              TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO,
                                              FIOASYNC,   FIOCLEX,   FIONCLEX};

constexpr std::uint64_t namespace_flags[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                             CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                             CLONE_NEWNET};

constexpr std::uint64_t query_personality = low_32_bits, linux_personality = 0;

/// Collects rules and remembers the first failure, so that the callers need no error handling.
class filter_builder {
public:
  filter_builder() : filter_{seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), &seccomp_release} {
    if (!filter_)
      problem_ = ENOMEM;
    else
      note(seccomp_attr_set(filter_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  }

  /// Skips a call that this architecture does not have.
  template <class... Conditions>
  void add(std::uint32_t action, const char* call, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number < 0 || problem_ != 0) return;
    const std::array<scmp_arg_cmp, sizeof...(conditions)> all{conditions...};
    note(seccomp_rule_add_array(filter_.get(), action, number, all.size(), all.data()));
  }

  /// Returns 0 or an errno.
  int load() {
    if (problem_ == 0) note(seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
    if (problem_ == 0) note(seccomp_load(filter_.get()));
    return problem_;
  }

private:
  void note(int outcome) noexcept {
    if (outcome < 0 && problem_ == 0) problem_ = -outcome;
  }

  std::unique_ptr<void, decltype(&seccomp_release)> filter_;
  int problem_ = 0;
};

scmp_arg_cmp low_bits_equal(unsigned argument, std::uint64_t value) {
  return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, low_32_bits, value);
}

void add_conditional_calls(filter_builder& filter) {
  std::uint64_t all_namespaces = 0;
  for (const auto flag : namespace_flags) {
    all_namespaces |= flag;
    filter.add(SCMP_ACT_ERRNO(EPERM), "clone", SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, flag, flag));
  }
  filter.add(SCMP_ACT_ALLOW, "clone", SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, all_namespaces, 0));
  for (const auto request : permitted_ioctls)
    filter.add(SCMP_ACT_ALLOW, "ioctl", low_bits_equal(1, request));
  for (const std::uint64_t request : {TIOCSTI, TIOCLINUX})
    filter.add(SCMP_ACT_ERRNO(EPERM), "ioctl", low_bits_equal(1, request));
  filter.add(SCMP_ACT_ALLOW, "socketpair", low_bits_equal(0, AF_UNIX));
  filter.add(SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket");
  filter.add(SCMP_ACT_ALLOW, "personality", low_bits_equal(0, query_personality));
  filter.add(SCMP_ACT_ALLOW, "personality", low_bits_equal(0, linux_personality));
}

}  // namespace

int enforce_syscall_filter() {
  filter_builder filter;
  for (const char* call : ordinary_calls) filter.add(SCMP_ACT_ALLOW, call);
  for (const char* call : dangerous_calls) filter.add(SCMP_ACT_ERRNO(EPERM), call);
  add_conditional_calls(filter);
  return filter.load();
}

}  // namespace troupe
