#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a change that overwrote what stands here replaces it") {
  context_engine one{node(1), 1}, two{node(2), 1};
  const auto first = must_write(one, a, 1);
  REQUIRE(status_of(two, first) == apply_status::applied);
  const auto outcome = one.apply(must_write(two, a, 2), noon);
  REQUIRE(outcome.applied.size() == 1);
  CHECK(outcome.applied[0].record.previous_value == value{1});
  CHECK_FALSE(outcome.applied[0].conflict);
  CHECK(outcome.applied[0].visible);
  CHECK(one.view(a) == value{2});
  CHECK(one.conflicts() == 0);
  CHECK(one.root_hash() == two.root_hash());
}

TEST_CASE("concurrent writes stay siblings, the later one is seen, and the next write joins them") {
  context_engine one{node(1), 1}, two{node(2), 1};
  const auto mine = must_write(one, a, "mine", noon);
  const auto theirs = must_write(two, a, "theirs", noon + 1);
  const auto at_one = one.apply(theirs, noon);
  const auto at_two = two.apply(mine, noon);
  REQUIRE(at_one.applied.size() == 1);
  REQUIRE(at_two.applied.size() == 1);
  CHECK(at_one.applied[0].conflict);
  CHECK(at_one.applied[0].visible);
  CHECK_FALSE(at_two.applied[0].visible);
  for (auto* engine : {&one, &two}) {
    CHECK(engine->conflicts() == 1);
    CHECK(engine->view(a) == value{"theirs"});
    CHECK(siblings_of(*engine, a) == std::vector{mine.dot, theirs.dot});
  }
  CHECK(one.root_hash() == two.root_hash());
  const auto joined = must_write(one, a, "joined");
  CHECK(joined.observed == std::vector{seen(theirs)});
  CHECK(joined.previous_value == value{"theirs"});
  CHECK(one.conflicts() == 0);
  CHECK(two.apply(joined, noon).status == apply_status::applied);
  CHECK(two.conflicts() == 0);
  CHECK(one.root_hash() == two.root_hash());
}

TEST_CASE("a tombstone competes like a value") {
  context_engine one{node(1), 1}, two{node(2), 1};
  two.apply(must_write(one, a, 1), noon);
  const auto later_erasure = two.write(operation::erase, a, {}, "tester", {}, noon + 10);
  must_write(one, a, 2, noon + 5);
  REQUIRE(later_erasure);
  const auto outcome = one.apply(*later_erasure, noon);
  CHECK(outcome.applied.at(0).conflict);
  CHECK_FALSE(one.view(a));
}

TEST_CASE("a causally later write wins however wrong its clock is") {
  context_engine ahead{node(1), 1}, behind{node(2), 1};
  const auto first = must_write(ahead, a, "first", noon + 86'400'000);
  REQUIRE(status_of(behind, first) == apply_status::applied);
  const auto second = must_write(behind, a, "second", noon);
  CHECK(second.timestamp < first.timestamp);
  REQUIRE(status_of(ahead, second) == apply_status::applied);
  CHECK(ahead.view(a) == value{"second"});
  CHECK(behind.view(a) == value{"second"});
}

TEST_CASE("a known change is a duplicate, also once it is overwritten") {
  context_engine engine{node(1), 1};
  const auto first = put({node(2), 1, 1}, "/a", 1);
  CHECK(status_of(engine, first) == apply_status::applied);
  CHECK(status_of(engine, first) == apply_status::duplicate);
  must_write(engine, a, 2);
  CHECK(status_of(engine, first) == apply_status::duplicate);
  CHECK(engine.view(a) == value{2});
  const auto mine = must_write(engine, b, 1);
  CHECK(status_of(engine, mine) == apply_status::duplicate);
}

