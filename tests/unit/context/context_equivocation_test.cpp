// What watchers receive when one dot was given to two changes.

#include <doctest/doctest.h>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using test::erase;
using test::node;
using test::noon;
using test::put;

namespace {

const path a{"/a"};

apply_outcome must_isolate(context_engine& engine, const change_record& other) {
  auto outcome = engine.apply(other, noon);
  REQUIRE(outcome.alarm);
  CHECK(outcome.applied.empty());
  return outcome;
}

}  // namespace

TEST_CASE("a visible value that goes into quarantine is an erasure to watchers") {
  context_engine engine{node(1), 1};
  REQUIRE(engine.apply(put({node(2), 1, 1}, "/a", "one"), noon).status == apply_status::applied);
  const auto outcome = must_isolate(engine, put({node(2), 1, 1}, "/a", "other"));
  CHECK_FALSE(engine.view(a));
  REQUIRE(outcome.seen_instead);
  CHECK(outcome.seen_instead->path == a);
  CHECK(outcome.seen_instead->operation == operation::erase);
  CHECK(outcome.seen_instead->new_value.is_nil());
  CHECK(outcome.seen_instead->previous_value == value{"one"});
  CHECK_FALSE(engine.quarantine().at(0).records.at(0).previous_value);
}

TEST_CASE("watchers learn of the sibling that readers see instead of a write in quarantine") {
  context_engine engine{node(1), 1};
  const auto older = put({node(3), 1, 1}, "/a", "older", {}, 1),
             newer = put({node(2), 1, 1}, "/a", "newer", {}, 2);
  for (const auto& each : {older, newer})
    REQUIRE(engine.apply(each, noon).status == apply_status::applied);
  const auto outcome = must_isolate(engine, put(newer.dot, "/a", "other"));
  CHECK(engine.view(a) == value{"older"});
  REQUIRE(outcome.seen_instead);
  CHECK(*outcome.seen_instead == older);
  CHECK(outcome.seen_instead->previous_value == value{"newer"});
}

TEST_CASE("watchers do not learn of what goes into quarantine unseen") {
  context_engine engine{node(1), 1};
  SUBCASE("a write that does not win") {
    REQUIRE(engine.apply(put({node(2), 1, 1}, "/a", "older", {}, 1), noon).status ==
            apply_status::applied);
    REQUIRE(engine.apply(put({node(3), 1, 1}, "/a", "newer", {}, 2), noon).status ==
            apply_status::applied);
  }
  SUBCASE("an erasure") {
    REQUIRE(engine.apply(erase({node(2), 1, 1}, "/a"), noon).status == apply_status::applied);
  }
  SUBCASE("one of two writes of the same value") {
    REQUIRE(engine.apply(put({node(2), 1, 1}, "/a", "same", {}, 2), noon).status ==
            apply_status::applied);
    REQUIRE(engine.apply(put({node(3), 1, 1}, "/a", "same", {}, 1), noon).status ==
            apply_status::applied);
  }
  const auto before = engine.view(a);
  CHECK_FALSE(must_isolate(engine, put({node(2), 1, 1}, "/a", "other")).seen_instead);
  CHECK(engine.view(a) == before);
}
