#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <troupe/actors/context/engine.hpp>
#include <troupe/tests/support/context_fixture.hpp>

using namespace troupe;
using test::erase;
using test::node;
using test::noon;
using test::put;

namespace {

const path a{"/a"}, b{"/b"};

change_record must_write(context_engine& engine, const path& where, value given, std::uint64_t now = noon) {
  auto written = engine.write(operation::put, where, std::move(given), "tester", {}, now);
  REQUIRE(written);
  return *written;
}

apply_status status_of(context_engine& engine, const change_record& record) {
  return engine.apply(record, noon).status;
}

std::vector<dot> siblings_of(const context_engine& engine, const path& where) {
  std::vector<dot> dots;
  if (const auto* entry = engine.tree().find(where))
    for (const auto& each : entry->siblings.all()) dots.push_back(each.dot());
  return dots;
}

/// Replicas that write at random and hear of each other's changes at random: a source of real histories.
std::vector<change_record> random_history(std::mt19937& random, unsigned nodes, unsigned steps) {
  std::vector<context_engine> engines;
  for (unsigned i = 0; i < nodes; ++i) engines.emplace_back(node(i + 1), 1);
  std::vector<change_record> all;
  for (unsigned step = 0; step < steps; ++step) {
    auto& engine = engines[random() % nodes];
    const path where{"/p" + std::to_string(random() % 4)};
    const auto op = random() % 4 == 0 ? operation::erase : operation::put;
    if (auto written = engine.write(op, where, static_cast<int>(step), "tester", {}, noon + random() % 1000)) {
      all.push_back(*written);
      all.back().previous_value.reset();
    }
    for (const auto& each : all)
      if (random() % 8 == 0) engines[random() % nodes].apply(each, noon);
  }
  return all;
}

/// The oracle: what was issued, without what anything issued has observed.
std::map<std::string, std::set<dot>> live_set(const std::vector<change_record>& issued) {
  std::set<dot> observed;
  for (const auto& each : issued) observed.insert(each.observed.begin(), each.observed.end());
  std::map<std::string, std::set<dot>> live;
  for (const auto& each : issued)
    if (!observed.contains(each.dot)) live[each.path.text()].insert(each.dot);
  return live;
}

std::map<std::string, std::set<dot>> live_set(const context_tree& tree) {
  std::map<std::string, std::set<dot>> live;
  tree.visit_from({}, [&](const tree_entry& entry) {
    for (const auto& each : entry.siblings.all()) live[entry.path.text()].insert(each.dot());
    return true;
  });
  return live;
}

/// Joins maps member by member; others by the order of their bytes. Not commutative on purpose: the left side wins.
class left_wins final : public conflict_resolution {
public:
  std::string_view name() const noexcept override { return "left_wins/1"; }
  std::string_view reason() const noexcept override { return "the earlier counts, with a mark"; }
  change_record resolve(const change_record& local, const change_record& remote) const override {
    auto merged = local;
    merged.new_value = value::array({local.new_value, remote.new_value});
    return merged;
  }
};

}  // namespace

// -- construction ----------------------------------------------------------------------------------------------------

TEST_CASE("an engine refuses to start without an identity of its own") {
  CHECK_THROWS_AS(context_engine({}, 1), std::invalid_argument);
  CHECK_THROWS_AS(context_engine(node(1), 0), std::invalid_argument);
  CHECK_THROWS_AS(context_engine(node(1), 1, {}, {}, nullptr), std::invalid_argument);
  engine_state used;
  used.vector.raise(node(1), 3, 5);
  CHECK_THROWS_AS(context_engine(node(1), 3, used), std::invalid_argument);
  CHECK_NOTHROW(context_engine(node(1), 4, used));
}

// -- local writes ----------------------------------------------------------------------------------------------------

TEST_CASE("a write is numbered, timed, seen at once, and tells what stood there before") {
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
  CHECK(second.observed == std::vector{first->dot});
  CHECK(second.previous_value == value{1});
  CHECK(second.timestamp > first->timestamp);
  CHECK(engine.view(a) == value{2});
  CHECK(engine.vector().at(node(1), 7) == 2);
  CHECK(engine.own_run() == run_id{node(1), 7});
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
  CHECK(status_of(engine, put({node(2), 1, 1}, "/_sys/strategies", 2)) == apply_status::applied);
}

