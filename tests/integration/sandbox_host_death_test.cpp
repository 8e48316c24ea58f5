#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <troupe/tests/support/fixtures/sandbox_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// With which a record names itself.
std::string first_line(const fs::path& record) {
  struct ::stat seen {};
  REQUIRE(::stat(record.c_str(), &seen) == 0);
  return "record " + std::to_string(seen.st_dev) + ' ' + std::to_string(seen.st_ino);
}

}  // namespace

TEST_SUITE("sandbox of a killed host") {
  /// Starts a plugin in a process of its own, which never ends by itself.
  pid_t start_host(const sandbox_fixture& fixture, const sandbox_spec& spec, int ready) {
    const pid_t host = ::fork();
    if (host != 0) return host;
    auto sandbox = bubblewrap::open(fixture.config(), sandbox_fixture::deny_all());
    if (!sandbox) ::_exit(1);
    auto process = (*sandbox)->create(spec);
    if (!process || ::write(ready, "r", 1) != 1) ::_exit(2);
    for (;;) ::pause();
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "no process outlives the host, and the next host removes the rest") {
    auto spec = shell("");
    spec.entry = {"/bin/sh", "-c", "setsid sh -c 'sleep 1000; true' & sleep 1000; true",
                  root.string()};
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const unique_fd ready{ends[0]};
    unique_fd say_ready{ends[1]};
    const pid_t host = start_host(*this, spec, say_ready.get());
    say_ready.reset();
    char byte = 0;
    REQUIRE(::read(ready.get(), &byte, 1) == 1);
    CHECK(count_processes(root.string()) >= 2);

    REQUIRE(::kill(host, SIGKILL) == 0);
    REQUIRE(::waitpid(host, nullptr, 0) == host);
    CHECK(eventually([&] { return count_processes(root.string()) == 0; }));

    std::vector<fs::path> groups;
    for (const auto& entry : fs::directory_iterator{root / "records"}) {
      std::ifstream lines{entry.path()};
      for (std::string line; std::getline(lines, line);) groups.emplace_back(line);
    }
    auto sandbox = open();
    const auto removed = sandbox->remove_leftovers();
    REQUIRE_MESSAGE(removed, (removed ? "" : removed.error().message));
    CHECK(*removed == 1);
    for (const auto& group : groups) CHECK_FALSE(fs::exists(group));
    CHECK(sandbox->remove_leftovers().value() == 0);
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "no process is left of a host that is killed while it starts a plugin") {
    auto spec = shell("");
    spec.entry = {"/bin/sh", "-c", "sleep 1000; true", root.string()};
    spec.readable = {package};
    // The moments sweep over the whole start, which takes some 20 ms.
    for (int moment = 0; moment < 25; ++moment) {
      const unique_fd nowhere{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
      const pid_t host = start_host(*this, spec, nowhere.get());
      std::this_thread::sleep_for(std::chrono::microseconds{1200} * moment);
      REQUIRE(::kill(host, SIGKILL) == 0);
      REQUIRE(::waitpid(host, nullptr, 0) == host);
      CHECK(eventually([&] { return count_processes(root.string()) == 0; }));
    }
    CHECK(open()->remove_leftovers().has_value());
    CHECK(fs::is_empty(root / "records"));
  }

  TEST_CASE_FIXTURE(sandbox_fixture,
                    "a record holds what there is, however often plugins start and end") {
    fs::create_directory(root / "records");
    auto record = host_record::open(root / "records");
    REQUIRE(record);
    const auto file = fs::directory_iterator { root / "records" } -> path();
    const auto lines = [&] {
      std::vector<std::string> all;
      std::ifstream in{file};
      std::string itself;
      std::getline(in, itself);
      CHECK(itself == first_line(file));
      for (std::string line; std::getline(in, line);)
        if (!line.empty()) all.push_back(line);
      return all;
    };
    CHECK(lines().empty());
    REQUIRE(record->add("/groups/long-lived"));
    for (int i = 0; i < 1000; ++i) {
      const std::vector<fs::path> both{"/groups/notes-" + std::to_string(i),
                                       "/other/notes-" + std::to_string(i)};
      for (const auto& each : both) REQUIRE(record->add(each));
      CHECK(lines().size() == 3);
      record->remove(both);
    }
    CHECK(lines() == std::vector<std::string>{"/groups/long-lived"});
    CHECK(fs::file_size(file) < 500);
    record->remove({"/groups/never-added", "/groups/long-lived"});
    CHECK(lines().empty());
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "a copy of a record does nothing to the host that lives") {
    auto sandbox = open();
    auto process = sandbox->create(shell("sleep 1000; true"));
    REQUIRE(process);
    fs::copy(root / "records", root / "copied");
    write(root / "copied" / "old.sandbox", "\n/sys/fs/cgroup/troupe-0123-notes\n");
    write(root / "copied" / "empty.sandbox", "");
    CHECK(host_record::remove_leftovers(root / "copied").value() == 0);
    CHECK(fs::is_empty(root / "copied"));
    CHECK_FALSE(sandbox->poll_exit("probe").value());
    CHECK_FALSE(wait_readable(process->pidfd.get(), 0ms));
    REQUIRE(sandbox->destroy("probe", 0ms));
  }

  TEST_CASE_FIXTURE(sandbox_fixture, "records are believed only about control groups of ours") {
    fs::create_directory(root / "records");
    fs::create_directory(root / "troupe-precious");
    const auto record = root / "records" / "0123.sandbox";
    write(record, "");
    write(record, first_line(record) + '\n' + (root / "troupe-precious").string() +
                      "\n/\nrelative\n/sys/fs/cgroup\n");
    write(root / "records" / "notes.txt", "not a record");
    auto sandbox = open();
    CHECK(sandbox->remove_leftovers().value() == 1);
    CHECK(fs::exists(root / "troupe-precious"));
    CHECK(fs::exists(root / "records" / "notes.txt"));
  }
}
