#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/cgroup.hpp>
#include <troupe/tests/support/fixtures/sandbox_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_SUITE("control groups") {
  TEST_CASE("on version 1 each controller's group is found where it is mounted") {
    const auto site = cgroup_site::find(
        "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 20 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "32 20 0:28 /outer /mnt/pids rw - cgroup cgroup rw,pids\n"
        "33 20 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "34 20 0:30 / /home rw - ext4 /dev/sda rw\n"
        "broken line\n",
        "4:memory:/service\n3:cpu,cpuacct:/\n2:pids:/outer/inner\n1:name=systemd:/x\n"
        "0::/service\nnonsense\n",
        "");
    CHECK(site.memory.parent == "/sys/fs/cgroup/memory/service");
    CHECK(site.memory.version == 1);
    CHECK(site.cpu.parent.lexically_relative("/sys/fs/cgroup/cpu") == fs::path{"."});
    CHECK(site.cpu_account.parent == site.cpu.parent);
    CHECK(site.pids.parent == "/mnt/pids/inner");
    CHECK(site.unified.parent == "/sys/fs/cgroup/unified/service");
    CHECK(site.unified.version == 2);
    CHECK(cgroup::directories(site, "troupe-x").size() == 4);
  }

  TEST_CASE("a group that is not below what is mounted cannot be used") {
    const auto site = cgroup_site::find("32 20 0:28 /outer /mnt/pids rw - cgroup cgroup rw,pids\n",
                                        "2:pids:/elsewhere\n", "");
    CHECK(site.pids.parent.empty());
    CHECK(cgroup::directories(site, "troupe-x").empty());
  }

  TEST_CASE("on version 2 the controllers are those enabled for children") {
    const auto site = cgroup_site::find("33 20 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                                        "0::/user\n", "memory pids\n");
    CHECK(site.memory.parent == "/sys/fs/cgroup/user");
    CHECK(site.memory.version == 2);
    CHECK(site.pids.parent == site.memory.parent);
    CHECK(site.cpu.parent.empty());
    CHECK(cgroup::directories(site, "troupe-x") ==
          std::vector<fs::path>{"/sys/fs/cgroup/user/troupe-x"});
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "where no group can be made, no limit is claimed") {
    cgroup_site site;
    SUBCASE("a directory that is no control group") {
      site.memory = site.cpu = site.pids = {root, 2};
    }
    SUBCASE("a directory that does not exist") {
      site.memory = site.cpu = site.pids = {root / "nowhere", 1};
    }
    cgroup made{site, "troupe-test", {}};
    CHECK(made.doors().empty());
    CHECK(made.memory_mechanism().empty());
    CHECK(made.cpu_mechanism().empty());
    CHECK(made.process_mechanism().empty());
    CHECK_FALSE(made.memory_bytes());
    CHECK_FALSE(made.cpu_milliseconds());
    CHECK_FALSE(made.processes());
    CHECK(made.remove(0ms));
    CHECK_FALSE(fs::exists(root / "troupe-test"));
  }

  TEST_CASE("a version 2 group without controllers holds processes but no limits") {
    const auto unified = cgroup_site::find().unified;
    if (unified.parent.empty() || ::access(unified.parent.c_str(), W_OK) != 0) return;
    cgroup_site site;
    site.unified = unified;
    if (read_kernel_file(unified.parent / "cgroup.controllers").size() <= 1)
      site.memory = site.cpu = site.pids = unified;
    const auto name = "troupe-test-" + std::to_string(::getpid());
    cgroup made{site, name, {}};
    CHECK(made.doors().size() == 1);
    CHECK(made.memory_mechanism().empty());
    CHECK(is_cgroup(unified.parent / name));

    const pid_t child = ::fork();
    if (child == 0) {
      (void)!::write(made.doors().front().get(), "0", 1);
      for (;;) ::pause();
    }
    REQUIRE(eventually(
        [&] { return !read_kernel_file(unified.parent / name / "cgroup.procs").empty(); }));
    CHECK_FALSE(made.remove(5ms));
    std::thread reaper{[&] { ::waitpid(child, nullptr, 0); }};
    CHECK(end_cgroup(unified.parent / name, patience));
    reaper.join();
    CHECK_FALSE(is_cgroup(unified.parent / name));
  }
}