TEST_CASE("a write passes no bound") {
  engine_limits limits;
  limits.max_value_bytes = 10;
  context_engine engine{node(1), 1, {}, limits};
  CHECK(engine.write(operation::put, a, "123456789", "ada", {}, noon));
  CHECK(engine.write(operation::put, a, "1234567890", "ada", {}, noon).error().code == error_code::limit_exceeded);
  limits = {};
  context_engine deep{node(1), 1, {}, limits};
  const auto nested = [](std::uint32_t levels) {
    value inner = 1;
    for (; levels > 0; --levels) inner = value::array({inner});
    return inner;
  };
  CHECK(deep.write(operation::put, a, nested(context_engine::max_value_depth), "ada", {}, noon));
  CHECK(deep.write(operation::put, a, nested(context_engine::max_value_depth + 1), "ada", {}, noon).error().code ==
        error_code::limit_exceeded);
  CHECK(status_of(deep, put({node(2), 1, 1}, "/a", nested(context_engine::max_value_depth + 1))) ==
        apply_status::malformed);
  const value parts = value::array(std::vector<value>(600'000));
  CHECK(deep.write(operation::put, a, parts, "ada", {}, noon).error().code == error_code::limit_exceeded);
  CHECK(engine.write(operation::put, a, 1, std::string(257, 'x'), {}, noon).error().code ==
        error_code::invalid_argument);
  CHECK(engine.write(operation::put, a, 1, "\xff", {}, noon).error().code == error_code::invalid_argument);
}

// -- changes of other nodes ------------------------------------------------------------------------------------------

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
  CHECK(joined.observed == std::vector{mine.dot, theirs.dot});
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
  std::vector<change_record> run;
  for (std::uint64_t seq = 1; seq <= 6; ++seq) run.push_back(put({node(2), 1, seq}, "/p" + std::to_string(seq), 1));
  CHECK(status_of(engine, run[5]) == apply_status::buffered);
  CHECK(status_of(engine, run[2]) == apply_status::buffered);
  CHECK(status_of(engine, run[2]) == apply_status::duplicate);
  CHECK(status_of(engine, run[1]) == apply_status::buffered);
  CHECK(status_of(engine, put({node(3), 4, 2}, "/q", 1)) == apply_status::buffered);
  CHECK(engine.buffered() == 4);
  CHECK(engine.missing() == std::vector<dot_range>{{node(2), 1, 1, 1}, {node(2), 1, 4, 5}, {node(3), 4, 1, 1}});
  CHECK(engine.tree().empty());
  const auto outcome = engine.apply(run[0], noon);
  CHECK(outcome.status == apply_status::applied);
  std::vector<std::uint64_t> order;
  for (const auto& each : outcome.applied) order.push_back(each.record.dot.seq);
  CHECK(order == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(engine.missing() == std::vector<dot_range>{{node(2), 1, 4, 5}, {node(3), 4, 1, 1}});
  CHECK(engine.vector().at(node(2), 1) == 3);
}

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
  CHECK(status_of(small, put({node(2), 1, 3}, "/a", std::string(9000, 'x'))) == apply_status::buffered);
  CHECK(status_of(small, put({node(2), 1, 4}, "/a", std::string(9000, 'x'))) == apply_status::overflow);
  CHECK(small.apply(put({node(2), 1, 1}, "/a", 1), noon).applied.size() == 1);
  CHECK(small.apply(put({node(2), 1, 2}, "/a", 1), noon).applied.size() == 2);
  CHECK(status_of(small, put({node(2), 1, 5}, "/a", std::string(9000, 'x'))) == apply_status::buffered);
}

TEST_CASE("a change that was overwritten before it came does not come alive, but overwrites in turn") {
  context_engine engine{node(1), 1};
  const auto old = put({node(3), 1, 1}, "/a", "old");
  const auto middle = put({node(2), 1, 1}, "/a", "middle", {old.dot}, 10);
  const auto newest = put({node(4), 1, 1}, "/a", "newest", {middle.dot}, 5);
  CHECK(status_of(engine, old) == apply_status::applied);
  CHECK(status_of(engine, newest) == apply_status::applied);
  CHECK(engine.overwritten() == 1);
  CHECK(engine.conflicts() == 1);
  const auto outcome = engine.apply(middle, noon);
  CHECK(outcome.status == apply_status::applied);
  CHECK(siblings_of(engine, a) == std::vector{newest.dot});
  CHECK(engine.overwritten() == 0);
  CHECK(engine.conflicts() == 0);
}

TEST_CASE("the dots awaited as overwritten are bounded") {
  engine_limits limits;
  limits.max_overwritten = 2;
  context_engine engine{node(1), 1, {}, limits};
  CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1, {{node(3), 1, 1}, {node(4), 1, 1}})) == apply_status::applied);
  const auto next = put({node(2), 1, 2}, "/b", 1, {{node(5), 1, 1}});
  CHECK(status_of(engine, next) == apply_status::overflow);
  CHECK(status_of(engine, put({node(3), 1, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, next) == apply_status::applied);
}

TEST_CASE("the runs of the vector are bounded") {
  engine_limits limits;
  limits.max_runs = 2;
  context_engine engine{node(1), 1, {}, limits};
  CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 2, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 3, 1}, "/a", 1)) == apply_status::overflow);
  CHECK(status_of(engine, put({node(2), 2, 2}, "/a", 1)) == apply_status::applied);
}

