// Ends that would hang a worse host. Each runs in a child process, so that a hang is a failure and
// not the end of the tests.

#include <doctest/doctest.h>

#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include <troupe/actors/links/sockets.hpp>
#include <troupe/runtime/host.hpp>
#include <troupe/tests/support/child_process.hpp>
#include <troupe/tests/support/eventually.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

config in(const test::temporary_directory& place) {
  return {.data_dir = place.path() / "data", .stop_deadline = 500ms};
}

[[noreturn]] result<value> never(const arguments&) {
  while (true) std::this_thread::sleep_for(1h);
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& each : words) all += each + "\n";
  return all;
}

}  // namespace

TEST_CASE("a stop is bounded, and names the command whose function does not return") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        auto host = std::make_unique<troupe::host>(in(place));
        (void)host->commands().add(command_spec{"endless.wait"}, never);
        auto open = host->execute_async("endless.wait");
        while (host->execute("endless.wait", {}, 1ms).error().code !=
               error_code::deadline_exceeded) {
        }
        const auto begin = std::chrono::steady_clock::now();
        auto blocked = joined(host->stop());
        const auto took = std::chrono::steady_clock::now() - begin;
        blocked += took < 3s ? "in time\n" : "late\n";
        const auto again = joined(host->stop());  // as there is nothing left to be stopped
        host.reset();                             // does not wait either
        return blocked + again;
      },
      20s);
  CHECK(report.ended_well());
  const std::string what = "dispatcher: still running: endless.wait, endless.wait\n";
  CHECK(report.said == what + "in time\n" + what);
}

TEST_CASE("two concurrent stops of a host report the same") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        host host{in(place)};
        (void)host.commands().add(command_spec{"endless.wait"}, never);
        (void)host.execute("endless.wait", {}, 1ms);
        std::string first, second;
        std::thread other{[&] { first = joined(host.stop()); }};
        while (host.context().get("/")) {
        }
        if (!test::eventually(
                [&] { return host.context().get("/").error().code == error_code::unavailable; }))
          std::abort();
        second = joined(host.stop());
        other.join();
        return first + second;
      },
      20s);
  CHECK(report.ended_well());
  const std::string what = "dispatcher: still running: endless.wait\n";
  CHECK(report.said == what + what);
}

TEST_CASE("a callback that does not return is named by the stop") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        auto host = std::make_unique<troupe::host>(in(place));
        (void)host->commands().add(command_spec{"quick"},
                                   [](const arguments&) { return value{1}; });
        auto called = std::make_shared<std::atomic<bool>>(false);
        host->execute("quick", {}, [called](const result<value>&) {
          *called = true;
          std::this_thread::sleep_for(1h);
        });
        if (!test::eventually([&] { return called->load(); })) return std::string{"not called"};
        auto blocked = joined(host->stop());
        host.reset();
        return blocked;
      },
      20s);
  CHECK(report.ended_well());
  CHECK(report.said == "the callback of quick\n");
}

TEST_CASE("a host that is being stopped accepts no connection") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        auto settings = in(place);
        settings.stop_deadline = 5s;
        settings.listen = "127.0.0.1:0";
        host host{settings};
        (void)host.commands().add(command_spec{"endless.wait"}, never);
        (void)host.execute("endless.wait", {}, 1ms);
        std::atomic<bool> stopped{false};
        const auto file = place.path() / "data/troupe.sock";
        const auto held = [&] {  // by any process, even where no path leads to it
          std::ifstream sockets{"/proc/net/unix"};
          const std::string all{std::istreambuf_iterator<char>{sockets}, {}};
          return all.find(file.native()) != std::string::npos;
        };
        if (!held() || !connect_tcp(*parse_endpoint(host.address()), 1s))
          return std::string{"the host accepts no connection"};
        std::thread other{[&] {
          host.stop();
          stopped = true;
        }};
        other.detach();
        const bool gone =
            test::eventually([&] { return !std::filesystem::exists(file) && !held(); }) &&
            test::eventually([&] { return !connect_tcp(*parse_endpoint(host.address()), 1s); });
        return std::string{gone && !stopped ? "closed at once" : "open until the end"};
      },
      20s);
  CHECK(report.ended_well());
  CHECK(report.said == "closed at once");
}

