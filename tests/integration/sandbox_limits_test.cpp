#include <doctest/doctest.h>

#include <signal.h>

#include <troupe/tests/support/fixtures/sandbox_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_SUITE("sandbox: limits") {
  TEST_CASE_FIXTURE(sandbox_fixture, "memory beyond the limit is not to be had") {
    auto spec = python(
        "blocks = []\n"
        "try:\n"
        "  while len(blocks) < 2000: blocks.append(bytearray(b'x' * 1048576))\n"
        "except MemoryError: pass\n"
        "print('blocks', len(blocks))\n"
        "assert len(blocks) < 64\n"
        "raise SystemExit(9)\n");
    spec.context.resource_limits.max_memory_bytes = 64 << 20;
    const auto ended = run(spec);
    CHECK_FALSE(ended.status.is_success());
    CHECK(ended.output.find("blocks 2000") == std::string::npos);
    CHECK(ended.output.find("AssertionError") == std::string::npos);

    SUBCASE("without control groups the data segment is limited") {
      auto without = config();
      without.cgroups = cgroup_site{};
      auto sandbox = open(without);
      const auto limited = run(*sandbox, spec);
      CHECK(limited.status.status == 9);
      const auto memory = std::ranges::find(limited.layers, "memory", &sandbox_layer::name);
      REQUIRE(memory != limited.layers.end());
      CHECK(memory->mechanism == "rlimit and sampling");
    }
  }

  TEST_CASE_FIXTURE(
      sandbox_fixture,
      "without control groups, memory that processes share or have together is sampled") {
    auto without = config();
    without.cgroups = cgroup_site{};
    auto sandbox = open(without);
    auto spec = python(
        "import mmap, socket\n"
        "link = socket.socket(fileno=3)\n"
        "print('started')\n"
        "link.recv(1)\n"
        "held = mmap.mmap(-1, 96 << 20)\n"
        "for at in range(0, 96 << 20, 4096): held[at] = 1\n"
        "print('held')\n"
        "link.recv(1)\n");
    spec.context.resource_limits.max_memory_bytes = 64 << 20;
    auto process = sandbox->create(spec);
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    CHECK(read_line(process->output.get()) == "started");
    CHECK(sandbox->check_limits("probe"));
    REQUIRE(::write(process->socket.get(), "x", 1) == 1);
    CHECK(read_line(process->output.get()) == "held");
    const auto checked = sandbox->check_limits("probe");
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == error_code::limit_exceeded);
    CHECK(checked.error().message.find("it may use 67108864") != std::string::npos);
    // A process that has ended uses nothing, even when another one has its number now.
    process->socket.reset();
    REQUIRE(wait_readable(process->pidfd.get(), patience));
    CHECK(sandbox->check_limits("probe"));
    CHECK(sandbox->track_resources("probe")->memory_bytes == 0);
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "priorities and locked memory are not to be had") {
    const auto output =
        run(python("import resource\n"
                   "for name in ('RTPRIO', 'NICE', 'MEMLOCK'):\n"
                   "  print(name, *resource.getrlimit(getattr(resource, 'RLIMIT_' + name)))\n"))
            .output;
    CHECK(says(output, "RTPRIO 0 0"));
    CHECK(says(output, "NICE 0 0"));
    CHECK(says(output, "MEMLOCK 65536 65536"));
  }

  TEST_CASE_FIXTURE(
      sandbox_fixture,
      "a spinning plugin gets its share of a core and no more, where control groups limit it") {
    auto sandbox = open();
    auto spec = python(
        "import time\n"
        "begin = time.monotonic()\n"
        "while time.process_time() < 0.4: pass\n"
        "print('share', 'kept' if 0.4 / (time.monotonic() - begin) < 0.5 else 'exceeded')\n");
    spec.context.resource_limits.max_cpu_percent = 20;
    const auto ended = run(*sandbox, spec);
    const auto cpu = std::ranges::find(ended.layers, "cpu", &sandbox_layer::name);
    REQUIRE(cpu != ended.layers.end());
    if (cpu->mechanism != "none") CHECK(ended.output == "share kept\n");
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "the private file system is limited in bytes and in files") {
    auto spec = python(
        "import os\n"
        "count = 0\n"
        "try:\n"
        "  while count < 100000: open('/tmp/%d' % count, 'w').close(); count += 1\n"
        "except OSError as problem: print('files', problem.strerror)\n"
        "for each in os.listdir('/tmp'): os.unlink('/tmp/' + each)\n"
        "try:\n"
        "  with open('/tmp/a', 'wb') as a, open('/dev/shm/b', 'wb') as b:\n"
        "    for i in range(100): a.write(bytes(65536)); b.write(bytes(65536)); a.flush(); "
        "b.flush()\n"
        "except OSError as problem: print('bytes', problem.strerror)\n");
    spec.context.resource_limits.max_storage_bytes = 2 << 20;
    const auto output = run(spec).output;
    CHECK(says(output, "files No space left on device"));
    CHECK(says(output, "bytes No space left on device"));

    spec.context.resource_limits.max_storage_bytes = 0;
    const auto none = run(spec).output;
    CHECK(says(none, "files No space left on device"));
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "a fork bomb is bounded and ends with its plugin") {
    auto sandbox = open();
    auto spec = python(
        "import os, time\n"
        "children = 0\n"
        "while children < 500:\n"
        "  try: pid = os.fork()\n"
        "  except OSError as problem: break\n"
        "  if pid == 0:\n"
        "    os.setsid()\n"
        "    time.sleep(1000)\n"
        "  children += 1\n"
        "print('children', children)\n"
        "time.sleep(1000)\n");
    spec.entry.push_back(root.string());
    spec.context.resource_limits.max_processes = 12;
    auto process = sandbox->create(spec);
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    CHECK(read_line(process->output.get()) == "children 11");
    const auto usage = sandbox->track_resources("probe");
    REQUIRE(usage);
    CHECK(usage->processes == 12);
    CHECK(count_processes(root.string()) > 10);
    const auto status = sandbox->destroy("probe", 0ms);
    REQUIRE(status);
    CHECK(**status == exit_status{.status = 0, .signal = SIGKILL});
    CHECK(count_processes(root.string()) == 0);

    SUBCASE("also without control groups") {
      auto without = config();
      without.cgroups = cgroup_site{};
      auto limited = open(without);
      auto again = limited->create(spec);
      REQUIRE_MESSAGE(again, (again ? "" : again.error().message));
      CHECK(read_line(again->output.get()) == "children 11");
      const auto sampled = limited->track_resources("probe");
      REQUIRE(sampled);
      CHECK(sampled->processes == 12);
      CHECK(sampled->memory_bytes > 1 << 20);
      CHECK(sampled->memory_mechanism == "rlimit and sampling");
      CHECK(sampled->cpu_mechanism == "none");
      CHECK(sampled->process_mechanism == "rlimit");
      REQUIRE(limited->destroy("probe", 0ms));
      CHECK(count_processes(root.string()) == 0);
    }
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "used resources are reported with what limits them") {
    auto sandbox = open();
    auto process =
        sandbox->create(python("import time\n"
                               "held = bytearray(b'x' * (20 << 20))\n"
                               "while time.process_time() < 0.2: pass\n"
                               "print('ready')\n"
                               "time.sleep(1000)\n"));
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    CHECK(read_line(process->output.get()) == "ready");
    const auto usage = sandbox->track_resources("probe");
    REQUIRE(usage);
    CHECK(usage->memory_bytes > (20u << 20));
    // Samples from /proc are rounded to ticks, usually of 10 ms, for each process.
    CHECK(usage->cpu_milliseconds >= 150);
    CHECK(usage->processes == 1);
    for (const auto& [layer, mechanism] : {std::pair{"memory", usage->memory_mechanism},
                                           {"cpu", usage->cpu_mechanism},
                                           {"processes", usage->process_mechanism}}) {
      const auto found = std::ranges::find(process->layers, layer, &sandbox_layer::name);
      REQUIRE(found != process->layers.end());
      CHECK(found->mechanism == mechanism);
    }
  }
}
