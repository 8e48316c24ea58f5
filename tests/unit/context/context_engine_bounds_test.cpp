#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("the buffer for waiting changes is bounded in number and memory") {
  engine_limits limits;
  limits.max_buffered_records = 2;
  context_engine few{node(1), 1, {}, limits};
  CHECK(status_of(few, put({node(2), 1, 3}, "/a", 1)) == apply_status::buffered);
  CHECK(status_of(few, put({node(2), 1, 4}, "/a", 1)) == apply_status::buffered);
  const auto outcome = few.apply(put({node(2), 1, 5}, "/a", 1), noon);
  CHECK(outcome.status == apply_status::overflow);
  CHECK(outcome.problem->code == error_code::overloaded);

  limits = {};
  limits.max_buffered_bytes = 10'000;
  context_engine small{node(1), 1, {}, limits};
  CHECK(status_of(small, put({node(2), 1, 3}, "/a", std::string(9000, 'x'))) ==
        apply_status::buffered);
  CHECK(status_of(small, put({node(2), 1, 4}, "/a", std::string(9000, 'x'))) ==
        apply_status::overflow);
  CHECK(small.apply(put({node(2), 1, 1}, "/a", 1), noon).applied.size() == 1);
  CHECK(small.apply(put({node(2), 1, 2}, "/a", 1), noon).applied.size() == 2);
  CHECK(status_of(small, put({node(2), 1, 5}, "/a", std::string(9000, 'x'))) ==
        apply_status::buffered);
}

TEST_CASE("a sender that fills the buffer does not keep out the others") {
  engine_limits limits;
  limits.max_buffered_records = 4;
  limits.max_buffered_bytes = 10'000;
  context_engine engine{node(1), 1, {}, limits};
  SUBCASE("in number, with one origin or many") {
    for (unsigned n = 2; n <= 5; ++n)
      CHECK(status_of(engine, put({node(n), 1, 2}, "/a", 1), node(7)) == apply_status::buffered);
    CHECK(status_of(engine, put({node(6), 1, 2}, "/a", 1), node(7)) == apply_status::overflow);
    for (std::uint64_t seq = 2; seq <= 3; ++seq)
      CHECK(status_of(engine, put({node(8), 1, seq}, "/a", 1), node(8)) == apply_status::buffered);
    CHECK(status_of(engine, put({node(8), 1, 4}, "/a", 1), node(8)) == apply_status::overflow);
    CHECK(status_of(engine, put({node(8), 1, 4}, "/a", 1), node(9)) == apply_status::buffered);
    CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::applied);
    CHECK(engine.buffered() == 6);
  }
  SUBCASE("in memory") {
    const std::string large(9000, 'x'), small(4000, 'x');
    CHECK(status_of(engine, put({node(2), 1, 2}, "/a", large), node(2)) == apply_status::buffered);
    CHECK(status_of(engine, put({node(3), 1, 2}, "/a", large), node(3)) == apply_status::overflow);
    CHECK(status_of(engine, put({node(3), 1, 2}, "/a", small), node(3)) == apply_status::buffered);
  }
}

TEST_CASE("what a sender has sent and waits goes with it") {
  context_engine engine{node(1), 1};
  const auto needs = put({node(4), 1, 1}, "/b", 1, {{{node(5), 1, 1}, 9}});
  for (const auto& each : {put({node(2), 1, 2}, "/a", 1), put({node(3), 1, 3}, "/a", 1), needs})
    REQUIRE(status_of(engine, each, node(7)) == apply_status::buffered);
  REQUIRE(status_of(engine, put({node(3), 1, 2}, "/a", 1), node(8)) == apply_status::buffered);
  engine.drop_waiting_from(node(7));
  CHECK(engine.buffered() == 1);
  CHECK(engine.missing() == std::vector<dot_range>{{node(3), 1, 1, 1}});
  engine.drop_waiting_from(node(7));
  CHECK(engine.buffered() == 1);
  // It may come again, from whoever has it.
  CHECK(status_of(engine, needs, node(8)) == apply_status::buffered);
  CHECK(status_of(engine, put({node(3), 1, 1}, "/a", 1), node(8)) == apply_status::applied);
  CHECK(engine.vector().at(node(3), 1) == 2);
}

TEST_CASE("the incarnations of the vector are bounded") {
  engine_limits limits;
  limits.max_incarnations = 2;
  context_engine engine{node(1), 1, {}, limits};
  CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 2, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 3, 1}, "/a", 1)) == apply_status::overflow);
  CHECK(status_of(engine, put({node(2), 2, 2}, "/a", 1)) == apply_status::applied);
}