TEST_CASE("of one run a path never holds more than the latest write") {
  context_engine engine{node(1), 1};
  for (std::uint64_t seq = 1; seq <= 3; ++seq)
    CHECK(status_of(engine, put({node(2), 1, seq}, "/a", 1)) == apply_status::applied);
  CHECK(siblings_of(engine, a) == std::vector<dot>{{node(2), 1, 3}});
}

TEST_CASE("a path takes siblings up to the bound, keeps them all, and takes the rest once a write made room") {
  engine_limits limits;
  limits.max_siblings = 3;
  context_engine engine{node(1), 1, {}, limits};
  std::vector<change_record> concurrent;
  for (unsigned i = 2; i <= 6; ++i) concurrent.push_back(put({node(i), 1, 1}, "/a", i, {}, i));
  for (unsigned i = 0; i < 5; ++i)
    CHECK(status_of(engine, concurrent[i]) == (i < 3 ? apply_status::applied : apply_status::overflow));
  CHECK(siblings_of(engine, a).size() == 3);
  CHECK(engine.vector().at(node(5), 1) == 0);

  SUBCASE("a local write makes room") {
    must_write(engine, a, "joined");
    CHECK(status_of(engine, concurrent[3]) == apply_status::applied);
    CHECK(status_of(engine, concurrent[4]) == apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 3);
  }
  SUBCASE("a change that overwrites one takes its place") {
    CHECK(status_of(engine, put({node(7), 1, 1}, "/a", 1, {concurrent[0].dot})) == apply_status::applied);
    CHECK(status_of(engine, put({node(3), 1, 2}, "/a", 1)) == apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 3);
  }
  SUBCASE("a change of that run that waits behind it comes with it once there is room") {
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
    for (; next < issued[writer].size() && random() % 4 != 0; ++next) engines[reader].apply(issued[writer][next], noon);
    most = std::max(most, siblings_of(engines[reader], a).size());
  }
  CHECK(most > 1);
  CHECK(most <= nodes);
}

// -- changes that are refused ----------------------------------------------------------------------------------------

TEST_CASE("a change of a newer format is refused and its run waits for a newer build") {
  context_engine engine{node(1), 1};
  auto newer = put({node(2), 1, 1}, "/a", 1);
  newer.format = change_record::current_format + 1;
  const auto outcome = engine.apply(newer, noon);
  CHECK(outcome.status == apply_status::refused);
  CHECK(outcome.problem->code == error_code::version_mismatch);
  CHECK_FALSE(outcome.alarm);
  CHECK(engine.declined() == std::vector{run_id{node(2), 1}});
  CHECK(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::refused);
  CHECK(status_of(engine, put({node(2), 2, 1}, "/a", 1)) == apply_status::applied);
}

TEST_CASE("a malformed change is not taken, says why, and says nothing about its run") {
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
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, {{node(4), 1, 1}, {node(3), 1, 1}})), "order"));
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, {{node(3), 1, 1}, {node(3), 1, 1}})), "order"));
  std::vector<dot> many;
  for (std::uint64_t seq = 1; seq <= 1025; ++seq) many.push_back({node(3), 1, seq});
  CHECK(contains(refusal(put({node(2), 1, 1}, "/a", 1, many)), "at most 1024"));
}