TEST_CASE("changes after a gap wait, are asked for, and come in order once it is filled") {
  context_engine engine{node(1), 1};
  std::vector<change_record> records;
  for (std::uint64_t seq = 1; seq <= 6; ++seq)
    records.push_back(put({node(2), 1, seq}, "/p" + std::to_string(seq), 1));
  CHECK(status_of(engine, records[5]) == apply_status::buffered);
  CHECK(status_of(engine, records[2]) == apply_status::buffered);
  CHECK(status_of(engine, records[2]) == apply_status::duplicate);
  CHECK(status_of(engine, records[1]) == apply_status::buffered);
  CHECK(status_of(engine, put({node(3), 4, 2}, "/q", 1)) == apply_status::buffered);
  CHECK(engine.buffered() == 4);
  CHECK(engine.missing() ==
        std::vector<dot_range>{{node(2), 1, 1, 1}, {node(2), 1, 4, 5}, {node(3), 4, 1, 1}});
  CHECK(engine.tree().empty());
  const auto outcome = engine.apply(records[0], noon);
  CHECK(outcome.status == apply_status::applied);
  std::vector<std::uint64_t> order;
  for (const auto& each : outcome.applied) order.push_back(each.record.dot.seq);
  CHECK(order == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(engine.missing() == std::vector<dot_range>{{node(2), 1, 4, 5}, {node(3), 4, 1, 1}});
  CHECK(engine.vector().at(node(2), 1) == 3);
}

TEST_CASE("a change waits for those that it overwrote, whichever incarnation they are of") {
  context_engine engine{node(1), 1};
  const auto old = put({node(3), 1, 1}, "/a", "old");
  const auto middle = put({node(2), 1, 1}, "/a", "middle", {seen(old)}, 10);
  const auto newest = put({node(4), 1, 1}, "/a", "newest", {seen(middle)}, 5);
  const auto behind = put({node(4), 1, 2}, "/b", "behind");
  CHECK(status_of(engine, newest) == apply_status::buffered);
  CHECK(status_of(engine, behind) == apply_status::buffered);
  CHECK(status_of(engine, middle) == apply_status::buffered);
  CHECK(status_of(engine, newest) == apply_status::duplicate);
  CHECK(engine.missing().empty());  // the vectors of peers tell what is missing
  CHECK(engine.tree().empty());
  const auto outcome = engine.apply(old, noon);
  CHECK(outcome.status == apply_status::applied);
  CHECK(outcome.released == std::vector{middle, newest, behind});
  CHECK(outcome.applied.size() == 4);
  CHECK(siblings_of(engine, a) == std::vector{newest.dot});
  CHECK(engine.conflicts() == 0);
  CHECK(engine.buffered() == 0);
}

TEST_CASE("a change overwrites the very changes that its writer saw, and no others") {
  context_engine engine{node(1), 1};
  const auto standing = put({node(3), 1, 1}, "/a", "standing");
  REQUIRE(status_of(engine, standing) == apply_status::applied);
  SUBCASE("not one with another content") {
    REQUIRE(status_of(engine, put({node(2), 1, 1}, "/a", 1, {{standing.dot, 5}})) ==
            apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 2);
  }
  SUBCASE("not one of another path") {
    REQUIRE(status_of(engine, put({node(2), 1, 1}, "/b", 1, {seen(standing)})) ==
            apply_status::applied);
    CHECK(siblings_of(engine, a) == std::vector{standing.dot});
    auto erasure = erase_below({node(2), 1, 2}, "/", {standing});
    erasure.below[0].path = b;
    REQUIRE(status_of(engine, erasure) == apply_status::applied);
    CHECK(siblings_of(engine, a) == std::vector{standing.dot});
  }
}

TEST_CASE("of one incarnation a path never holds more than the latest write") {
  context_engine engine{node(1), 1};
  for (std::uint64_t seq = 1; seq <= 3; ++seq)
    CHECK(status_of(engine, put({node(2), 1, seq}, "/a", 1)) == apply_status::applied);
  CHECK(siblings_of(engine, a) == std::vector<dot>{{node(2), 1, 3}});
}

TEST_CASE("where one sibling goes and another one counts, that one is reported") {
  context_engine engine{node(1), 1};
  const auto x = put({node(2), 1, 1}, "/a", "x", {}, 10),
             y = put({node(3), 1, 1}, "/a", "y", {}, 12);
  REQUIRE(status_of(engine, x) == apply_status::applied);
  const auto second = engine.apply(y, noon);
  REQUIRE(second.applied.size() == 1);
  CHECK(second.applied[0].visible);
  CHECK_FALSE(second.applied[0].instead);
  const auto outcome = engine.apply(put({node(4), 1, 1}, "/a", "z", {seen(y)}, 9), noon);
  REQUIRE(outcome.applied.size() == 1);
  CHECK(engine.view(a) == value{"x"});
  CHECK(outcome.applied[0].visible);
  REQUIRE(outcome.applied[0].instead);
  CHECK(outcome.applied[0].instead->dot == x.dot);
  CHECK(outcome.applied[0].instead->new_value == value{"x"});
  CHECK(outcome.applied[0].instead->previous_value == value{"y"});
}
