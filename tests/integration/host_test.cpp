#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include <troupe/tests/support/eventually.hpp>
#include <troupe/tests/support/fixtures/host_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

// -- commands -------------------------------------------------------------------------------------

TEST_CASE("a host answers at once, later, or by a call") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  const value expected{"Hello, Ada"};

  CHECK(host.execute("greet", {{"name", "Ada"}}) == expected);
  CHECK(host.execute_async("greet", {{"name", "Ada"}}).get() == expected);
  CHECK(host.execute("greet", {{"name", "Ada"}}, std::chrono::milliseconds::max()) == expected);
  CHECK(host.execute_async("greet", {{"name", "Ada"}}, std::chrono::milliseconds::max()).get() ==
        expected);
  std::promise<result<value>> told;
  host.execute("greet", {{"name", "Ada"}},
               [&](result<value> outcome) { told.set_value(std::move(outcome)); });
  CHECK(told.get_future().get() == expected);
}

TEST_CASE("a host says what is wrong with a request") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));

  const auto unknown = host.execute("gret", {{"name", "Ada"}});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == error_code::not_found);
  CHECK(mentions(unknown.error(), "did you mean \"greet\""));

  const auto missing = host.execute("greet");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == error_code::invalid_argument);
  CHECK(mentions(missing.error(), "\"name\""));

  const auto wrong = host.execute_async("greet", {{"name", 3}}).get();
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == error_code::invalid_argument);
}

TEST_CASE("a host's own check of a parameter says what it wants") {
  test::temporary_directory place;
  host host{in(place)};
  const auto even = [](const value& given) -> std::optional<std::string> {
    if (*given.as_integer() % 2 == 0) return std::nullopt;
    return "an even number";
  };
  REQUIRE(host.commands().add(
      command_spec{"halve"}.param<int>("number"),
      [](const arguments& given) { return value{given.get<int>("number") / 2}; }, run_on::worker,
      {{"number", even}}));
  CHECK(host.execute("halve", {{"number", 42}}) == value{21});
  const auto odd = host.execute("halve", {{"number", 7}});
  REQUIRE_FALSE(odd.has_value());
  CHECK(odd.error().code == error_code::invalid_argument);
  CHECK(mentions(odd.error(), "expected an even number, received 7"));
}

TEST_CASE("names and texts that are not UTF-8 are an error of their request, and nothing else") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  CHECK(host.execute("greet", {{"n\xe4me", 1}}).error().code == error_code::invalid_argument);
  CHECK(host.execute("greet", {{"name", "Ada"}}) == value{"Hello, Ada"});
}

TEST_CASE("what a command's function reports or throws is the caller's error") {
  test::temporary_directory place;
  host host{in(place)};
  for (const auto where : {run_on::worker, run_on::dispatcher}) {
    const std::string prefix = where == run_on::worker ? "worker" : "inline";
    REQUIRE(host.commands().add(
        command_spec{prefix + ".report"},
        [](const arguments&) -> result<value> {
          return fail(error_code::overloaded, "come back later");
        },
        where));
    REQUIRE(host.commands().add(
        command_spec{prefix + ".throw"},
        [](const arguments&) -> result<value> { throw std::runtime_error{"out of luck"}; }, where));
    REQUIRE(host.commands().add(
        command_spec{prefix + ".strange"}, [](const arguments&) -> result<value> { throw 42; },
        where));

    CHECK(host.execute(prefix + ".report").error() ==
          error{error_code::overloaded, "come back later", {}});
    const auto thrown = host.execute(prefix + ".throw");
    REQUIRE_FALSE(thrown);
    CHECK(thrown.error().code == error_code::handler_failed);
    CHECK(mentions(thrown.error(), "out of luck"));
    CHECK(host.execute(prefix + ".strange").error().code == error_code::handler_failed);
  }
}

TEST_CASE("a request is answered by its deadline, whatever the function does") {
  test::temporary_directory place;
  host host{in(place)};
  auto release = std::make_shared<std::promise<void>>();
  auto released = release->get_future().share();
  REQUIRE(host.commands().add(command_spec{"wait"}, [released](const arguments&) -> result<value> {
    released.wait();
    return value{};
  }));
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = host.execute("wait", {}, 50ms);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  release->set_value();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == error_code::deadline_exceeded);
  CHECK(mentions(outcome.error(), "wait"));
}

TEST_CASE("commands are added, listed, measured and removed") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  CHECK(add_greet(host).error().code == error_code::already_exists);
  CHECK(host.commands()
            .add(command_spec{"Not A Name"}, [](const arguments&) { return value{}; })
            .error()
            .code == error_code::invalid_argument);

  const auto listed = host.commands().list();
  REQUIRE(listed);
  REQUIRE(listed->size() == 1);
  CHECK(listed->front().name == "greet");
  CHECK(listed->front().summary_text == "Greets someone");

  CHECK(host.commands().metrics()->empty());
  for (int i = 0; i < 3; ++i) CHECK(host.execute("greet", {{"name", "Ada"}}));
  CHECK_FALSE(host.execute("greet"));
  const auto measured = host.commands().metrics();
  REQUIRE(measured);
  REQUIRE(measured->size() == 1);
  CHECK(measured->front().name == "greet");
  CHECK(measured->front().execution_count == 4);
  CHECK(measured->front().error_count == 1);
  CHECK(measured->front().success_rate == doctest::Approx(75.0));
  REQUIRE(host.commands().reset_metrics());
  CHECK(host.commands().metrics()->empty());

  REQUIRE(host.commands().remove("greet"));
  CHECK(host.execute("greet", {{"name", "Ada"}}).error().code == error_code::not_found);
  CHECK(host.commands().remove("greet"));  // that it is gone is what was asked for
}

