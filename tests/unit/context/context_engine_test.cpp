#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- construction ---------------------------------------------------------------------------------

TEST_CASE("an engine refuses to start without an identity of its own") {
  CHECK_THROWS_AS(context_engine({}, 1), std::invalid_argument);
  CHECK_THROWS_AS(context_engine(node(1), 0), std::invalid_argument);
  CHECK_THROWS_AS(context_engine(node(1), 1, {}, {}, nullptr), std::invalid_argument);
  engine_state used;
  used.processed.raise({node(1), 3, 5});
  CHECK_THROWS_AS(context_engine(node(1), 3, used), std::invalid_argument);
  CHECK_NOTHROW(context_engine(node(1), 4, used));
}

// -- local writes ---------------------------------------------------------------------------------

TEST_CASE("a write is numbered, timed, seen at once, and reports the previous value") {
  context_engine engine{node(1), 7};
  const trace_id trace{node(9).id};
  const auto first = engine.write(operation::put, a, 1, "ada", trace, noon);
  REQUIRE(first);
  CHECK(first->dot == dot{node(1), 7, 1});
  CHECK(first->timestamp == timestamp::from_parts(noon, 0));
  CHECK(first->principal == "ada");
  CHECK(first->trace == trace);
  CHECK(first->observed.empty());
  CHECK_FALSE(first->previous_value);
  const auto second = must_write(engine, a, 2);
  CHECK(second.dot.seq == 2);
  CHECK(second.observed.empty());  // of the same incarnation
  CHECK(second.previous_value == value{1});
  CHECK(second.timestamp > first->timestamp);
  CHECK(engine.view(a) == value{2});
  CHECK(engine.vector().at(node(1), 7) == 2);
  CHECK(engine.own_incarnation() == incarnation_id{node(1), 7});
}

TEST_CASE("an erased path holds nothing for readers and a tombstone for replicas") {
  context_engine engine{node(1), 1};
  must_write(engine, a, 1);
  const auto erased = engine.write(operation::erase, a, 5, "tester", {}, noon);
  REQUIRE(erased);
  CHECK(erased->new_value.is_nil());
  CHECK(erased->previous_value == value{1});
  CHECK_FALSE(engine.view(a));
  CHECK(engine.tree().size() == 1);
}

TEST_CASE("erasing what readers do not see fails and leaves no record") {
  context_engine engine{node(1), 1};
  for (int i = 0; i < 2; ++i) {
    const auto erased = engine.write(operation::erase, a, {}, "tester", {}, noon);
    REQUIRE_FALSE(erased);
    CHECK(erased.error().code == error_code::not_found);
    CHECK(erased.error().message.find("'/a'") != std::string::npos);
    CHECK(engine.vector().at(node(1), 1) == (i == 0 ? 0u : 2u));
    if (i == 0) {
      must_write(engine, a, 1);
      REQUIRE(engine.write(operation::erase, a, {}, "tester", {}, noon));
    }
  }
}

TEST_CASE("only the system writes below /_sys") {
  context_engine engine{node(1), 1};
  for (const auto* where : {"/_sys", "/_sys/strategies"}) {
    const auto refused = engine.write(operation::put, path{where}, 1, "ada", {}, noon);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::permission_denied);
    CHECK(engine.write(operation::put, path{where}, 1, "system", {}, noon));
  }
  CHECK(engine.write(operation::put, path{"/_system"}, 1, "ada", {}, noon));
}

