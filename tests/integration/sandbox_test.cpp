#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/unconfined.hpp>
#include <troupe/tests/support/fixtures/sandbox_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_SUITE("sandbox") {
  TEST_CASE_FIXTURE(
      sandbox_fixture,
      "a plugin's socket, output, working directory and variables are as documented") {
    auto sandbox = open();
    auto spec = python(
        "import os, socket, sys\n"
        "link = socket.socket(fileno=int(os.environ['TROUPE_SOCKET']))\n"
        "link.sendall(link.recv(100).upper())\n"
        "print(os.getcwd(), os.environ['TROUPE_PLUGIN'], os.environ['COLOUR'], sys.stdin.read())\n"
        "print('trouble', file=sys.stderr)\n"
        "print(sorted(os.environ))\n");
    spec.environment = {{"COLOUR", "blue"}};
    ::setenv("TROUPE_TEST_SECRET", "hush", 1);
    auto process = sandbox->create(spec);
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    REQUIRE(::send(process->socket.get(), "hello", 5, 0) == 5);
    std::array<char, 16> answer{};
    CHECK(::recv(process->socket.get(), answer.data(), 5, MSG_WAITALL) == 5);
    CHECK(std::string{answer.data()} == "HELLO");
    const auto output = read_to_end(process->output.get());
    CHECK(says(output, "/plugin probe blue "));
    CHECK(says(output, "trouble"));
    CHECK(output.find("SECRET") == std::string::npos);
    CHECK(wait_readable(process->pidfd.get(), patience));
    const auto status = sandbox->poll_exit("probe");
    REQUIRE(status);
    CHECK(*status == exit_status{});
    CHECK((::fcntl(process->socket.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(process->output.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(process->pidfd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "ordinary interpreters and programs run") {
    CHECK(says(
        run(python("import msgpack, threading, subprocess, tempfile\n"
                   "thread = threading.Thread(target=lambda: None); thread.start(); thread.join()\n"
                   "with tempfile.TemporaryFile() as file: file.write(b'x')\n"
                   "print(msgpack.unpackb(msgpack.packb({'a': 1})), "
                   "subprocess.check_output(['/usr/bin/expr', '1', '+', '1']))\n"))
            .output,
        "{'a': 1} b'2\\n'"));
    CHECK(says(run(shell("ls /plugin | sort | tail -1; echo $((6 * 7))")).output, "42"));
    if (fs::exists("/usr/bin/node")) {
      auto spec = python("");
      write(package / "main.js",
            "const net = require('net'); const link = new net.Socket({fd: 3});\n"
            "require('fs').promises.readFile('/plugin/main.js').then(text => { console.log('read', "
            "text.length > 0); link.destroy(); });\n"
            "console.log('node', require('child_process').execFileSync('/usr/bin/expr', ['3', '*', "
            "'3']).toString().trim());\n");
      spec.entry = {"/usr/bin/node", "main.js"};
      const auto ended = run(spec);
      CHECK(says(ended.output, "node 9"));
      CHECK(says(ended.output, "read true"));
      CHECK(ended.status.is_success());
    }
  }

  TEST_CASE_FIXTURE(
      sandbox_fixture,
      "destroy gives the program its grace, then ends everything, and may be repeated") {
    auto sandbox = open();
    auto polite = python(
        "import signal, sys, time\n"
        "def stop(*_): print('goodbye', flush=True); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready')\n"
        "while True: time.sleep(1000)\n");
    auto process = sandbox->create(polite);
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    CHECK(sandbox->create(polite).error().code == error_code::already_exists);
    CHECK(read_line(process->output.get()) == "ready");
    const auto running = sandbox->poll_exit("probe");
    REQUIRE(running);
    CHECK_FALSE(running->has_value());
    const auto status = sandbox->destroy("probe", patience);
    REQUIRE(status);
    CHECK(**status == exit_status{.status = 3, .signal = 0});
    CHECK(read_line(process->output.get()) == "goodbye");
    const auto again = sandbox->destroy("probe", patience);
    REQUIRE(again);
    CHECK_FALSE(again->has_value());
    CHECK(sandbox->poll_exit("probe").error().code == error_code::not_found);
    CHECK(sandbox->request_stop("probe").error().code == error_code::not_found);
    CHECK(sandbox->track_resources("probe").error().code == error_code::not_found);

    auto stubborn =
        sandbox->create(python("import signal, time\n"
                               "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                               "print('ready')\n"
                               "time.sleep(1000)\n"));
    REQUIRE_MESSAGE(stubborn, (stubborn ? "" : stubborn.error().message));
    CHECK(read_line(stubborn->output.get()) == "ready");
    const auto killed = sandbox->destroy("probe", 20ms);
    REQUIRE(killed);
    CHECK(**killed == exit_status{.status = 0, .signal = SIGKILL});
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "request_stop asks and does not wait") {
    auto sandbox = open();
    auto process = sandbox->create(shell("echo ready; exec sleep 1000"));
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    CHECK(read_line(process->output.get()) == "ready");
    CHECK(sandbox->request_stop("probe"));
    CHECK(wait_readable(process->pidfd.get(), patience));
    CHECK(sandbox->request_stop("probe"));
    const auto status = sandbox->poll_exit("probe");
    REQUIRE(status);
    CHECK(**status == exit_status{.status = 128 + SIGTERM, .signal = 0});
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "what a plugin leaves behind ends when its program ends") {
    auto spec = shell("");
    spec.entry = {"/bin/sh", "-c",
                  "for i in 1 2 3; do setsid sh -c 'sleep 1000; true' & done; exit 5",
                  root.string()};
    const auto ended = run(spec);
    CHECK(ended.status.status == 5);
    CHECK(count_processes(root.string()) == 0);
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "nothing of a plugin is left on the host after destroy") {
    const auto site = cgroup_site::find();
    const auto groups = [&] {
      std::size_t count = 0;
      for (const auto* place :
           {&site.memory, &site.cpu, &site.cpu_account, &site.pids, &site.unified})
        if (!place->parent.empty())
          for (const auto& entry : fs::directory_iterator{place->parent})
            if (entry.path().filename().string().starts_with("troupe-")) ++count;
      return count;
    };
    const auto groups_before = groups();
    const auto mounts_before = read_kernel_file("/proc/self/mountinfo");
    {
      auto sandbox = open();
      auto process = sandbox->create(shell("echo ready; exec sleep 1000"));
      REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
      CHECK(read_line(process->output.get()) == "ready");
      CHECK(read_kernel_file("/proc/self/mountinfo") == mounts_before);
      if (!site.memory.parent.empty() && ::access(site.memory.parent.c_str(), W_OK) == 0)
        CHECK(groups() > groups_before);
    }
    CHECK(groups() == groups_before);
    CHECK(fs::is_empty(root / "records"));
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "a program that cannot be started is named, and nothing is left") {
    auto sandbox = open();
    auto spec = python("");
    const auto message_of = [&] {
      auto failed = sandbox->create(spec);
      REQUIRE_FALSE(failed);
      return failed.error().message;
    };
    spec.entry = {"bin/missing"};
    CHECK(message_of().find("its program /plugin/bin/missing cannot be executed: No such file") !=
          std::string::npos);
    spec.entry = {"main.py"};
    CHECK(message_of().find("cannot be executed: Permission denied") != std::string::npos);
    spec.entry = {};
    CHECK(message_of() == "the plugin probe has no program to start");
    spec = python("");
    spec.plugin = "No Name";
    CHECK(message_of() == "\"No Name\" is not a plugin name, like \"notes\"");
    spec = python("");
    spec.package = "relative";
    CHECK(message_of().find("must be the absolute path of a directory") != std::string::npos);
    spec = python("");
    spec.environment = {{"A=B", "c"}};
    CHECK(message_of() == "the variable \"A=B\" cannot be part of an environment");
    for (const auto& [path, reason] : {std::pair{"/no/such/file", "does not exist"},
                                       {"relative", "must be absolute"},
                                       {"/usr/../etc", "must be absolute"},
                                       {"/", "at its end"},
                                       {"/proc/1", "fills itself"},
                                       {"/tmp", "fills itself"},
                                       {"/dev/sda", "fills itself"},
                                       {"/run", "fills itself"}}) {
      spec = python("");
      spec.readable = {path};
      CHECK(message_of().find(reason) != std::string::npos);
    }
    CHECK(sandbox->destroy("probe", 0ms).value() == std::nullopt);
    CHECK(count_processes((root / "package").string()) == 0);
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "a missing layer is named with what to do about it") {
    auto without_bwrap = config();
    without_bwrap.bwrap = "no-such-bwrap";
    const auto missing = bubblewrap::open(without_bwrap, deny_all());
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == error_code::unavailable);
    CHECK(missing.error().message.find("install bubblewrap") != std::string::npos);
    CHECK(open()->name() == "bubblewrap");

    auto without_init = config();
    without_init.plugin_init = root / "nowhere";
    CHECK(bubblewrap::open(without_init, deny_all()).error().code == error_code::unavailable);

    auto bad_record = config();
    write(root / "file", "");
    bad_record.record_directory = root / "file" / "records";
    CHECK(bubblewrap::open(bad_record, deny_all()).error().code == error_code::storage_failure);
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "a step that fails is named with what to do about it") {
    // Programs in the place of bwrap that say what it or plugin-init would. Not below /tmp, which
    // the launch covers.
    std::string elsewhere = "/var/tmp/troupe-sandbox-test-XXXXXX";
    REQUIRE(::mkdtemp(elsewhere.data()) != nullptr);
    ::chmod(elsewhere.c_str(), 0755);
    const fs::path program = fs::path{elsewhere} / "bwrap";
    const auto outcome_of = [&](const std::string& script, std::chrono::milliseconds deadline) {
      write(program, "#!/bin/sh\n" + script + '\n', fs::perms{0755});
      auto with_program = config();
      with_program.bwrap = program;
      auto spec = shell("true");
      spec.start_deadline = deadline;
      auto created = open(with_program)->create(spec);
      fs::remove(program);
      REQUIRE_FALSE(created);
      return created.error();
    };
    const auto silent = outcome_of("exit 4", patience);
    const auto wordy = outcome_of("echo 'no\tnamespaces today' >&2; exit 4", patience);
    const auto without_landlock = outcome_of("printf 'F38 landlock' >&4", patience);
    const auto without_seccomp = outcome_of("printf 'F1 seccomp' >&4", patience);
    const auto lying = outcome_of("printf R7 >&4", patience);
    const auto late = outcome_of("exec sleep 1000", 50ms);
    fs::remove_all(elsewhere);

    CHECK(silent ==
          error{error_code::unavailable,
                "the plugin probe was not started: bwrap ended with exit status 4, it said nothing",
                {}});
    CHECK(wordy.message ==
          "the plugin probe was not started: bwrap ended with exit status 4, it said: no "
          "namespaces today");
    CHECK(without_landlock ==
          error{error_code::unavailable,
                "the plugin probe was not started: the kernel has no Landlock; boot with it "
                "(lsm=landlock), or go without it: sandbox_allow = [\"no-landlock\"] in a "
                "configuration",
                {}});
    CHECK(without_seccomp == error{error_code::permission_denied,
                                   "the plugin probe was not started: the step \"seccomp\" failed: "
                                   "Operation not permitted",
                                   {}});
    CHECK(lying.code == error_code::unavailable);
    CHECK(late.code == error_code::deadline_exceeded);
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "a host without descriptors to spare says so, and can go on when it has some") {
    auto sandbox = open();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const unique_fd next{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const rlimit few{static_cast<rlim_t>(next.get()) + 2, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto refused = sandbox->create(shell("true"));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::unavailable);
    CHECK(refused.error().message.find("raise the limit of open files") != std::string::npos);
    CHECK(run(*sandbox, shell("exit 0")).status.is_success());
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "an operator may allow a kernel without Landlock, by name") {
    auto without = config();
    without.allow = {parse_enum<weaker_mode>("no-landlock").value()};
    const auto ended = run(*open(without), shell("echo ran"));
    CHECK(ended.output == "ran\n");
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "plugins run side by side, each with its own identity") {
    auto sandbox = open();
    auto first = shell("id -u; exec sleep 1000"), second = first;
    first.plugin = "first";
    second.plugin = "second";
    auto one = sandbox->create(first);
    auto two = sandbox->create(second);
    REQUIRE_MESSAGE(one, (one ? "" : one.error().message));
    REQUIRE_MESSAGE(two, (two ? "" : two.error().message));
    const auto first_id = read_line(one->output.get()), second_id = read_line(two->output.get());
    CHECK(first_id != "0");
    CHECK(second_id != "0");
    if (::geteuid() == 0) CHECK(first_id != second_id);
    // A sibling's end of its socket must be its own: the other one holds no copy of it.
    REQUIRE(sandbox->destroy("first", 0ms));
    char byte = 0;
    CHECK(::recv(one->socket.get(), &byte, 1, 0) == 0);
    CHECK_FALSE(sandbox->poll_exit("second").value().has_value());
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "questions about permissions go to the policy") {
    CHECK_THROWS_AS(unconfined{nullptr}, std::invalid_argument);
    unconfined sandbox{
        [](std::string_view plugin, std::string_view operation) -> result<permission_decision> {
          return permission_decision{plugin == "notes" && operation == "state", "state"};
        }};
    CHECK(sandbox.check_permission("notes", "state")->allowed);
    CHECK_FALSE(sandbox.check_permission("other", "state")->allowed);
  }
}