TEST_CASE("a start that fails does not wait for what does not stop") {
  test::temporary_directory place;
  // Nothing accepts here, so connecting lasts until its deadline.
  auto silent = listen_tcp({"127.0.0.1", 0});
  REQUIRE(silent);
  REQUIRE(::listen(silent->get(), 0) == 0);
  const auto address = *local_endpoint(silent->get());
  std::vector<unique_fd> queue;
  while (auto waiting = connect_tcp(address, 200ms)) {
    queue.push_back(std::move(*waiting));
    REQUIRE(queue.size() < 16);
  }
  const auto package = place.path() / "failing";
  std::filesystem::create_directory(package);
  std::ofstream{package / "plugin.toml"}
      << "name = \"failing\"\nversion = \"1.0.0\"\nentry = \"/bin/false\"\n";
  const auto report = test::in_child_process(
      [&] {
        auto settings = in(place);
        settings.stop_deadline = 200ms;
        settings.join = {to_string(address)};
        settings.plugins = {package};
        settings.sandbox = sandbox_kind::none;
        const auto begin = std::chrono::steady_clock::now();
        std::string said = "started";
        try {
          host host{settings};
        } catch (const failure& why) {
          said = why.what();
        }
        return said + (std::chrono::steady_clock::now() - begin < 2s
                           ? "\nin time"
                           : "\nlate");  // connecting takes three seconds
      },
      20s);
  CHECK(report.ended_well());
  CHECK_MESSAGE(report.said.starts_with("the plugin " + package.native() + " cannot be started: "),
                report.said);
  CHECK_MESSAGE(report.said.ends_with("\nin time"), report.said);
}

TEST_CASE("a stop answers running and waiting requests") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        host host{in(place)};
        (void)host.commands().add(command_spec{"endless.wait"}.with_concurrency(1, 8), never);
        auto running = host.execute_async("endless.wait");
        auto waiting = host.execute_async("endless.wait");
        (void)host.execute("endless.wait", {}, 1ms);
        host.stop();
        std::string said;
        for (auto* each : {&running, &waiting}) {
          if (each->wait_for(5s) != std::future_status::ready) return std::string{"not answered"};
          said += std::string{to_string(each->get().error().code)} + "\n";
        }
        return said;
      },
      20s);
  CHECK(report.ended_well());
  CHECK_MESSAGE(report.said == "unavailable\nunavailable\n", report.said);
}

TEST_CASE("a host with a blocking command may go without a stop") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        host host{in(place)};
        (void)host.commands().add(command_spec{"endless.wait"}, never);
        (void)host.execute("endless.wait", {}, 10ms);
        return std::string{"gone"};
      },
      20s);
  CHECK(report.ended_well());
  CHECK(report.said == "gone");
}

TEST_CASE("a host goes although nodes and clients are connected with it") {
  test::temporary_directory place, other_place;
  const auto report = test::in_child_process(
      [&] {
        auto settings = in(place);
        settings.listen = "127.0.0.1:0";
        auto listening = std::make_unique<host>(settings);
        auto other_settings = in(other_place);
        other_settings.join = {listening->address()};
        auto dialing = std::make_unique<host>(other_settings);
        if (!test::eventually([&] { return !listening->peers()->empty(); }))
          return std::string{"not connected"};
        auto idle_client = connect_unix(place.path() / "data/troupe.sock");
        if (!idle_client) return idle_client.error().message;

        const auto begin = std::chrono::steady_clock::now();
        auto blocked = joined(listening->stop());
        listening.reset();
        dialing.reset();
        return blocked + (std::chrono::steady_clock::now() - begin < 2s ? "in time" : "late");
      },
      20s);
  CHECK(report.ended_well());
  CHECK(report.said == "in time");
}

TEST_CASE("a watch may outlive its host") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        subscription outliving;
        {
          host host{in(place)};
          outliving = host.context().watch("/", [](const change_record&) {});
          (void)host.context().set("/a", 1);
        }
        return std::string{outliving.active() ? "active" : "ended"};
      },
      20s);
  CHECK(report.ended_well());
  CHECK(report.said == "ended");
}

TEST_CASE("a watch whose function does not return delays no write, and a stop names it") {
  test::temporary_directory place;
  const auto report = test::in_child_process(
      [&] {
        auto host = std::make_unique<troupe::host>(in(place));
        auto slow = host->context().watch(
            "/a", [](const change_record&) { std::this_thread::sleep_for(1h); });
        for (int i = 0; i < 100; ++i)
          if (!host->context().set("/a", i)) return std::string{"not written"};
        return joined(host->stop());
      },
      20s);
  CHECK(report.ended_well());
  CHECK(report.said == "the function that watches /a\n");
}
