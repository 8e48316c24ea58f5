#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a change of another format is refused and nobody is blamed for it") {
  context_engine engine{node(1), 1};
  for (const std::uint32_t format : {change_record::current_format + 1, 1U}) {
    auto other = put({node(2), 1, 1}, "/a", 1);
    other.format = format;
    const auto outcome = engine.apply(other, noon);
    CHECK(outcome.status == apply_status::refused);
    CHECK(outcome.problem->code == error_code::version_mismatch);
    CHECK_FALSE(outcome.alarm);
  }
  CHECK(engine.tree().empty());
  CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::applied);
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
  CHECK(contains(refusal(put({node(2), 1, 3}, "/a", 1, {{{node(2), 1, 1}, 5}})), "observed"));
  auto record = erase({node(2), 1, 1}, "/a");
  record.new_value = 1;
  CHECK(contains(refusal(record), "erases"));
  record = put({node(2), 1, 1}, "/a", 1);
  record.principal.assign(257, 'x');
  CHECK(contains(refusal(record), "principal"));
  CHECK(contains(refusal(put({node(1), 1, 1}, "/a", std::string(100, 'x'))), "value"));
  CHECK(
      contains(refusal(put({node(2), 1, 1}, "/a", 1, {{{node(4), 1, 1}, 5}, {{node(3), 1, 1}, 5}})),
               "order"));
  CHECK(
      contains(refusal(put({node(2), 1, 1}, "/a", 1, {{{node(3), 1, 1}, 5}, {{node(3), 1, 1}, 5}})),
               "order"));
  std::vector<observed_change> many;
  for (std::uint64_t seq = 1; seq <= 1025; ++seq) many.push_back({{node(3), 1, seq}, 5});
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, many)), "at most 1024"));
  record = put({node(2), 1, 1}, "/a", 1);
  for (const transaction_place place : {transaction_place{2, 2, 9},
                                        {0, 0},
                                        {1, 2, 9},
                                        {0, 1U << 31, 9},
                                        {0, 2, std::uint64_t{1} << 40},
                                        {0, 1, 9}}) {
    record.transaction = place;
    CHECK(contains(refusal(record), "its place in its transaction"));
  }
}