TEST_CASE("one dot for two changes raises an alarm, isolates both and freezes the run") {
  context_engine engine{node(1), 1};
  const auto one = put({node(2), 1, 1}, "/a", "one");
  auto other = one;

  SUBCASE("when the first is live and the other has another value") { other.new_value = "other"; }
  SUBCASE("when the other has another path") { other.path = b; }
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

TEST_CASE("one dot for two waiting changes raises an alarm") {
  const auto one = put({node(2), 1, 2}, "/a", "one"), other = put({node(2), 1, 2}, "/a", "other");
  context_engine engine{node(1), 1};
  CHECK(status_of(engine, one) == apply_status::buffered);
  CHECK(engine.apply(other, noon).alarm);
  CHECK(engine.quarantine() == std::vector<equivocation>{{one.dot, {one, other}}});
}

TEST_CASE("the next write to a path overwrites what stands in quarantine there, so that all replicas agree again") {
  context_engine witness{node(1), 1}, unaware{node(3), 1};
  const auto one = put({node(2), 1, 1}, "/a", "one", {}, 50), other = put({node(2), 1, 1}, "/a", "other");
  for (auto* engine : {&witness, &unaware}) REQUIRE(status_of(*engine, one) == apply_status::applied);
  REQUIRE(witness.apply(other, noon).alarm);
  CHECK(witness.root_hash() != unaware.root_hash());
  const auto mended = must_write(witness, a, "mended");
  CHECK(mended.observed == std::vector{one.dot});
  CHECK(status_of(unaware, mended) == apply_status::applied);
  CHECK(witness.root_hash() == unaware.root_hash());
  CHECK(unaware.view(a) == value{"mended"});
}

TEST_CASE("a change of this very run that this run did not make raises an alarm and ends writing") {
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

TEST_CASE("a change cannot overwrite what this run has yet to write") {
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
  // What other runs are still to tell may be overwritten already, an earlier run of this node included.
  CHECK(status_of(engine, put({node(3), 1, 1}, "/b", 1, {{node(1), 5, 7}, {node(4), 1, 3}})) == apply_status::applied);
}

TEST_CASE("one node that starts without end does not use up the runs of all") {
  engine_limits limits;
  limits.max_runs_of_node = 2;
  context_engine engine{node(1), 1, {}, limits};
  for (std::uint64_t run = 1; run <= 2; ++run) CHECK(status_of(engine, put({node(2), run, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 3, 1}, "/a", 1)) == apply_status::overflow);
  CHECK(status_of(engine, put({node(2), 2, 2}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(3), 1, 1}, "/a", 1)) == apply_status::applied);
  must_write(engine, a, 1);
  context_engine again{node(2), 4, engine.state(), limits};
  CHECK(again.write(operation::put, a, 1, "ada", {}, noon).error().code == error_code::limit_exceeded);
}

TEST_CASE("where one sibling goes and another one counts, that one is told") {
  context_engine engine{node(1), 1};
  const auto x = put({node(2), 1, 1}, "/a", "x", {}, 10), y = put({node(3), 1, 1}, "/a", "y", {}, 12);
  REQUIRE(status_of(engine, x) == apply_status::applied);
  const auto second = engine.apply(y, noon);
  REQUIRE(second.applied.size() == 1);
  CHECK(second.applied[0].visible);
  CHECK_FALSE(second.applied[0].instead);
  const auto outcome = engine.apply(put({node(4), 1, 1}, "/a", "z", {y.dot}, 9), noon);
  REQUIRE(outcome.applied.size() == 1);
  CHECK(engine.view(a) == value{"x"});
  CHECK(outcome.applied[0].visible);
  REQUIRE(outcome.applied[0].instead);
  CHECK(outcome.applied[0].instead->dot == x.dot);
  CHECK(outcome.applied[0].instead->new_value == value{"x"});
  CHECK(outcome.applied[0].instead->previous_value == value{"y"});
}

TEST_CASE("where nothing is left, that is told") {
  context_engine engine{node(1), 1};
  const auto x = put({node(2), 1, 1}, "/a", "x"), y = put({node(3), 1, 1}, "/a", "y", {x.dot});
  REQUIRE(status_of(engine, x) == apply_status::applied);
  REQUIRE(status_of(engine, put({node(4), 1, 1}, "/b", 1, {y.dot})) == apply_status::applied);
  const auto outcome = engine.apply(y, noon);
  CHECK_FALSE(engine.view(a));
  REQUIRE(outcome.applied.at(0).instead);
  CHECK(outcome.applied[0].instead->operation == operation::erase);
  CHECK(outcome.applied[0].instead->previous_value == value{"x"});
}

// -- reading ---------------------------------------------------------------------------------------------------------

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

TEST_CASE("explain names the competing writes, the winner and the rule") {
  context_engine engine{node(1), 1};
  CHECK(engine.explain(a).writes.empty());
  const auto early = put({node(3), 1, 1}, "/a", "early", {}, 1), late = erase({node(2), 1, 1}, "/a", {}, 2);
  REQUIRE(status_of(engine, late) == apply_status::applied);
  CHECK_FALSE(engine.explain(a).conflict);
  REQUIRE(status_of(engine, early) == apply_status::applied);
  const auto told = engine.explain(a);
  CHECK(told.conflict);
  CHECK(told.rule.find("last_writer_wins") != std::string::npos);
  REQUIRE(told.writes.size() == 2);
  CHECK(told.writes[0] ==
        competing_write{early.dot, early.id(), early.timestamp, operation::put, "early", "tester", false});
  CHECK(told.writes[1] == competing_write{late.dot, late.id(), late.timestamp, operation::erase, {}, "tester", true});
}

TEST_CASE("last writer wins orders by timestamp, then by dot") {
  const last_writer_wins rule;
  const auto early = put({node(3), 1, 1}, "/a", 1, {}, 1), late = put({node(2), 1, 1}, "/a", 2, {}, 2);
  CHECK(rule.resolve(early, late) == late);
  CHECK(rule.resolve(late, early) == late);
  const auto same_time = put({node(4), 1, 1}, "/a", 3, {}, 2);
  CHECK(rule.resolve(late, same_time) == same_time);
  CHECK(rule.resolve(same_time, late) == same_time);
}

TEST_CASE("writes conflict when neither knew of the other") {
  const last_writer_wins rule;
  const auto one = put({node(2), 1, 1}, "/a", 1), other = put({node(3), 1, 1}, "/a", 2);
  CHECK(rule.conflicts(one, other));
  CHECK_FALSE(rule.conflicts(one, one));
  CHECK_FALSE(rule.conflicts(one, put({node(3), 1, 1}, "/b", 2)));
  CHECK_FALSE(rule.conflicts(one, put({node(3), 1, 1}, "/a", 2, {one.dot})));
  CHECK_FALSE(rule.conflicts(put({node(3), 1, 1}, "/a", 2, {one.dot}), one));
}

TEST_CASE("different rules have different hashes") {
  CHECK(strategies_hash(last_writer_wins{}) == strategies_hash(last_writer_wins{}));
  CHECK(strategies_hash(last_writer_wins{}) != strategies_hash(left_wins{}));
}

TEST_CASE("a rule whose result depends on the order of its arguments still gives all replicas one view") {
  const auto rule = std::make_shared<left_wins>();
  std::vector<change_record> concurrent;
  for (unsigned i = 2; i < 6; ++i) concurrent.push_back(put({node(i), 1, 1}, "/a", i, {}, 10 - i));
  std::set<std::string> views;
  std::mt19937 random{1};
  for (int round = 0; round < 10; ++round) {
    std::shuffle(concurrent.begin(), concurrent.end(), random);
    context_engine engine{node(1), 1, {}, {}, rule};
    for (const auto& each : concurrent) engine.apply(each, noon);
    views.insert(engine.view(a)->to_json());
    CHECK(engine.explain(a).rule.find("left_wins/1") == 0);
  }
  CHECK(views == std::set<std::string>{"[[[5,4],3],2]"});
}

// -- time ------------------------------------------------------------------------------------------------------------

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

TEST_CASE("a node's time goes on from its earlier runs, wherever it learns of them") {
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

TEST_CASE("a forged change of an earlier run far ahead does not take this node's time away") {
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
  CHECK(must_write(engine, a, 1).timestamp == timestamp::from_parts(noon, 0));  // once the clock is right again
}

// -- restoring -------------------------------------------------------------------------------------------------------

TEST_CASE("replaying the log gives the same state") {
  std::mt19937 random{3};
  const auto history = random_history(random, 3, 60);
  context_engine live{node(9), 1}, replayed{node(9), 2};
  for (const auto& each : history) {
    for (auto& applied : live.apply(each, noon).applied) REQUIRE(replayed.replay(applied.record, noon));
    REQUIRE(replayed.replay(each, noon).has_value() == live.vector().covers(each.dot));
  }
  CHECK(live.root_hash() == replayed.root_hash());
  CHECK(live.vector() == replayed.vector());
  CHECK(live.conflicts() == replayed.conflicts());
}

TEST_CASE("a hole in the log is corrupt data that names the change after it") {
  context_engine engine{node(1), 1};
  const auto replayed = engine.replay(put({node(2), 1, 2}, "/a", 1), noon);
  REQUIRE_FALSE(replayed);
  CHECK(replayed.error().code == error_code::corrupt_data);
  CHECK(replayed.error().message.find(to_string(dot{node(2), 1, 2})) != std::string::npos);
}

TEST_CASE("a state plus the rest of the history equals the whole history") {
  for (unsigned seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto history = random_history(random, 4, 60);
    std::shuffle(history.begin(), history.end(), random);
    context_engine whole{node(9), 1};
    std::optional<engine_state> checkpoint;
    const auto middle = history.size() / 2;
    for (std::size_t i = 0; i < history.size(); ++i) {
      if (i == middle) checkpoint = whole.state();
      whole.apply(history[i], noon);
    }
    context_engine restored{node(9), 2, *checkpoint};
    for (const auto& each : history) restored.apply(each, noon);
    CHECK(restored.root_hash() == whole.root_hash());
    CHECK(restored.vector() == whole.vector());
    CHECK(restored.conflicts() == whole.conflicts());
    CHECK(restored.overwritten() == 0);
  }
}

TEST_CASE("a restored engine still recognises duplicates, second changes under one dot, and frozen runs") {
  context_engine before{node(1), 1};
  const auto live = put({node(2), 1, 1}, "/a", 1);
  REQUIRE(status_of(before, live) == apply_status::applied);
  REQUIRE(status_of(before, put({node(3), 1, 1}, "/b", 1)) == apply_status::applied);
  REQUIRE(before.apply(put({node(3), 1, 1}, "/b", 2), noon).alarm);
  context_engine after{node(1), 2, before.state()};
  CHECK(status_of(after, live) == apply_status::duplicate);
  CHECK(status_of(after, put({node(3), 1, 2}, "/b", 1)) == apply_status::refused);
  CHECK(after.quarantine() == before.quarantine());
  auto other = live;
  other.new_value = 2;
  CHECK(after.apply(other, noon).alarm);
}

// -- all together ----------------------------------------------------------------------------------------------------

TEST_CASE("any order and any duplication of delivery gives the live set of the oracle, one hash and one view") {
  for (unsigned seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const auto history = random_history(random, 2 + seed % 4, 50);
    const auto expected = live_set(history);
    std::optional<state_hash> hash;
    for (int round = 0; round < 3; ++round) {
      auto deliveries = history;
      for (std::size_t i = random() % 20; i > 0; --i) deliveries.push_back(history[random() % history.size()]);
      std::shuffle(deliveries.begin(), deliveries.end(), random);
      context_engine engine{node(9), 1};
      for (const auto& each : deliveries) {
        const auto outcome = engine.apply(each, noon);
        REQUIRE(outcome.status != apply_status::refused);
        REQUIRE(outcome.status != apply_status::overflow);
      }
      REQUIRE(engine.tree().verify());
      REQUIRE(live_set(engine.tree()) == expected);
      REQUIRE(engine.buffered() == 0);
      REQUIRE(engine.overwritten() == 0);
      if (hash) REQUIRE(engine.root_hash() == *hash);
      hash = engine.root_hash();
      REQUIRE(engine.conflicts() == static_cast<std::size_t>(std::ranges::count_if(
                                        expected, [](const auto& each) { return each.second.size() > 1; })));
    }
  }
}
