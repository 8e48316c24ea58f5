#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <troupe/runtime/host.hpp>
#include <troupe/tests/support/eventually.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

config in(const test::temporary_directory& place) {
  config settings{.data_dir = place.path() / "data"};
  if (const char* helper = std::getenv("TROUPE_PLUGIN_INIT")) settings.plugin_init = helper;
  return settings;
}

result<void> add_greet(host& host) {
  return host.commands().add(
      command_spec{"greet"}.summary("Greets someone").param<std::string>("name"),
      [](const arguments& given) { return value{"Hello, " + given.get<std::string>("name")}; });
}

/// What a constructor said that had to fail.
error failure_of(config settings) {
  try {
    host started{std::move(settings)};
  } catch (const failure& why) {
    CHECK(std::string{why.what()} == why.why().message);
    return why.why();
  }
  return {error_code::none, "it started", {}};
}

bool mentions(const error& why, std::string_view text) { return why.message.find(text) != std::string::npos; }

}  // namespace

// -- commands -------------------------------------------------------------------------------------------------------------

TEST_CASE("a host answers at once, later, or by a call") {
  test::temporary_directory place;
  host host{in(place)};
  REQUIRE(add_greet(host));
  const value expected{"Hello, Ada"};

  CHECK(host.execute("greet", {{"name", "Ada"}}) == expected);
  CHECK(host.execute_async("greet", {{"name", "Ada"}}).get() == expected);
  CHECK(host.execute("greet", {{"name", "Ada"}}, std::chrono::milliseconds::max()) == expected);
  CHECK(host.execute_async("greet", {{"name", "Ada"}}, std::chrono::milliseconds::max()).get() == expected);
  std::promise<result<value>> told;
  host.execute("greet", {{"name", "Ada"}}, [&](result<value> outcome) { told.set_value(std::move(outcome)); });
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
  REQUIRE(host.commands().add(command_spec{"halve"}.param<int>("number"),
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
        [](const arguments&) -> result<value> { return fail(error_code::overloaded, "come back later"); }, where));
    REQUIRE(host.commands().add(
        command_spec{prefix + ".throw"}, [](const arguments&) -> result<value> { throw std::runtime_error{"out of luck"}; }, where));
    REQUIRE(host.commands().add(
        command_spec{prefix + ".strange"}, [](const arguments&) -> result<value> { throw 42; }, where));

    CHECK(host.execute(prefix + ".report").error() == error{error_code::overloaded, "come back later", {}});
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
  CHECK(host.commands().add(command_spec{"Not A Name"}, [](const arguments&) { return value{}; }).error().code ==
        error_code::invalid_argument);

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
  REQUIRE(host.commands().add(command_spec{"greet.keep"}, [&host](const arguments&) -> result<value> {
    auto greeting = host.execute("greet", {{"name", "Ada"}});
    if (!greeting) return greeting;
    if (auto kept = host.context().set("/greeting", *greeting); !kept) return fail(kept.error());
    return host.context().get("/greeting");
  }));
  CHECK(host.execute("greet.keep") == value{"Hello, Ada"});
}

// -- context --------------------------------------------------------------------------------------------------------------

TEST_CASE("a host's context keeps values, also over a restart") {
  test::temporary_directory place;
  {
    host host{in(place)};
    auto context = host.context();
    CHECK(context.get("/app/theme").error().code == error_code::not_found);
    REQUIRE(context.set("/app/theme", "dark"));
    REQUIRE(context.set("/app/size", 3, durability::memory));
    CHECK(context.get("/app/theme") == value{"dark"});
    CHECK(context.list("/app")->size() == 2);
    REQUIRE(context.erase("/app/theme"));
    CHECK(context.get("/app/theme").error().code == error_code::not_found);
    CHECK(context.erase("/app/theme").error().code == error_code::not_found);
    CHECK(context.erase("/app/size", durability::memory));
    REQUIRE(context.set("/kept", value::array({1, "two", nullptr})));
  }
  host again{in(place)};
  CHECK(again.context().get("/kept") == value::array({1, "two", nullptr}));
  CHECK(again.context().list("/")->size() == 1);
}

TEST_CASE("a malformed path is refused wherever it is given") {
  test::temporary_directory place;
  host host{in(place)};
  auto context = host.context();
  CHECK(context.get("app").error().code == error_code::invalid_argument);
  CHECK(context.set("app", 1).error().code == error_code::invalid_argument);
  CHECK(context.erase("/app/").error().code == error_code::invalid_argument);
  CHECK(context.list("app").error().code == error_code::invalid_argument);
  CHECK_FALSE(context.watch("app", [](const change_record&) {}).active());
}

TEST_CASE("a list has every value, however many there are") {
  test::temporary_directory place;
  host host{in(place)};
  constexpr int many = 11'000;  // more than one page
  for (int i = 0; i < many; ++i) REQUIRE(host.context().set("/many/" + std::to_string(i), i, durability::memory));
  REQUIRE(host.context().set("/other", 0, durability::memory));
  CHECK(host.context().list("/many")->size() == many);
  CHECK(host.context().list("/many/77")->size() == 1);
  CHECK(host.context().list("/none")->empty());
}