TEST_CASE("a write passes no bound") {
  engine_limits limits;
  limits.max_value_bytes = 10;
  context_engine engine{node(1), 1, {}, limits};
  CHECK(engine.write(operation::put, a, "123456789", "ada", {}, noon));
  CHECK(engine.write(operation::put, a, "1234567890", "ada", {}, noon).error().code ==
        error_code::limit_exceeded);
  limits = {};
  context_engine deep{node(1), 1, {}, limits};
  const auto nested = [](std::uint32_t levels) {
    value inner = 1;
    for (; levels > 0; --levels) inner = value::array({inner});
    return inner;
  };
  CHECK(deep.write(operation::put, a, nested(context_engine::max_value_depth), "ada", {}, noon));
  CHECK(deep.write(operation::put, a, nested(context_engine::max_value_depth + 1), "ada", {}, noon)
            .error()
            .code == error_code::limit_exceeded);
  CHECK(status_of(deep, put({node(2), 1, 1}, "/a", nested(context_engine::max_value_depth + 1))) ==
        apply_status::malformed);
  const value parts = value::array(std::vector<value>(600'000));
  CHECK(deep.write(operation::put, a, parts, "ada", {}, noon).error().code ==
        error_code::limit_exceeded);
  CHECK(engine.write(operation::put, a, 1, std::string(257, 'x'), {}, noon).error().code ==
        error_code::invalid_argument);
  CHECK(engine.write(operation::put, a, 1, "\xff", {}, noon).error().code ==
        error_code::invalid_argument);
}

TEST_CASE("an engine refuses to be made with more siblings of a path than a tree holds") {
  engine_limits limits;
  limits.max_siblings = context_tree::max_siblings + 1;
  CHECK_THROWS_AS((context_engine{node(1), 1, {}, limits}), std::invalid_argument);
}

// -- reading --------------------------------------------------------------------------------------

TEST_CASE("explain shows what stands in quarantine") {
  context_engine engine{node(1), 1};
  const auto one = put({node(2), 1, 1}, "/a", "one"), other = put({node(2), 1, 1}, "/a", "other");
  REQUIRE(status_of(engine, one) == apply_status::applied);
  REQUIRE(engine.apply(other, noon).alarm);
  const auto told = engine.explain(a);
  CHECK(told.rule.find("quarantine") != std::string::npos);
  REQUIRE(told.writes.size() == 2);
  CHECK(told.writes[0].value == value{"one"});
  CHECK(told.writes[1].value == value{"other"});
  CHECK_FALSE(told.writes[0].wins);
  CHECK(engine.explain(b).writes.empty());
}

TEST_CASE("explain names the competing writes, the winner and the strategy") {
  context_engine engine{node(1), 1};
  CHECK(engine.explain(a).writes.empty());
  const auto early = put({node(3), 1, 1}, "/a", "early", {}, 1),
             late = erase({node(2), 1, 1}, "/a", {}, 2);
  REQUIRE(status_of(engine, late) == apply_status::applied);
  CHECK_FALSE(engine.explain(a).conflict);
  REQUIRE(status_of(engine, early) == apply_status::applied);
  const auto told = engine.explain(a);
  CHECK(told.conflict);
  CHECK(told.rule.find("last_writer_wins") != std::string::npos);
  REQUIRE(told.writes.size() == 2);
  CHECK(told.writes[0] == competing_write{early.dot, early.id(), early.timestamp, operation::put,
                                          "early", "tester", false});
  CHECK(told.writes[1] ==
        competing_write{late.dot, late.id(), late.timestamp, operation::erase, {}, "tester", true});
}

// -- time -----------------------------------------------------------------------------------------

TEST_CASE("a write is later than the changes it saw, unless their clock was wrong") {
  context_engine engine{node(1), 1};
  auto seen = put({node(2), 1, 1}, "/a", 1);
  seen.timestamp = timestamp::from_parts(noon + 400, 0);
  engine.apply(seen, noon);
  CHECK(must_write(engine, b, 1).timestamp > seen.timestamp);
  seen = put({node(2), 1, 2}, "/a", 1);
  seen.timestamp = timestamp::from_parts(noon + 86'400'000, 0);
  engine.apply(seen, noon);
  CHECK(must_write(engine, b, 1).timestamp < seen.timestamp);
}

TEST_CASE("a node's time goes on from its earlier incarnations, wherever it learns of them") {
  auto earlier = put({node(1), 1, 1}, "/a", 1);
  earlier.timestamp = timestamp::from_parts(noon + 86'400'000, 0);
  SUBCASE("from its log") {
    context_engine engine{node(1), 2};
    REQUIRE(engine.replay(earlier, noon));
    CHECK(must_write(engine, b, 1).timestamp > earlier.timestamp);
  }
  SUBCASE("from its checkpoint") {
    engine_state state;
    state.clock = earlier.timestamp;
    context_engine engine{node(1), 2, state};
    CHECK(must_write(engine, b, 1).timestamp > earlier.timestamp);
  }
  SUBCASE("from a peer, after its disk was set back") {
    context_engine engine{node(1), 2};
    REQUIRE(status_of(engine, earlier) == apply_status::applied);
    CHECK(must_write(engine, b, 1).timestamp > earlier.timestamp);
  }
}

TEST_CASE(
    "a forged change of an earlier incarnation far ahead does not take this node's time away") {
  auto forged = put({node(1), 1, 1}, "/a", 1);
  forged.timestamp = {(std::uint64_t{1} << 63) - 1};
  context_engine engine{node(1), 2};
  SUBCASE("from a peer") {
    const auto outcome = engine.apply(forged, noon);
    CHECK(outcome.status == apply_status::applied);
    CHECK(outcome.alarm);
    CHECK(outcome.problem->code == error_code::already_exists);
  }
  SUBCASE("from the log") { REQUIRE(engine.replay(forged, noon)); }
  context_engine restored{node(1), 3, engine.state()}, other{node(2), 1};
  REQUIRE(status_of(other, forged) == apply_status::applied);
  for (auto* each : {&engine, &restored}) {
    const auto written = must_write(*each, a, 2);
    CHECK(written.timestamp == timestamp::from_parts(noon, 0));
    CHECK(status_of(other, written) == apply_status::applied);
  }
}

TEST_CASE("a write fails rather than carry a time that others take for malformed") {
  context_engine engine{node(1), 1};
  const auto refused = engine.write(operation::put, a, 1, "ada", {}, std::uint64_t{1} << 47);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::unavailable);
  CHECK(must_write(engine, a, 1).timestamp ==
        timestamp::from_parts(noon, 0));  // once the clock is right again
}