TEST_CASE("a command may use the host that offers it") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  REQUIRE(
      host.commands().add(command_spec{"greet.keep"}, [&host](const arguments&) -> result<value> {
        auto greeting = host.execute("greet", {{"name", "Ada"}});
        if (!greeting) return greeting;
        if (auto kept = host.context().set("/greeting", *greeting); !kept)
          return fail(kept.error());
        return host.context().get("/greeting");
      }));
  CHECK(host.execute("greet.keep") == value{"Hello, Ada"});
}

// -- nodes ----------------------------------------------------------------------------------------

TEST_CASE("two hosts share their context, both ways") {
  test::temporary_directory place_a, place_b;
  auto settings_a = in(place_a);
  settings_a.name = "a";
  settings_a.listen = "127.0.0.1:0";
  host a{settings_a};
  CHECK(a.address().starts_with("127.0.0.1:"));
  REQUIRE(a.context().set("/before", "from a"));

  auto settings_b = in(place_b);
  settings_b.name = "b";
  settings_b.join = {a.address()};
  host b{settings_b};
  CHECK(b.address().empty());
  REQUIRE(test::eventually([&] { return b.context().get("/before").has_value(); }));

  std::atomic<int> seen{0};
  auto watch = a.context().watch("/after", [&](const change_record& change) {
    if (change.new_value == value{"from b"}) ++seen;
  });
  REQUIRE(b.context().set("/after", "from b"));
  CHECK(test::eventually([&] { return seen == 1; }));
  CHECK(a.context().get("/after") == value{"from b"});

  const auto peers = a.peers();
  REQUIRE(peers);
  REQUIRE(peers->size() == 1);
  CHECK(peers->front().name == "b");
  CHECK(peers->front().connected);

  b.stop();
  // A peer that does not listen is not known any more once it has gone.
  CHECK(test::eventually([&] { return a.peers()->empty(); }));
}

TEST_CASE("a host of another cluster learns why it is refused") {
  test::temporary_directory place_a, place_b;
  auto settings_a = in(place_a);
  settings_a.cluster = "one";
  settings_a.listen = "127.0.0.1:0";
  host a{settings_a};
  auto settings_b = in(place_b);
  settings_b.cluster = "two";
  settings_b.join = {a.address()};
  host b{settings_b};
  CHECK(test::eventually([&] {
    const auto peers = b.peers();
    return peers && !peers->empty() && peers->front().problem.find("cluster") != std::string::npos;
  }));
  CHECK_FALSE(b.peers()->front().connected);
}

TEST_CASE("a function that takes long is asked to stop when the host stops") {
  test::temporary_directory place;
  host host{in(place)};
  std::promise<void> entered;
  REQUIRE(host.commands().add(command_spec{"compute"},
                              [&](arguments&, std::stop_token stop) -> result<value> {
                                entered.set_value();
                                while (!stop.stop_requested()) std::this_thread::yield();
                                return fail(error_code::cancelled, "stopped early");
                              }));
  auto outcome = host.execute_async("compute");
  entered.get_future().wait();
  CHECK(host.stop().empty());
  CHECK(outcome.get().error().message == "stopped early");
}

// -- plugins --------------------------------------------------------------------------------------

TEST_CASE("a host runs plugins") {
  test::temporary_directory place;
  const char* packages = std::getenv("TROUPE_PACKAGES");
  REQUIRE_MESSAGE(packages != nullptr, "TROUPE_PACKAGES is not set; run this through ctest");
  host host{in(place)};
  const auto loaded = host.plugins().load(std::filesystem::path{packages} / "notes");
  REQUIRE_MESSAGE(loaded, loaded.error().message);
  CHECK(loaded->phase == plugin_phase::running);
  CHECK(host.execute("notes.add", {{"text", "buy oranges"}}));
  CHECK(host.execute("notes.count") == value{1});
  CHECK(host.plugins().list()->size() == 1);
  CHECK(host.plugins().load(std::filesystem::path{packages} / "notes").error().code ==
        error_code::already_exists);
  CHECK(host.plugins().load(place.path()).error().code == error_code::not_found);
  CHECK(host.plugins().load("").error().code == error_code::invalid_argument);
  CHECK(host.plugins().load("\xff").error().code == error_code::invalid_argument);
  REQUIRE(host.plugins().unload("notes"));
  CHECK(host.plugins().list()->empty());
  CHECK(host.execute("notes.count").error().code == error_code::not_found);
  CHECK(host.plugins().unload("notes").error().code == error_code::not_found);
}
