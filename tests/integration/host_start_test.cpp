#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>

#include <troupe/tests/support/eventually.hpp>
#include <troupe/tests/support/fixtures/host_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

TEST_CASE("a data directory serves one host at a time, also within one program") {
  test::temporary_directory place;
  host first{in(place)};
  const auto second = failure_of(in(place));
  CHECK(second.code == error_code::already_exists);
  CHECK(mentions(second, "in use"));
  CHECK(first.context().set("/still", "works"));
  first.stop();
  host third{in(place)};
  CHECK(third.context().get("/still") == value{"works"});
}

TEST_CASE("a data directory stays with its cluster") {
  test::temporary_directory place;
  auto settings = in(place);
  settings.cluster = "one";
  { host made{settings}; }
  settings.cluster = "two";
  const auto refused = failure_of(settings);
  CHECK(refused.code == error_code::invalid_argument);
  CHECK(mentions(refused, "belongs to another cluster than \"two\""));
}

TEST_CASE("a wrong setting is named, and nothing is made") {
  test::temporary_directory place;
  const auto check_named = [&](std::string_view key, auto&& spoil) {
    auto settings = in(place);
    spoil(settings);
    const auto refused = failure_of(settings);
    CHECK_MESSAGE(refused.code == error_code::invalid_argument, refused.message);
    CHECK_MESSAGE(refused.message.starts_with(key), refused.message);
  };
  check_named("data_dir: ", [](config& c) { c.data_dir.clear(); });
  check_named("name: ", [](config& c) { c.name.clear(); });
  check_named("cluster: ", [](config& c) { c.cluster = std::string(65, 'x'); });
  check_named("listen: ", [](config& c) { c.listen = "here"; });
  check_named("listen: ", [](config& c) { c.listen = "0.0.0.0:0"; });
  check_named("join: ", [](config& c) { c.join = {"127.0.0.1:1", "there"}; });
  check_named("plugins: ", [](config& c) { c.plugins = {""}; });
  check_named("stop_deadline_ms: ", [](config& c) { c.stop_deadline = 1ms; });
  check_named("worker_threads: ", [](config& c) { c.worker_threads = 0; });
  check_named("member_lease_ms: ", [](config& c) { c.member_lease = 999ms; });
  check_named("history: ", [](config& c) { c.history = 1'000'000'001; });
  CHECK_FALSE(std::filesystem::exists(place.path() / "data"));
}

TEST_CASE("a host that cannot listen says where, and leaves its directory free") {
  test::temporary_directory place_a, place_b;
  auto settings_a = in(place_a);
  settings_a.listen = "127.0.0.1:0";
  host a{settings_a};
  auto settings_b = in(place_b);
  settings_b.listen = a.address();
  const auto refused = failure_of(settings_b);
  CHECK(refused.code == error_code::unavailable);
  CHECK(mentions(refused, "cannot listen on " + a.address()));
  settings_b.listen.clear();
  host b{settings_b};
  CHECK(b.context().set("/a", 1));
}

TEST_CASE("after its stop a host answers everything with unavailable") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  CHECK(host.stop().empty());
  CHECK(host.stop().empty());

  const auto unavailable = [](const auto& outcome) {
    return !outcome && outcome.error().code == error_code::unavailable;
  };
  CHECK(unavailable(host.execute("greet", {{"name", "Ada"}})));
  CHECK(unavailable(host.execute_async("greet", {{"name", "Ada"}}).get()));
  bool told = false;
  host.execute("greet", {{"name", "Ada"}},
               [&](const result<value>& outcome) { told = unavailable(outcome); });
  CHECK(told);
  CHECK(unavailable(add_greet(host)));
  CHECK(unavailable(host.commands().list()));
  CHECK(unavailable(host.commands().metrics()));
  CHECK(unavailable(host.context().get("/a")));
  CHECK(unavailable(host.context().set("/a", 1)));
  CHECK(unavailable(host.context().list("/")));
  CHECK(unavailable(host.plugins().list()));
  CHECK(unavailable(host.peers()));
  CHECK_FALSE(host.context().watch("/", [](const change_record&) {}).active());
  CHECK_FALSE(std::filesystem::exists(place.path() / "data/troupe.sock"));
}

TEST_CASE("a host may be used and stopped from many threads at once, and every call is answered") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  std::atomic<int> answered{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&host, &answered, i] {
      while (true) {
        const auto reply = host.execute("greet", {{"name", "Ada"}});
        const auto kept =
            host.context().set("/thread/" + std::to_string(i), answered.load(), durability::memory);
        ++answered;
        if (!reply || !kept) return;
      }
    });
  CHECK(test::eventually([&] { return answered > 200; }));
  CHECK(host.stop().empty());
  for (auto& each : callers) each.join();
  CHECK(host.execute("greet").error().code == error_code::unavailable);
}

TEST_CASE("a client on the socket may request a stop, and the host decides") {
  test::temporary_directory place;
  host host{in(place)};
  CHECK_FALSE(host.wait_for_stop_request(10ms));
  const char* program = std::getenv("TROUPE_BINARY");
  REQUIRE_MESSAGE(program != nullptr, "TROUPE_BINARY is not set; run this through ctest");
  const auto ask = std::string{program} + " node stop --data-dir " +
                   (place.path() / "data").native() + " > /dev/null 2>&1";
  auto asked = std::async(std::launch::async, [&] { return std::system(ask.c_str()); });
  const auto reason = host.wait_for_stop_request(10s);
  REQUIRE(reason);
  CHECK(reason->reason == "asked by client:cli");
  CHECK_FALSE(reason->failed);
  // It still serves, and a second request, which does not wait for long, does no harm.
  constexpr int no_answer_in_time = 6;
  CHECK(WEXITSTATUS(std::system((ask + " --deadline 300").c_str())) == no_answer_in_time);
  CHECK(host.context().set("/still", 1));
  CHECK(host.stop().empty());
  CHECK(asked.get() == 0);
}

TEST_CASE("a host that serves no clients has no socket") {
  test::temporary_directory place;
  auto settings = in(place);
  settings.serve_clients = false;
  host host{settings};
  CHECK_FALSE(std::filesystem::exists(place.path() / "data/troupe.sock"));
  CHECK(host.context().set("/a", 1));
}