TEST_CASE("an erasure of a subtree that no node makes is malformed") {
  const auto refusal = [](const change_record& record) {
    context_engine engine{node(1), 1};
    const auto outcome = engine.apply(record, noon);
    REQUIRE(outcome.status == apply_status::malformed);
    return outcome.problem->message;
  };
  const auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  const auto low = put({node(3), 1, 1}, "/a/x", 1), high = put({node(3), 1, 2}, "/a/y", 1);
  const auto good = erase_below({node(2), 1, 9}, "/a", {low, high});
  CHECK_FALSE(malformed(good, {}));
  CHECK(contains(refusal(erase_below({node(2), 1, 9}, "/a", {high, low})), "not in order"));
  CHECK(contains(refusal(erase_below({node(2), 1, 9}, "/a", {low, low})), "not in order"));
  CHECK(contains(refusal(erase_below({node(2), 1, 9}, "/a/x", {low, high})), "outside"));
  CHECK(contains(refusal(erase_below({node(2), 1, 9}, "/a", {})), "operation"));
  auto record = good;
  record.observed = {seen(low)};
  CHECK(contains(refusal(record), "operation"));
  record = good;
  record.new_value = 1;
  CHECK(contains(refusal(record), "value"));
  record = put({node(2), 1, 9}, "/a", 1);
  record.below = good.below;
  CHECK(contains(refusal(record), "operation"));
  record = good;
  record.below[0].changes.clear();
  CHECK(contains(refusal(record), "not in order"));
  CHECK(contains(refusal(erase_below({node(3), 1, 2}, "/a", {high})), "later change"));
  std::vector<change_record> many;
  for (std::uint64_t i = 1; i <= 4097; ++i)
    many.push_back(put({node(3), 1, i}, "/a/" + std::to_string(10'000 + i), 1));
  CHECK(contains(refusal(erase_below({node(2), 1, 9}, "/a", many)), "4097 changes"));
}

TEST_CASE("one dot for two changes raises an alarm and isolates both; the incarnation goes on") {
  context_engine engine{node(1), 1};
  auto one = put({node(2), 1, 1}, "/a", "one");
  one.trace = trace_id{node(7).id};
  auto other = one;
  SUBCASE("when the first is live and the other has another value") { other.new_value = "other"; }
  SUBCASE("when the other has another trace") { other.trace = {}; }
  REQUIRE(status_of(engine, one) == apply_status::applied);
  const auto outcome = engine.apply(other, noon);
  CHECK(outcome.status == apply_status::duplicate);
  CHECK(outcome.alarm);
  CHECK(outcome.problem->code == error_code::corrupt_data);
  REQUIRE(engine.quarantine().size() == 1);
  CHECK(engine.quarantine()[0].contents == std::vector{content_hash(one), content_hash(other)});
  CHECK(engine.quarantine()[0].records[1] == other);
  CHECK(engine.tree().empty());
  CHECK_FALSE(engine.apply(other, noon).alarm);
  CHECK(status_of(engine, put({node(2), 1, 2}, "/b", 1)) == apply_status::applied);
}

TEST_CASE("the quarantine is bounded; then the first of two changes counts") {
  engine_limits limits;
  SUBCASE("in number") { limits.max_quarantine = 2; }
  SUBCASE("in memory") { limits.max_quarantine_weight = 2 * 2 * 420; }
  context_engine engine{node(1), 1, {}, limits};
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    const auto where = "/p" + std::to_string(seq);
    REQUIRE(status_of(engine, put({node(2), 1, seq}, where, 1)) == apply_status::applied);
    CHECK(engine.apply(put({node(2), 1, seq}, where, 2), noon).alarm);
    CHECK(engine.view(path{where}).has_value() == (seq == 3));
  }
  CHECK(engine.quarantine().size() == 2);
  // It is counted anew after a start.
  context_engine again{node(1), 2, engine.state(), limits};
  CHECK(again.apply(put({node(2), 1, 3}, "/p3", 2), noon).alarm);
  CHECK(again.view(path{"/p3"}) == value{1});
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

TEST_CASE("one dot for two waiting changes raises an alarm, and the first one waits on") {
  const auto first = put({node(2), 1, 1}, "/b", 1), one = put({node(2), 1, 2}, "/a", "one"),
             other = put({node(2), 1, 2}, "/a", "other");
  context_engine engine{node(1), 1};
  CHECK(status_of(engine, one) == apply_status::buffered);
  CHECK(engine.apply(other, noon).alarm);
  CHECK(engine.quarantine().size() == 1);
  // A write here does not name what never was part of the state.
  CHECK(must_write(engine, a, 1).observed.empty());
  CHECK(engine.apply(first, noon).released == std::vector{one});
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
  auto both = std::vector{seen(one), seen(other)};
  std::ranges::sort(both);
  CHECK(mended.observed == both);
  CHECK(status_of(unaware, mended) == apply_status::applied);
  CHECK(witness.root_hash() == unaware.root_hash());
  CHECK(unaware.view(a) == value{"mended"});
}

TEST_CASE(
    "a change of this very incarnation that this node did not make is an alarm, and nothing else") {
  context_engine engine{node(1), 1};
  const auto mine = must_write(engine, a, 1);
  const auto before = engine.root_hash();
  CHECK(status_of(engine, mine) == apply_status::duplicate);
  for (const std::uint64_t seq : {1, 2, 9}) {
    const auto outcome = engine.apply(put({node(1), 1, seq}, "/a", "forged"), noon);
    CHECK(outcome.alarm);
    CHECK(outcome.status == apply_status::refused);
    CHECK(outcome.problem->code == error_code::already_exists);
  }
  CHECK(engine.root_hash() == before);
  CHECK(engine.quarantine().empty());
  CHECK(must_write(engine, a, 2).dot.seq == 2);
}

TEST_CASE("only the system writes below /_sys, also on other nodes") {
  context_engine engine{node(1), 1};
  auto record = put({node(2), 1, 1}, "/_sys/strategies", 1);
  CHECK(status_of(engine, record) == apply_status::malformed);
  auto erasure = erase_below({node(2), 1, 1}, "/", {put({node(3), 1, 1}, "/_sys/x", 1)});
  CHECK(status_of(engine, erasure) == apply_status::malformed);
  record.principal = "system";
  CHECK(status_of(engine, record) == apply_status::applied);
}

TEST_CASE("what says to have overwritten changes that this node has yet to make waits for them") {
  context_engine engine{node(1), 1};
  must_write(engine, a, 1);
  change_record forged;
  SUBCASE("at a path") {
    forged = put({node(2), 1, 1}, "/a", "forged", {{{node(1), 1, 2}, 5}, {{node(1), 1, 4}, 5}});
  }
  SUBCASE("in a subtree") {
    forged = erase_below({node(2), 1, 1}, "/",
                         {put({node(1), 1, 4}, "/a", 2), put({node(1), 1, 2}, "/b", 2)});
  }
  const auto outcome = engine.apply(forged, noon);
  CHECK(outcome.status == apply_status::buffered);
  CHECK(outcome.alarm);
  CHECK(outcome.problem->code == error_code::already_exists);
  for (int i = 2; i <= 4; ++i) {
    const auto written = must_write(engine, a, i);
    CHECK(engine.view(a) == value{i});
    CHECK(siblings_of(engine, a) == std::vector{written.dot});
    CHECK(engine.has_ready() == (forged.operation == operation::put ? i != 3 : i == 4));
    const auto released = engine.release(noon).released;
    CHECK(released == (i == 4 ? std::vector{forged} : std::vector<change_record>{}));
  }
  // It overwrote other changes than the ones that were made.
  CHECK(siblings_of(engine, a).back() == dot{node(1), 1, 4});
}
