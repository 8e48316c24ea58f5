#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/tests/support/eventually.hpp>
#include <troupe/tests/support/fixtures/host_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

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

TEST_CASE("a host writes together, erases subtrees and counts, also over a restart") {
  test::temporary_directory place;
  {
    host host{in(place)};
    auto context = host.context();
    REQUIRE(context.set_together({{path{"/app/a"}, 1}, {path{"/app/b"}, 2}, {path{"/c"}, 3}}));
    CHECK(context.list("/")->size() == 3);
    CHECK(context.set_together({{path{"/x"}, 1}, {path{"/_sys/y"}, 2}})
              .error()
              .message.find("entry 2 of 2") == 0);
    CHECK(context.get("/x").error().code == error_code::not_found);
    REQUIRE(context.increment("/hits"));
    REQUIRE(context.increment("/hits", 4, durability::memory));
    CHECK(context.increment("/hits", -2));
    CHECK(context.get("/hits") == value{3});
    REQUIRE(context.set("/text", "x"));
    CHECK(context.increment("/text").error().code == error_code::failed_precondition);
    REQUIRE(context.erase_subtree("/app"));
    CHECK(context.erase_subtree("/app").error().code == error_code::not_found);
    CHECK(context.list("/")->size() == 3);
  }
  host again{in(place)};
  CHECK(again.context().list("/")->size() == 3);
  REQUIRE(again.context().increment("/hits", 10));
  CHECK(again.context().get("/hits") == value{13});
}

TEST_CASE("a malformed path is refused wherever it is given") {
  test::temporary_directory place;
  host host{in(place)};
  auto context = host.context();
  CHECK(context.get("app").error().code == error_code::invalid_argument);
  CHECK(context.set("app", 1).error().code == error_code::invalid_argument);
  CHECK(context.erase("/app/").error().code == error_code::invalid_argument);
  CHECK(context.erase_subtree("app").error().code == error_code::invalid_argument);
  CHECK(context.increment("app").error().code == error_code::invalid_argument);
  CHECK(context.list("app").error().code == error_code::invalid_argument);
  CHECK_FALSE(context.watch("app", [](const change_record&) {}).active());
}

TEST_CASE("a write on a condition changes nothing that was written meanwhile") {
  test::temporary_directory place;
  host host{in(place)};
  auto context = host.context();
  const auto before = context.find("/counter");
  REQUIRE(before);
  CHECK_FALSE(before->found);
  REQUIRE(before->version);
  REQUIRE(context.set_if("/counter", 1, *before->version, durability::memory));
  CHECK(context.set_if("/counter", 2, *before->version).error().code ==
        error_code::failed_precondition);
  const auto now = context.find("/counter");
  CHECK(now->value == value{1});
  CHECK(context.erase_if("/counter", *before->version).error().code ==
        error_code::failed_precondition);
  CHECK(context.erase_if("/counter", *now->version));
  CHECK(context.set_if("counter", 1, *now->version).error().code == error_code::invalid_argument);
  CHECK(context.find("counter").error().code == error_code::invalid_argument);
}

TEST_CASE("threads that count with conditional writes lose no step") {
  test::temporary_directory place;
  host host{in(place)};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([context = host.context()]() mutable {
      for (int done = 0; done < 25;) {
        const auto seen = context.find("/counter");
        if (!seen) return;
        const auto count = seen->value.as_integer().value_or(0);
        const auto set = context.set_if("/counter", count + 1, *seen->version, durability::memory);
        if (set) ++done;
        if (!set && set.error().code != error_code::failed_precondition) return;
      }
    });
  for (auto& each : threads) each.join();
  CHECK(host.context().get("/counter") == value{100});
}

TEST_CASE("a list has every value, however many there are") {
  test::temporary_directory place;
  host host{in(place)};
  constexpr int many = 11'000;  // more than one page
  for (int i = 0; i < many; ++i)
    REQUIRE(host.context().set("/many/" + std::to_string(i), i, durability::memory));
  REQUIRE(host.context().set("/other", 0, durability::memory));
  CHECK(host.context().list("/many")->size() == many);
  CHECK(host.context().list("/many/77")->size() == 1);
  CHECK(host.context().list("/none")->empty());
}

TEST_CASE("a watch reports every change below its path, in order, until it is destroyed") {
  test::temporary_directory place;
  host host{in(place)};
  std::vector<std::string> seen;  // touched by one thread at a time, handed over through `count`
  std::atomic<int> count{0};
  auto watch = host.context().watch("/app", [&](const change_record& change) {
    seen.push_back(change.path.text() + (change.operation == operation::erase
                                             ? " gone"
                                             : " " + change.new_value.to_json()));
    ++count;
  });
  REQUIRE(watch.active());
  REQUIRE(host.context().set("/elsewhere", 0));
  for (int i = 0; i < 5; ++i) REQUIRE(host.context().set("/app/x", i));
  REQUIRE(host.context().erase("/app/x"));
  REQUIRE(test::eventually([&] { return count == 6; }));
  CHECK(seen == std::vector<std::string>{"/app/x 0", "/app/x 1", "/app/x 2", "/app/x 3", "/app/x 4",
                                         "/app/x gone"});

  auto moved = std::move(watch);
  CHECK(moved.active());
  CHECK_FALSE(watch.active());
  moved = troupe::subscription{};
  CHECK_FALSE(moved.active());
  std::atomic<bool> passed{false};
  auto later = host.context().watch("/app", [&](const change_record&) { passed = true; });
  watch = troupe::subscription{};  // ends the first one
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
  auto watch =
      host.context().watch("/", [](const change_record&) { throw std::runtime_error{"no"}; });
  std::atomic<int> others{0};
  auto other = host.context().watch("/", [&](const change_record&) { ++others; });
  REQUIRE(host.context().set("/a", 1));
  REQUIRE(test::eventually([&] { return !watch.active(); }));
  REQUIRE(host.context().set("/b", 1));
  REQUIRE(test::eventually([&] { return others == 2; }));
  CHECK(other.active());
}
