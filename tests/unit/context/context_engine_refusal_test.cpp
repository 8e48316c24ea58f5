#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a change of a newer format is refused and its incarnation waits for a newer build") {
  context_engine engine{node(1), 1};
  auto newer = put({node(2), 1, 1}, "/a", 1);
  newer.format = change_record::current_format + 1;
  const auto outcome = engine.apply(newer, noon);
  CHECK(outcome.status == apply_status::refused);
  CHECK(outcome.problem->code == error_code::version_mismatch);
  CHECK_FALSE(outcome.alarm);
  CHECK(engine.declined() == std::vector{incarnation_id{node(2), 1}});
  CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::refused);
  CHECK(status_of(engine, put({node(2), 2, 1}, "/a", 1)) == apply_status::applied);
}

TEST_CASE("a malformed change is not taken, says why, and says nothing about its incarnation") {
  const auto refusal = [](change_record record) {
    engine_limits limits;
    limits.max_value_bytes = 100;
    context_engine engine{node(1), 1, {}, limits};
    const auto outcome = engine.apply(std::move(record), noon);
    REQUIRE(outcome.status == apply_status::malformed);
    CHECK(outcome.problem->code == error_code::protocol_violation);
    CHECK(engine.tree().empty());
    CHECK(engine.declined().empty());
    CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::applied);
    CHECK(engine.write(operation::put, a, 1, "ada", {}, noon));
    return outcome.problem->message;
  };
  const auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(contains(refusal(put({{}, 1, 1}, "/a", 1)), "its dot"));
  CHECK(contains(refusal(put({node(2), 0, 1}, "/a", 1)), "its dot"));
  CHECK(contains(refusal(put({node(2), 1, 0}, "/a", 1)), "its dot"));
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, {}, std::uint64_t{1} << 63)), "timestamp"));
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", std::string(100, 'x'))), "value"));
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, {{node(2), 1, 1}})), "observed"));
  auto record = erase({node(2), 1, 1}, "/a");
  record.new_value = 1;
  CHECK(contains(refusal(record), "erases"));
  record = put({node(2), 1, 1}, "/a", 1);
  record.principal.assign(257, 'x');
  CHECK(contains(refusal(record), "principal"));
  record = put({node(1), 1, 1}, "/a", 1);
  record.format = change_record::current_format + 1;
  CHECK(contains(refusal(record), "older format"));
  CHECK(contains(refusal(put({node(1), 1, 1}, "/a", std::string(100, 'x'))), "value"));
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, {{node(4), 1, 1}, {node(3), 1, 1}})),
                 "order"));
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, {{node(3), 1, 1}, {node(3), 1, 1}})),
                 "order"));
  std::vector<dot> many;
  for (std::uint64_t seq = 1; seq <= 1025; ++seq) many.push_back({node(3), 1, seq});
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, many)), "at most 1024"));
}

TEST_CASE("one dot for two changes raises an alarm, isolates both and freezes the incarnation") {
  context_engine engine{node(1), 1};
  const auto one = put({node(2), 1, 1}, "/a", "one");
  auto other = one;

  SUBCASE("when the first is live and the other has another value") { other.new_value = "other"; }
  SUBCASE("when the other observed something else") { other.observed = {{node(5), 1, 1}}; }
  REQUIRE(status_of(engine, one) == apply_status::applied);
  REQUIRE(status_of(engine, put({node(2), 1, 3}, "/c", 1)) == apply_status::buffered);
  const auto outcome = engine.apply(other, noon);
  CHECK(outcome.status == apply_status::refused);
  CHECK(outcome.alarm);
  CHECK(outcome.problem->code == error_code::corrupt_data);
  CHECK(engine.quarantine() == std::vector<equivocation>{{one.dot, {one, other}}});
  CHECK(engine.tree().empty());
  CHECK(engine.buffered() == 0);
  CHECK(status_of(engine, put({node(2), 1, 2}, "/b", 1)) == apply_status::refused);
  CHECK_FALSE(engine.apply(other, noon).alarm);
}

TEST_CASE("one dot for two changes of different paths shows in the hashes of the replicas") {
  context_engine one{node(1), 1}, two{node(3), 1};
  const auto here = put({node(2), 1, 1}, "/a", "one"), there = put(here.dot, "/b", "one");
  REQUIRE(status_of(one, here) == apply_status::applied);
  REQUIRE(status_of(two, there) == apply_status::applied);
  CHECK(status_of(one, there) == apply_status::duplicate);
  CHECK(one.vector() == two.vector());
  CHECK(one.root_hash() != two.root_hash());
}

TEST_CASE("one dot for two waiting changes raises an alarm") {
  const auto one = put({node(2), 1, 2}, "/a", "one"), other = put({node(2), 1, 2}, "/a", "other");
  context_engine engine{node(1), 1};
  CHECK(status_of(engine, one) == apply_status::buffered);
  CHECK(engine.apply(other, noon).alarm);
  CHECK(engine.quarantine() == std::vector<equivocation>{{one.dot, {one, other}}});
}

TEST_CASE(
    "the next write to a path overwrites what stands in quarantine there, so that all replicas "
    "agree again") {
  context_engine witness{node(1), 1}, unaware{node(3), 1};
  const auto one = put({node(2), 1, 1}, "/a", "one", {}, 50),
             other = put({node(2), 1, 1}, "/a", "other");
  for (auto* engine : {&witness, &unaware})
    REQUIRE(status_of(*engine, one) == apply_status::applied);
  REQUIRE(witness.apply(other, noon).alarm);
  CHECK(witness.root_hash() != unaware.root_hash());
  const auto mended = must_write(witness, a, "mended");
  CHECK(mended.observed == std::vector{one.dot});
  CHECK(status_of(unaware, mended) == apply_status::applied);
  CHECK(witness.root_hash() == unaware.root_hash());
  CHECK(unaware.view(a) == value{"mended"});
}

TEST_CASE(
    "a change of this very incarnation that this node did not make raises an alarm and ends "
    "writing") {
  context_engine engine{node(1), 1};
  must_write(engine, a, 1);
  const auto outcome = engine.apply(put({node(1), 1, 2}, "/a", 1), noon);
  CHECK(outcome.alarm);
  CHECK(outcome.status == apply_status::refused);
  const auto refused = engine.write(operation::put, a, 1, "ada", {}, noon);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::unavailable);
  CHECK(engine.view(a) == value{1});
}

TEST_CASE("a change cannot overwrite what this incarnation has yet to write") {
  context_engine engine{node(1), 1};
  must_write(engine, a, 1);
  std::vector<dot> claimed{{node(1), 1, 2}};
  SUBCASE("when it comes in order") {}
  SUBCASE("when it would have to wait") { claimed = {{node(1), 1, 1}, {node(1), 1, 9}}; }
  const auto forged = put({node(2), 1, claimed.size()}, "/a", "forged", claimed);
  const auto outcome = engine.apply(forged, noon);
  CHECK(outcome.status == apply_status::refused);
  CHECK(outcome.alarm);
  CHECK(outcome.problem->code == error_code::already_exists);
  CHECK(engine.overwritten() == 0);
  CHECK(engine.buffered() == 0);
  for (int i = 2; i < 10; ++i) {
    const auto written = must_write(engine, a, i);
    CHECK(engine.view(a) == value{i});
    CHECK(siblings_of(engine, a) == std::vector{written.dot});
  }
  // What other incarnations have yet to send may be overwritten already, an earlier one of this
  // node included.
  CHECK(status_of(engine, put({node(3), 1, 1}, "/b", 1, {{node(1), 5, 7}, {node(4), 1, 3}})) ==
        apply_status::applied);
}
