#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/live_set.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

bool everything(const path&) { return true; }

/// Takes changes that must be taken.
void take(context_engine& engine, const std::vector<change_record>& all) {
  for (const auto& each : all) {
    const auto status = status_of(engine, each);
    REQUIRE((status == apply_status::applied || status == apply_status::duplicate));
  }
}

join_outcome must_join(context_engine& engine, const context_engine& other) {
  auto joined = engine.join(other.state(), noon, everything);
  REQUIRE_MESSAGE(joined, (joined ? "" : joined.error().message));
  REQUIRE(engine.tree().verify());
  return std::move(*joined);
}

}  // namespace

TEST_CASE("what was overwritten elsewhere goes, and what nobody there knows stays") {
  const auto old = put({node(2), 1, 1}, "/a", 1);
  const auto newer = put({node(3), 1, 1}, "/a", 2, {seen(old)});
  context_engine ours{node(1), 1}, theirs{node(4), 1};
  take(ours, {old, put({node(2), 1, 2}, "/only/ours", 1)});
  take(theirs, {old, newer, put({node(3), 1, 2}, "/only/theirs", 2)});
  const auto mine = must_write(ours, b, 5);
  const auto outcome = must_join(ours, theirs);
  CHECK(outcome.taken == 2);
  CHECK(outcome.dropped == 1);
  CHECK(siblings_of(ours, a) == std::vector{newer.dot});
  CHECK(siblings_of(ours, b) == std::vector{mine.dot});
  CHECK(ours.view(path{"/only/ours"}) == value{1});
  CHECK(ours.view(path{"/only/theirs"}) == value{2});
  CHECK(ours.values() == 4);
  CHECK(ours.vector() == version_vector{{{node(1), 1, 1}, {node(2), 1, 2}, {node(3), 1, 2}}});
  CHECK(must_join(ours, theirs).taken == 0);
}

TEST_CASE("what was deleted elsewhere is not brought back by who was away") {
  const auto old = put({node(2), 1, 1}, "/a", 1);
  context_engine ours{node(1), 1}, theirs{node(3), 1};
  take(ours, {old});
  take(theirs, {old, erase_below({node(2), 1, 2}, "/a", {old})});
  REQUIRE(theirs.tree().empty());
  context_engine back{node(4), 1};
  take(back, {old});
  must_join(back, theirs);
  CHECK(back.tree().empty());
  must_join(theirs, ours);
  CHECK(theirs.tree().empty());
  CHECK(status_of(back, old) == apply_status::duplicate);
}

TEST_CASE("a join gives what all changes of both give") {
  CHECK(rc::check("any two replicas", [] {
    // Four writers make changes at few paths, each on what it has seen; some in transactions.
    std::vector<context_engine> writers;
    for (unsigned n = 1; n <= 4; ++n) writers.emplace_back(node(n), 1);
    std::vector<change_record> all;
    std::vector<std::size_t> read(4);
    const auto catch_up = [&](std::size_t writer, std::size_t upto) {
      for (; read[writer] < upto; ++read[writer]) writers[writer].apply(all[read[writer]], noon);
    };
    const auto steps = *rc::gen::inRange(1, 30);
    for (int step = 0; step < steps; ++step) {
      const auto writer = *rc::gen::inRange<std::size_t>(0, 4);
      catch_up(writer, *rc::gen::inRange<std::size_t>(read[writer], all.size() + 1));
      std::vector<local_write> writes;
      for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
        writes.push_back(
            {*rc::gen::inRange(0, 3) ? operation::put : operation::erase_subtree,
             path{"/" + std::string(1, static_cast<char>('a' + *rc::gen::inRange(0, 4)))}, step});
      if (const auto made = writers[writer].write_together(writes, "tester", {}, noon))
        for (const auto& each : *made) all.push_back(each.record);
    }
    // Two readers have got some of them, and perhaps a part of a transaction.
    const auto reader = [&](unsigned n) {
      context_engine engine{node(n), 1};
      const auto upto = *rc::gen::inRange<std::size_t>(0, all.size() + 1);
      const auto without = *rc::gen::inRange(1, 9);
      for (std::size_t i = 0; i < upto; ++i)
        if (all[i].dot.origin != node(static_cast<unsigned>(without))) engine.apply(all[i], noon);
      return engine;
    };
    auto ours = reader(8), theirs = reader(9);
    const auto theirs_before = theirs.state();
    const auto ours_before = ours.state();
    RC_ASSERT(ours.join(theirs_before, noon, everything).has_value());
    RC_ASSERT(theirs.join(ours_before, noon, {}).has_value());
    if (ours.has_ready()) ours.release(noon);
    if (theirs.has_ready()) theirs.release(noon);
    context_engine both{node(10), 1};
    for (const auto& each : all)
      if (ours.processed().covers(each.dot)) both.apply(each, noon);
    RC_ASSERT(both.processed() == ours.processed());
    RC_ASSERT(both.root_hash() == ours.root_hash());
    RC_ASSERT(both.values() == ours.values());
    RC_ASSERT(both.conflicts() == ours.conflicts());
    RC_ASSERT(both.open() == ours.open());
    // The parts of a transaction that only one of them has are not part of a state.
    for (const auto& each : all) theirs.apply(each, noon);
    for (const auto& each : all) ours.apply(each, noon);
    RC_ASSERT(ours.root_hash() == theirs.root_hash());
    RC_ASSERT(ours.vector() == theirs.vector());
    RC_ASSERT(ours.open() == 0);
    RC_ASSERT(ours.buffered() == 0);
  }));
}