TEST_CASE("incarnations that others have made up keep out neither this node nor members") {
  engine_limits limits;
  limits.max_incarnations = 3;
  limits.max_incarnations_of_members = 3;
  context_engine engine{node(1), 1, {}, limits};
  REQUIRE(status_of(engine, joining_of(2, 2)) == apply_status::applied);
  for (const unsigned each : {11, 12})
    CHECK(status_of(engine, put({node(each), 1, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(13), 1, 1}, "/a", 1)) == apply_status::overflow);
  must_write(engine, a, 1);                                             // the first beyond
  CHECK(status_of(engine, joining_of(3, 3)) == apply_status::applied);  // the second
  CHECK(status_of(engine, put({node(3), 2, 1}, "/b", 1)) == apply_status::applied);  // the third
  CHECK(status_of(engine, put({node(13), 1, 1}, "/a", 1)) == apply_status::overflow);
  CHECK(status_of(engine, put({node(2), 2, 1}, "/b", 1)) == apply_status::overflow);
  context_engine again{node(1), 2, engine.state(), limits};
  CHECK(status_of(again, put({node(2), 3, 1}, "/b", 1)) == apply_status::overflow);
  must_write(again, a, 2);
  SUBCASE("what is no joining of its node says nothing") {
    limits.max_incarnations = 1;
    context_engine other{node(1), 1, {}, limits};
    REQUIRE(status_of(other, joining_of(2, 2)) == apply_status::applied);
    auto erased = joining_of(4, 4);
    erased.operation = operation::erase;
    erased.new_value = {};
    CHECK(status_of(other, erased) == apply_status::overflow);
  }
  SUBCASE("what says of another node that it is a member makes none of its writer") {
    limits.max_incarnations = 1;
    context_engine other{node(1), 1, {}, limits};
    REQUIRE(status_of(other, joining_of(2, 2)) == apply_status::applied);
    CHECK(status_of(other, joining_of(4, 13)) == apply_status::overflow);
    CHECK(status_of(other, put({node(2), 2, 1}, "/b", 1)) == apply_status::applied);
  }
}

TEST_CASE(
    "a path takes siblings up to the bound, keeps them all, and takes the rest once a write made "
    "room") {
  engine_limits limits;
  limits.max_siblings = 3;
  context_engine engine{node(1), 1, {}, limits};
  std::vector<change_record> concurrent;
  for (unsigned i = 2; i <= 6; ++i) concurrent.push_back(put({node(i), 1, 1}, "/a", i, {}, i));
  for (unsigned i = 0; i < 5; ++i)
    CHECK(status_of(engine, concurrent[i]) ==
          (i < 3 ? apply_status::applied : apply_status::overflow));
  CHECK(siblings_of(engine, a).size() == 3);
  CHECK(engine.vector().at(node(5), 1) == 0);

  SUBCASE("a local write makes room") {
    must_write(engine, a, "joined");
    CHECK(status_of(engine, concurrent[3]) == apply_status::applied);
    CHECK(status_of(engine, concurrent[4]) == apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 3);
  }
  SUBCASE("a change that overwrites one takes its place") {
    CHECK(status_of(engine, put({node(7), 1, 1}, "/a", 1, {seen(concurrent[0])})) ==
          apply_status::applied);
    CHECK(status_of(engine, put({node(3), 1, 2}, "/a", 1)) == apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 3);
  }
  SUBCASE("a change of that incarnation that waits behind it comes with it once there is room") {
    const auto behind = put({node(5), 1, 2}, "/b", 1);
    CHECK(status_of(engine, behind) == apply_status::buffered);
    CHECK(status_of(engine, concurrent[3]) == apply_status::overflow);
    must_write(engine, a, "joined");
    CHECK(engine.apply(concurrent[3], noon).applied.size() == 2);
  }
  SUBCASE("a waiting change that would pass the bound is let go, to be sent again") {
    const auto first = put({node(8), 1, 1}, "/b", 1), second = put({node(8), 1, 2}, "/a", 1);
    CHECK(status_of(engine, second) == apply_status::buffered);
    const auto outcome = engine.apply(first, noon);
    CHECK(outcome.status == apply_status::applied);
    CHECK(outcome.applied.size() == 1);
    REQUIRE(outcome.problem);
    CHECK(outcome.problem->code == error_code::overloaded);
    CHECK(engine.vector().at(node(8), 1) == 1);
    CHECK(engine.buffered() == 0);
  }
}

TEST_CASE("siblings stay within the number of nodes over many interleaved writes") {
  std::mt19937 random{5};
  constexpr unsigned nodes = 4;
  std::vector<context_engine> engines;
  for (unsigned i = 0; i < nodes; ++i) engines.emplace_back(node(i + 1), 1);
  std::vector<std::vector<change_record>> issued(nodes);
  std::size_t most = 0;
  for (int step = 0; step < 100'000; ++step) {
    const auto writer = random() % nodes, reader = random() % nodes;
    issued[writer].push_back(must_write(engines[writer], a, step));
    auto next = engines[reader].vector().at(node(static_cast<unsigned>(writer) + 1), 1);
    for (; next < issued[writer].size() && random() % 4 != 0; ++next)
      engines[reader].apply(issued[writer][next], noon);
    most = std::max(most, siblings_of(engines[reader], a).size());
  }
  CHECK(most > 1);
  CHECK(most <= nodes);
}

TEST_CASE("one node that starts without end does not use up the bound of all") {
  engine_limits limits;
  limits.max_incarnations_of_node = 2;
  context_engine engine{node(1), 1, {}, limits};
  for (std::uint64_t n = 1; n <= 2; ++n)
    CHECK(status_of(engine, put({node(2), n, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 3, 1}, "/a", 1)) == apply_status::overflow);
  CHECK(status_of(engine, put({node(2), 2, 2}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(3), 1, 1}, "/a", 1)) == apply_status::applied);
  must_write(engine, a, 1);
}
