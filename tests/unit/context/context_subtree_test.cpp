#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("an erasure of a subtree takes what its writer saw there, and leaves what others write") {
  context_engine one{node(1), 1}, two{node(2), 1};
  std::vector<change_record> log;
  for (const auto* where : {"/a", "/a/x", "/a/x/y", "/a-b", "/b"})
    log.push_back(must_write(one, path{where}, 1));
  for (const auto& each : log) REQUIRE(status_of(two, each) == apply_status::applied);
  const auto meanwhile = must_write(two, path{"/a/x"}, "meanwhile");
  const auto fresh = must_write(two, path{"/a/new"}, "fresh");
  const auto erased = one.write_together({{operation::erase_subtree, a, {}}}, "tester", {}, noon);
  REQUIRE(erased);
  REQUIRE(erased->size() == 1);
  const auto& erasure = erased->front();
  CHECK(erasure.record.below.size() == 3);
  CHECK(erasure.below.size() == 3);
  for (const auto& each : erasure.below) {
    CHECK(each.operation == operation::erase);
    CHECK(each.previous_value == value{1});
  }
  CHECK(one.tree().size() == 2);
  CHECK(one.values() == 2);
  const auto at_two = two.apply(erasure.record, noon);
  CHECK(at_two.applied.at(0).below.size() == 2);
  for (const auto& each : {meanwhile, fresh})
    REQUIRE(status_of(one, each) == apply_status::applied);
  CHECK(one.view(path{"/a/x"}) == value{"meanwhile"});
  CHECK_FALSE(one.view(a));
  CHECK(one.root_hash() == two.root_hash());
  CHECK(one.values() == 4);
  CHECK(status_of(two, erasure.record) == apply_status::duplicate);
}

TEST_CASE("where an erasure of a subtree takes the winner, watchers are told what wins instead") {
  context_engine engine{node(1), 1};
  const auto x = put({node(2), 1, 1}, "/a", "x", {}, 10),
             y = put({node(3), 1, 1}, "/a", "y", {}, 12);
  for (const auto& each : {x, y}) REQUIRE(status_of(engine, each) == apply_status::applied);
  const auto outcome = engine.apply(erase_below({node(4), 1, 1}, "/", {y}), noon);
  const auto& told = outcome.applied.at(0).below;
  REQUIRE(told.size() == 1);
  CHECK(told[0].new_value == value{"x"});
  CHECK(told[0].previous_value == value{"y"});
  CHECK(engine.conflicts() == 0);
}

TEST_CASE("a large subtree is erased by several changes of one transaction") {
  engine_limits limits;
  limits.max_below = 10;
  context_engine engine{node(1), 1, {}, limits}, other{node(2), 1, {}, limits};
  for (int i = 0; i < 35; ++i)
    REQUIRE(status_of(other, must_write(engine, path{"/a/" + std::to_string(i)}, i)) ==
            apply_status::applied);
  const auto erased =
      engine.write_together({{operation::erase_subtree, path{}, {}}}, "tester", {}, noon);
  REQUIRE(erased);
  REQUIRE(erased->size() == 4);
  CHECK(engine.tree().empty());
  for (const auto& each : *erased) {
    CHECK(other.tree().size() == 35);
    REQUIRE(status_of(other, each.record) == apply_status::applied);
  }
  CHECK(other.tree().empty());
  CHECK(other.values() == 0);
}

TEST_CASE("an erasure of a subtree takes tombstones too, and not what is reserved") {
  context_engine engine{node(1), 1};
  must_write(engine, path{"/a/x"}, 1);
  must_write(engine, path{"/a/y"}, 1);
  REQUIRE(engine.write(operation::erase, path{"/a/x"}, {}, "tester", {}, noon));
  REQUIRE(engine.write(operation::put, path{"/_sys/s"}, 1, "system", {}, noon));
  const auto erase_all = [&](const char* where, const char* who) {
    return engine.write_together({{operation::erase_subtree, path{where}, {}}}, who, {}, noon);
  };
  REQUIRE(erase_all("/", "tester"));
  CHECK(engine.tree().size() == 1);
  CHECK(erase_all("/", "tester").error().code == error_code::not_found);
  CHECK(erase_all("/_sys", "tester").error().code == error_code::permission_denied);
  REQUIRE(erase_all("/", "system"));
  CHECK(engine.tree().empty());
}