TEST_CASE("what waited goes on, and what waited in vain is dropped") {
  const auto first = put({node(2), 1, 1}, "/a", 1), second = put({node(2), 1, 2}, "/a", 2),
             third = put({node(2), 1, 3}, "/a", 3);
  const auto after = put({node(3), 1, 1}, "/b", 3, {seen(second)});
  context_engine ours{node(1), 1}, theirs{node(4), 1};
  CHECK(status_of(ours, third) == apply_status::buffered);
  CHECK(status_of(ours, second) == apply_status::buffered);
  CHECK(status_of(ours, after) == apply_status::buffered);
  take(theirs, {first, second});
  must_join(ours, theirs);
  REQUIRE(ours.has_ready());
  const auto released = ours.release(noon).released;
  CHECK(released.size() == 2);
  CHECK(ours.buffered() == 0);
  CHECK(ours.missing().empty());
  CHECK(ours.view(a) == value{3});
  CHECK(ours.view(b) == value{3});
}

TEST_CASE("a transaction that is open here is taken from a state that has it") {
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  context_engine ours{node(1), 1}, theirs{node(4), 1}, has_less{node(5), 1};
  take(ours, {all[0]});
  take(theirs, all);
  take(has_less, {put({node(3), 1, 1}, "/c", 1)});
  must_join(ours, has_less);
  CHECK(ours.open() == 1);
  must_join(ours, theirs);
  CHECK(ours.open() == 0);
  CHECK(ours.view(a) == value{1});
  CHECK(ours.root_hash() == [&] {
    must_join(theirs, has_less);
    return theirs.root_hash();
  }());
}