TEST_CASE("a watch tells every change below its path, in order, until it goes") {
  test::temporary_directory place;
  host host{in(place)};
  std::vector<std::string> seen;  // touched by one thread at a time, handed over through `count`
  std::atomic<int> count{0};
  auto watch = host.context().watch("/app", [&](const change_record& change) {
    seen.push_back(change.path.text() + (change.operation == operation::erase ? " gone" : " " + change.new_value.to_json()));
    ++count;
  });
  REQUIRE(watch.active());
  REQUIRE(host.context().set("/elsewhere", 0));
  for (int i = 0; i < 5; ++i) REQUIRE(host.context().set("/app/x", i));
  REQUIRE(host.context().erase("/app/x"));
  REQUIRE(test::eventually([&] { return count == 6; }));
  CHECK(seen == std::vector<std::string>{"/app/x 0", "/app/x 1", "/app/x 2", "/app/x 3", "/app/x 4", "/app/x gone"});

  auto moved = std::move(watch);
  CHECK(moved.active());
  CHECK_FALSE(watch.active());
  moved = troupe::watch{};
  CHECK_FALSE(moved.active());
  std::atomic<bool> passed{false};
  auto later = host.context().watch("/app", [&](const change_record&) { passed = true; });
  watch = troupe::watch{};  // ends the first one
  REQUIRE(host.context().set("/app/x", 9));
  REQUIRE(test::eventually([&] { return passed.load(); }));
  CHECK(count == 6);
}

TEST_CASE("a watch that another is moved to ends at once") {
  test::temporary_directory place;
  host host{in(place)};
  std::atomic<int> first{0}, second{0};
  auto watch = host.context().watch("/app", [&](const change_record&) { ++first; });
  auto other = host.context().watch("/app", [&](const change_record&) { ++second; });
  watch = std::move(other);
  CHECK(watch.active());
  CHECK_FALSE(other.active());
  REQUIRE(host.context().set("/app/x", 1));
  REQUIRE(test::eventually([&] { return second == 1; }));
  CHECK(first == 0);
  auto& same = watch;
  watch = std::move(same);
  CHECK(watch.active());
}

TEST_CASE("a watch whose function throws ends, and nothing else does") {
  test::temporary_directory place;
  host host{in(place)};
  auto watch = host.context().watch("/", [](const change_record&) { throw std::runtime_error{"no"}; });
  std::atomic<int> others{0};
  auto other = host.context().watch("/", [&](const change_record&) { ++others; });
  REQUIRE(host.context().set("/a", 1));
  REQUIRE(test::eventually([&] { return !watch.active(); }));
  REQUIRE(host.context().set("/b", 1));
  REQUIRE(test::eventually([&] { return others == 2; }));
  CHECK(other.active());
}

// -- nodes ----------------------------------------------------------------------------------------------------------------

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

// -- starting and stopping ------------------------------------------------------------------------------------------------

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

  const auto unavailable = [](const auto& outcome) { return !outcome && outcome.error().code == error_code::unavailable; };
  CHECK(unavailable(host.execute("greet", {{"name", "Ada"}})));
  CHECK(unavailable(host.execute_async("greet", {{"name", "Ada"}}).get()));
  bool told = false;
  host.execute("greet", {{"name", "Ada"}}, [&](const result<value>& outcome) { told = unavailable(outcome); });
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
        const auto kept = host.context().set("/thread/" + std::to_string(i), answered.load(), durability::memory);
        ++answered;
        if (!reply || !kept) return;
      }
    });
  CHECK(test::eventually([&] { return answered > 200; }));
  CHECK(host.stop().empty());
  for (auto& each : callers) each.join();
  CHECK(host.execute("greet").error().code == error_code::unavailable);
}

TEST_CASE("somebody on the socket may ask for the end, and the host decides") {
  test::temporary_directory place;
  host host{in(place)};
  CHECK_FALSE(host.wait_for_stop_request(10ms));
  const char* program = std::getenv("TROUPE_BINARY");
  REQUIRE_MESSAGE(program != nullptr, "TROUPE_BINARY is not set; run this through ctest");
  const auto ask = std::string{program} + " node stop --data-dir " + (place.path() / "data").native() + " > /dev/null";
  REQUIRE(std::system(ask.c_str()) == 0);
  const auto reason = host.wait_for_stop_request(10s);
  REQUIRE(reason);
  CHECK(reason->reason == "asked by client:cli");
  CHECK_FALSE(reason->failed);
  CHECK(std::system(ask.c_str()) == 0);  // it still serves, and a second request does no harm
  CHECK(host.context().set("/still", 1));
}

TEST_CASE("a host that serves no clients has no socket") {
  test::temporary_directory place;
  auto settings = in(place);
  settings.serve_clients = false;
  host host{settings};
  CHECK_FALSE(std::filesystem::exists(place.path() / "data/troupe.sock"));
  CHECK(host.context().set("/a", 1));
}

// -- plugins --------------------------------------------------------------------------------------------------------------

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
  CHECK(host.plugins().load(std::filesystem::path{packages} / "notes").error().code == error_code::already_exists);
  CHECK(host.plugins().load(place.path()).error().code == error_code::not_found);
  CHECK(host.plugins().load("").error().code == error_code::invalid_argument);
  CHECK(host.plugins().load("\xff").error().code == error_code::invalid_argument);
  REQUIRE(host.plugins().unload("notes"));
  CHECK(host.plugins().list()->empty());
  CHECK(host.execute("notes.count").error().code == error_code::not_found);
  CHECK(host.plugins().unload("notes").error().code == error_code::not_found);
}
