#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>

#include <troupe/tests/support/fixtures/sandbox_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A Python program that says for each attempt how it ended.
std::string attempts(const std::string& body) {
  return "import ctypes, errno, os, socket, sys\n"
         "libc = ctypes.CDLL(None, use_errno=True)\n"
         "def attempt(name, action):\n"
         "  try:\n"
         "    outcome = action()\n"
         "    print(name, 'succeeded', outcome)\n"
         "  except OSError as problem:\n"
         "    print(name, errno.errorcode.get(problem.errno, problem.errno))\n"
         "def call(number, *arguments):\n"
         "  outcome = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])\n"
         "  if outcome < 0: raise OSError(ctypes.get_errno(), '')\n"
         "  return outcome\n" +
         body;
}

}  // namespace

TEST_SUITE("sandbox: what a plugin cannot reach") {
  TEST_CASE_FIXTURE(sandbox_fixture,
                    "a plugin sees its package and nothing else of the host's files") {
    write(root / "secret", "secret");
    fs::create_directory(root / "shared");
    write(root / "shared" / "words", "open to plugins\n");
    auto spec = python(attempts(
        "attempt('secret', lambda: open('" + (root / "secret").string() + "').read())\n" +
        "attempt('home', lambda: os.listdir('/root'))\n"
        "attempt('passwd', lambda: open('/etc/passwd').read())\n"
        "attempt('shared', lambda: open('" +
        (root / "shared/words").string() + "').read().strip())\n" +
        "attempt('write-shared', lambda: open('" + (root / "shared/words").string() + "', 'w'))\n" +
        "attempt('write-package', lambda: open('/plugin/new', 'w'))\n"
        "attempt('write-root', lambda: open('/new', 'w'))\n"
        "attempt('write-usr', lambda: open('/usr/new', 'w'))\n"
        "attempt('write-dev', lambda: open('/dev/new', 'w'))\n"
        "attempt('write-tmp', lambda: open('/tmp/new', 'w').write('x'))\n"
        "attempt('write-shm', lambda: open('/dev/shm/new', 'w').write('x'))\n"
        "attempt('execute-tmp', lambda: (open('/tmp/run', 'w').write('#!/bin/sh\\n'),"
        " os.chmod('/tmp/run', 0o755), os.execv('/tmp/run', ['run'])))\n"));
    spec.readable = {root / "shared"};
    const auto output = run(spec).output;
    CHECK(says(output, "secret ENOENT"));
    CHECK(says(output, "home ENOENT"));
    CHECK(says(output, "passwd ENOENT"));
    CHECK(says(output, "shared succeeded open to plugins"));
    CHECK(says(output, "write-shared EROFS"));
    CHECK(says(output, "write-package EROFS"));
    CHECK(says(output, "write-root EROFS"));
    CHECK(says(output, "write-usr EROFS"));
    CHECK(says(output, "write-dev EROFS"));
    CHECK(says(output, "write-tmp succeeded 1"));
    CHECK(says(output, "write-shm succeeded 1"));
    CHECK(says(output, "execute-tmp EACCES"));
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "descriptors of the host do not reach a plugin") {
    // Without close-on-exec, as a careless library opens them; a directory would be a way out.
    const unique_fd leaked_directory{::open("/", O_RDONLY | O_DIRECTORY)};
    const unique_fd leaked_high{::fcntl(leaked_directory.get(), F_DUPFD, 200)};
    REQUIRE(leaked_high);
    const auto output = run(python("import os\n"
                                   "for fd in range(1024):\n"
                                   "  try: os.fstat(fd); print('open', fd)\n"
                                   "  except OSError: pass\n"))
                            .output;
    CHECK(output == "open 0\nopen 1\nopen 2\nopen 3\n");
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "there is no network and no new socket") {
    const auto output =
        run(python(attempts(
                "attempt('inet', lambda: socket.socket(socket.AF_INET))\n"
                "attempt('inet6', lambda: socket.socket(socket.AF_INET6))\n"
                "attempt('unix', lambda: socket.socket(socket.AF_UNIX))\n"
                "attempt('netlink', lambda: socket.socket(16, socket.SOCK_RAW))\n"
                "attempt('pair', lambda: len(socket.socketpair()))\n"
                "import re\n"
                "print('links', re.findall(r'^ *(\\w+):', open('/proc/net/dev').read(), re.M))\n")))
            .output;
    CHECK(says(output, "inet EAFNOSUPPORT"));
    CHECK(says(output, "inet6 EAFNOSUPPORT"));
    CHECK(says(output, "unix EAFNOSUPPORT"));
    CHECK(says(output, "netlink EAFNOSUPPORT"));
    CHECK(says(output, "pair succeeded 2"));
    CHECK(says(output, "links ['lo']"));
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "no process of a plugin is root, has capabilities or can gain any") {
    auto sandbox = open();
    auto process =
        sandbox->create(python("print(open('/proc/self/status').read()); print('done', "
                               "flush=True); input() if 0 else __import__('time').sleep(60)"));
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    std::string inside;
    for (auto line = read_line(process->output.get()); line != "done" && !line.empty();
         line = read_line(process->output.get()))
      inside += line + '\n';
    CHECK(inside.find("Uid:\t0") == std::string::npos);
    CHECK(says(inside, "CapEff:\t0000000000000000"));
    CHECK(says(inside, "CapBnd:\t0000000000000000"));
    CHECK(says(inside, "NoNewPrivs:\t1"));
    CHECK(says(inside, "Seccomp:\t2"));
    const auto outside = read_kernel_file("/proc/" + std::to_string(process->pid) + "/status");
    CHECK(outside.find("\nUid:\t") != std::string::npos);
    CHECK(outside.find("\nUid:\t0\t") == std::string::npos);
    CHECK(outside.find("\nGid:\t0\t") == std::string::npos);
    CHECK(outside.find("\nGroups:\t0") == std::string::npos);
  }

#if defined(__x86_64__)
  TEST_CASE_FIXTURE(
      sandbox_fixture,
      "dangerous system calls are refused, unknown ones are unknown, foreign ones kill") {
    const auto output =
        run(python(attempts("attempt('ptrace', lambda: call(101, 0, 0, 0, 0))\n"
                            "attempt('process_vm_readv', lambda: call(310, 1, 0, 0, 0, 0, 0))\n"
                            "attempt('unshare', lambda: call(272, 0x10000000))\n"
                            "attempt('clone-user', lambda: call(56, 0x10000011, 0, 0, 0, 0))\n"
                            "attempt('clone-pid', lambda: call(56, 0x20000011, 0, 0, 0, 0))\n"
                            "attempt('clone3', lambda: call(435, 0, 0))\n"
                            "attempt('mount', lambda: call(165, 0, 0, 0, 0, 0))\n"
                            "attempt('bpf', lambda: call(321, 0, 0, 0))\n"
                            "attempt('io_uring', lambda: call(425, 1, 0))\n"
                            "attempt('keyctl', lambda: call(250, 0, 0, 0))\n"
                            "attempt('userfaultfd', lambda: call(323, 0))\n"
                            "attempt('perf', lambda: call(298, 0, 0, 0, 0, 0))\n"
                            "attempt('pidfd_getfd', lambda: call(438, 0, 0, 0))\n"
                            "attempt('unknown', lambda: call(9999))\n"
                            "attempt('tiocsti', lambda: call(16, 0, 0x5412, 0))\n"
                            "attempt('tiocsti-high', lambda: call(16, 0, 0x100005412, 0))\n"
                            "attempt('fionread-high', lambda: call(16, 3, 0x10000541B, "
                            "ctypes.addressof(ctypes.c_int())))\n"
                            "attempt('personality', lambda: call(135, 0x0400000))\n")))
            .output;
    for (const char* refused :
         {"ptrace", "process_vm_readv", "unshare", "clone-user", "clone-pid", "mount", "bpf",
          "io_uring", "keyctl", "userfaultfd", "perf", "pidfd_getfd", "tiocsti", "tiocsti-high"})
      CHECK(says(output, refused + std::string{" EPERM"}));
    CHECK(says(output, "clone3 ENOSYS"));
    CHECK(says(output, "unknown ENOSYS"));
    CHECK(says(output, "personality ENOSYS"));
    CHECK(says(output, "fionread-high succeeded 0"));

    const auto killed =
        run(python(attempts("attempt('x32', lambda: call(0x40000000 + 39))\nprint('survived')\n")));
    CHECK(killed.output.find("survived") == std::string::npos);
    CHECK(killed.status.status == 128 + SIGSYS);
  }
#endif
}