TEST_CASE("a state that no replica has is refused, and nothing changes") {
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  context_engine ours{node(1), 1};
  take(ours, {all[0]});
  const auto before = ours.state();
  const auto refused = [&](engine_state state, error_code code, std::string_view part) {
    const auto joined = ours.join(state, noon, everything);
    REQUIRE_FALSE(joined);
    CHECK(joined.error().code == code);
    CHECK_MESSAGE(joined.error().message.find(part) != std::string::npos, joined.error().message);
    CHECK(ours.state().tree.hash() == before.tree.hash());
    CHECK(ours.processed().at({node(2), 1}) == 1);
    CHECK(ours.values() == 0);
  };
  SUBCASE("it has a part of a transaction") {
    engine_state part;
    part.processed.raise({node(2), 1, 1});
    refused(part, error_code::corrupt_data, "a part of the transaction");
  }
  SUBCASE("it has changes of this incarnation") {
    engine_state forged;
    forged.processed.raise({node(1), 1, 1});
    refused(forged, error_code::already_exists, "another node runs under its identity");
  }
  SUBCASE("too many incarnations") {
    engine_state many;
    std::vector<version_entry> entries;
    constexpr engine_limits limits;
    for (std::uint64_t i = 1; i <= limits.most_incarnations() + 1; ++i)
      entries.push_back({node(7), i, 1});
    many.processed = processed_changes{version_vector{std::move(entries)}};
    refused(many, error_code::limit_exceeded, "incarnations");
    auto fewer = many.processed.vector().entries();
    fewer.resize(limits.max_incarnations);
    many.processed = processed_changes{version_vector{std::move(fewer)}};
    CHECK(ours.join(many, noon, everything));
  }
  SUBCASE("too many siblings") {
    context_engine many{node(3), 1};
    for (unsigned n = 10; n < 10 + engine_limits{}.max_siblings; ++n)
      take(many, {put({node(n), 1, 1}, "/c", 1)});
    must_write(ours, path{"/c"}, 2);
    const auto joined = ours.join(many.state(), noon, everything);
    REQUIRE_FALSE(joined);
    CHECK(joined.error().code == error_code::limit_exceeded);
    CHECK(joined.error().message.find("/c") != std::string::npos);
    CHECK(ours.values() == 1);
    CHECK(ours.conflicts() == 0);
    CHECK(ours.view(path{"/c"}) == value{2});
  }
}

TEST_CASE("a state in which this very incarnation is forgotten takes nothing of it away") {
  context_engine ours{node(1), 5}, theirs{node(4), 1};
  const auto mine = must_write(ours, b, 1);
  for (std::uint64_t n = 6; n < processed_changes::max_ended_of_node + 20; ++n) {
    auto made_up = put({node(1), n, 1}, "/made/up/" + std::to_string(n), 1);
    if (n > 6) made_up.after = {{node(1), n - 1, 1}};
    take(theirs, {made_up});
  }
  REQUIRE(theirs.processed().has_forgotten({node(1), 5}));
  must_join(ours, theirs);
  CHECK(siblings_of(ours, b) == std::vector{mine.dot});
  must_write(ours, b, 2);
  CHECK(ours.processed().at({node(1), 5}) == 2);
}

TEST_CASE("of two writes under one dot all keep the same one") {
  const auto one = put({node(2), 1, 1}, "/a", 1), other = put({node(2), 1, 1}, "/a", 2);
  context_engine ours{node(1), 1}, theirs{node(3), 1};
  take(ours, {one});
  take(theirs, {other});
  const auto state = ours.state();
  must_join(ours, theirs);
  REQUIRE(theirs.join(state, noon, everything));
  CHECK(ours.root_hash() == theirs.root_hash());
  CHECK(siblings_of(ours, a).size() == 1);
}

TEST_CASE("watchers are told what readers see now, and of nothing else") {
  const auto old = put({node(2), 1, 1}, "/a", 1), same = put({node(2), 1, 2}, "/b", 2);
  context_engine ours{node(1), 1}, theirs{node(3), 1};
  take(ours, {old, same, put({node(2), 1, 3}, "/gone", 3)});
  take(theirs, {old, same});
  take(theirs, {put({node(2), 1, 3}, "/gone", 3)});
  take(theirs, {put({node(3), 2, 1}, "/a", 5, {seen(old)}),
                erase({node(3), 2, 2}, "/gone", {seen(put({node(2), 1, 3}, "/gone", 3))}),
                put({node(3), 2, 3}, "/new", 6), erase_below({node(3), 2, 4}, "/b", {same})});
  auto seen_now = must_join(ours, theirs).seen;
  REQUIRE(seen_now.size() == 4);
  const auto at = [&](std::string_view where) {
    return *std::ranges::find(seen_now, path{where}, &change_record::path);
  };
  CHECK(at("/a").new_value == value{5});
  CHECK(at("/a").previous_value == value{1});
  CHECK(at("/b").operation == operation::erase);
  CHECK(at("/b").previous_value == value{2});
  CHECK(at("/gone").operation == operation::erase);
  CHECK(at("/new").new_value == value{6});
  CHECK_FALSE(at("/new").previous_value);
}
