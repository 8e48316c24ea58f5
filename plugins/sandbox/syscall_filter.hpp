#pragma once

namespace troupe {

/// Limits the calling process, and everything it executes, to the system calls of ordinary
/// programs, for good. Sets `no_new_privs`. Returns 0, or the errno of what failed.
///
/// The filter answers, in this order of precedence:
///
/// - calls of another architecture (x32, i386): the process is killed;
/// - calls on the list of ordinary ones: permitted. `clone` only without a new namespace,
///   `socketpair` only for unix sockets, `ioctl` only for the few requests of files, pipes and
///   terminals (not `TIOCSTI`), `personality` only for queries. Values that the kernel reads as 32
///   bits are compared as 32 bits;
/// - `socket`: `EAFNOSUPPORT`, since a plugin has its descriptor;
/// - calls that are known and dangerous: `EPERM`;
/// - everything else, `clone3` included: `ENOSYS`, so that programs and libraries use older calls.
int enforce_syscall_filter();

}  // namespace troupe
