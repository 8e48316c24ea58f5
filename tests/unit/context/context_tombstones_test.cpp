#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/actors/context/stable_cut.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

std::shared_ptr<const processed_changes> all_of(const context_engine& engine) {
  return std::make_shared<const processed_changes>(engine.state().processed);
}

bool everything(const path&) { return true; }

change_record must_erase(context_engine& engine, const path& where) {
  auto erased = engine.write(operation::erase, where, {}, "tester", {}, noon);
  REQUIRE(erased);
  return *erased;
}

/// The members of a cluster of these nodes, the first of which is this one.
members members_of(std::initializer_list<unsigned> nodes) {
  context_engine engine{node(98), 1};
  for (const auto each : nodes) {
    auto record = put({node(each), 1, 1}, members::place_of(node(each)).text(), each);
    record.principal = system_principal;
    REQUIRE(status_of(engine, record) == apply_status::applied);
  }
  members known{node(*nodes.begin())};
  known.update(engine.tree());
  return known;
}

}  // namespace

TEST_CASE("tombstones are no part of the hash that replicas compare, unless others compete") {
  context_engine engine{node(1), 1};
  const auto empty = engine.root_hash();
  must_write(engine, a, 1);
  const auto with_value = engine.root_hash();
  const auto erased = must_erase(engine, a);
  CHECK(engine.root_hash() == empty);
  CHECK(engine.tree().summary().tombstones == 1);
  CHECK(engine.tree().summary().hash != empty);
  REQUIRE(status_of(engine, put({node(2), 1, 1}, "/a", 2)) == apply_status::applied);
  CHECK(engine.root_hash() != empty);
  CHECK(engine.root_hash() != with_value);
  CHECK(engine.tree().summary().tombstones == 0);
  CHECK(engine.tree().verify());
}

TEST_CASE("collecting takes tombstones away, some at a time, and nothing else") {
  context_engine engine{node(1), 1};
  for (int i = 0; i < 500; ++i) must_write(engine, path{"/many/" + std::to_string(i)}, i);
  for (int i = 0; i < 500; i += 2) must_erase(engine, path{"/many/" + std::to_string(i)});
  must_write(engine, a, 1);
  must_erase(engine, a);
  REQUIRE(status_of(engine, put({node(2), 1, 1}, "/a", 2)) == apply_status::applied);
  const auto upto = all_of(engine);
  must_write(engine, b, 1);
  const auto late = must_erase(engine, b);
  const auto root = engine.root_hash();

  std::optional<path> at = path{};
  int steps = 0;
  for (; at; ++steps) at = engine.collect(*upto, *at, 100);
  CHECK(steps == 3);
  CHECK(engine.collected() == 250);
  CHECK(engine.tree().summary().tombstones == 1);
  CHECK(siblings_of(engine, b) == std::vector{late.dot});  // it is not in the cut
  CHECK(siblings_of(engine, a).size() == 2);               // it competes
  CHECK(engine.values() == 250 + (engine.view(a) ? 1 : 0));
  CHECK(engine.root_hash() == root);
  CHECK(engine.tree().verify());
  CHECK_FALSE(engine.collect(processed_changes{}, path{}, 100));
  CHECK(engine.collected() == 250);
}

TEST_CASE("a tombstone that counts increments stays") {
  context_engine engine{node(1), 1};
  REQUIRE(engine.write(operation::increment, a, 3, "tester", {}, noon));
  must_erase(engine, a);
  engine.collect(*all_of(engine), path{}, 100);
  CHECK(engine.collected() == 0);
  CHECK(siblings_of(engine, a).size() == 1);
}

TEST_CASE("a write whose writer may have collected the tombstone replaces it") {
  context_engine engine{node(1), 1};
  must_write(engine, a, 1);
  const auto erased = must_erase(engine, a);
  const auto later = put({node(2), 1, 1}, "/a", 2);  // knows of nothing
  SUBCASE("when the tombstone is stable") {
    engine.set_stable(all_of(engine));
    REQUIRE(status_of(engine, later) == apply_status::applied);
    CHECK(siblings_of(engine, a) == std::vector{later.dot});
    CHECK(engine.view(a) == value{2});
    CHECK(engine.conflicts() == 0);
    CHECK(engine.collected() == 1);
  }
  SUBCASE("and not before") {
    REQUIRE(status_of(engine, later) == apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 2);
    CHECK(engine.collected() == 0);
  }
  SUBCASE("nor when others compete with it") {
    REQUIRE(status_of(engine, put({node(3), 1, 1}, "/a", 3)) == apply_status::applied);
    engine.set_stable(all_of(engine));
    REQUIRE(status_of(engine, later) == apply_status::applied);
    CHECK(siblings_of(engine, a).size() == 3);
  }
}

TEST_CASE("what another replica with the same changes has collected is dropped, and nothing else") {
  const auto first = put({node(1), 1, 1}, "/a", 1);
  const auto erased = erase({node(1), 1, 2}, "/a", {}, 9);
  const auto foreign = put({node(2), 1, 1}, "/a", 2);
  context_engine has{node(3), 1}, collected{node(4), 1};
  for (auto* each : {&has, &collected}) {
    REQUIRE(status_of(*each, first) == apply_status::applied);
    REQUIRE(status_of(*each, erased) == apply_status::applied);
  }
  collected.collect(*all_of(collected), path{}, 10);
  for (auto* each : {&has, &collected}) REQUIRE(status_of(*each, foreign) == apply_status::applied);
  REQUIRE(has.root_hash() != collected.root_hash());
  REQUIRE_FALSE(has.view(a));

  const auto none = collected.drop_collected(has.state(), everything);
  CHECK(none.dropped == 0);
  CHECK_FALSE(none.differs);
  const auto some = has.drop_collected(collected.state(), everything);
  CHECK(some.dropped == 1);
  CHECK_FALSE(some.differs);
  REQUIRE(some.seen.size() == 1);
  CHECK(some.seen[0].new_value == value{2});
  CHECK(has.root_hash() == collected.root_hash());
  CHECK(has.view(a) == value{2});
  CHECK(has.values() == 1);
  CHECK(has.conflicts() == 0);
  CHECK(has.collected() == 1);

  context_engine damaged{node(5), 1};
  REQUIRE(status_of(damaged, put({node(1), 1, 1}, "/a", 7)) == apply_status::applied);
  REQUIRE(status_of(damaged, erased) == apply_status::applied);
  REQUIRE(status_of(damaged, put({node(2), 1, 1}, "/b", 2)) == apply_status::applied);
  const auto differs = damaged.drop_collected(has.state(), everything);
  CHECK(differs.differs);
  CHECK(damaged.view(b) == value{2});
}

TEST_CASE("replicas are compared while one of them takes more writes") {
  const auto first = put({node(1), 1, 1}, "/a", 1);
  const auto erased = erase({node(1), 1, 2}, "/a", {}, 9);
  const auto foreign = put({node(2), 1, 1}, "/a", 2);
  const auto other = put({node(2), 1, 2}, "/b", 3);
  context_engine has{node(3), 1}, collected{node(4), 1};
  for (auto* each : {&has, &collected})
    for (const auto& record : {first, erased})
      REQUIRE(status_of(*each, record) == apply_status::applied);
  collected.collect(*all_of(collected), path{}, 10);
  for (auto* each : {&has, &collected})
    for (const auto& record : {foreign, other})
      REQUIRE(status_of(*each, record) == apply_status::applied);
  const auto asked = collected.state();
  must_write(has, b, 4);
  must_write(has, path{"/c"}, 5);
  const auto found = has.drop_collected(asked, everything);
  CHECK(found.dropped == 1);
  CHECK_FALSE(found.differs);  // what '/b' was there has been overwritten here
  CHECK(has.view(a) == value{2});
  CHECK(has.view(b) == value{4});

  context_engine lacks{node(5), 1};
  for (const auto& record : {first, erased, put({node(2), 1, 1}, "/c", 2), other})
    REQUIRE(status_of(lacks, record) == apply_status::applied);
  const auto differs = has.drop_collected(lacks.state(), everything);
  REQUIRE(differs.differs);
  CHECK(*differs.differs == a);
}

TEST_CASE("a tombstone goes once every member has it, and knows that every member has it") {
  context_engine engine{node(1), 1};
  must_write(engine, a, 1);
  must_erase(engine, a);
  const auto here = engine.vector();
  const processed_changes all{here};
  stable_cut cut;
  std::uint64_t now = 0;
  const auto step = [&](const members& known) {
    const auto gone = cut.step(engine, engine.processed(), known, true, now += 1000);
    CHECK(gone <= 1);
    return gone == 1 && engine.collected() >= 1;
  };
  SUBCASE("alone: at once") {
    CHECK(step(members_of({1})));
    CHECK(cut.stable() == here);
  }
  SUBCASE("with others") {
    auto known = members_of({1, 2, 3});
    CHECK_FALSE(step(known));
    known.report({node(2), 1, here, {}});
    CHECK_FALSE(step(known));
    CHECK(cut.stable().entries().empty());
    known.report({node(3), 1, here, {}});
    CHECK_FALSE(step(known));
    CHECK(cut.stable() == here);
    known.report({node(2), 1, here, here});
    CHECK_FALSE(step(known));
    known.report({node(3), 1, here, here});
    CHECK(step(known));
  }
  SUBCASE("not before this node has what the members had by then") {
    auto known = members_of({1, 2});
    auto more = here;
    more.raise(node(2), 1, 1);
    CHECK_FALSE(step(known));
    known.report({node(2), 1, more, more});
    CHECK_FALSE(step(known));
    CHECK(cut.stable().entries().empty());
    REQUIRE(status_of(engine, put({node(2), 1, 1}, "/b", 1)) == apply_status::applied);
    CHECK(step(known));
  }
  SUBCASE("not before it is on this node's own disk") {
    const auto known = members_of({1});
    cut.step(engine, processed_changes{}, known, true, now += 1000);
    CHECK(engine.collected() == 0);
    CHECK(step(known));
  }
  SUBCASE("not while this node catches up, and may not know all members") {
    cut.step(engine, engine.processed(), members_of({1}), false, now += 1000);
    CHECK(cut.stable().entries().empty());
    CHECK(step(members_of({1})));
  }
  SUBCASE("what a member has said and nobody has any more is not waited for without end") {
    auto known = members_of({1, 2});
    auto lost = here;
    lost.raise(node(2), 1, 9);
    known.report({node(2), 1, lost, lost});
    CHECK_FALSE(step(known));
    CHECK_FALSE(step(members_of({1})));
    now += stable_cut::give_up_ms + stable_cut::mark_every_ms;
    step(members_of({1}));
    CHECK(step(members_of({1})));
  }
  SUBCASE("not later because a node has begun anew since") {
    auto known = members_of({1, 2});
    REQUIRE(status_of(engine, put({node(2), 1, 1}, "/b", 1)) == apply_status::applied);
    CHECK_FALSE(step(known));
    auto next = put({node(2), 2, 1}, "/c", 1);
    next.after = {{node(2), 1, 1}};
    REQUIRE(status_of(engine, next) == apply_status::applied);
    known.report({node(2), 2, engine.vector(), engine.vector()});
    CHECK(step(known));
  }
  SUBCASE("an acknowledgement does not stand for all that a member has") {
    auto known = members_of({1, 2});
    known.report({node(2), 1, {}, {}});
    known.add(node(2), here, all);
    CHECK_FALSE(step(known));
    CHECK(cut.stable().entries().empty());
  }
  SUBCASE("what is stable outlasts a restart") {
    CHECK(step(members_of({1})));
    context_engine again{node(1), 2, engine.state()};
    stable_cut next;
    next.step(again, again.processed(), members_of({1, 2}), true, now);
    CHECK(next.stable() == here);
    CHECK(again.stable()->vector() == here);
  }
  SUBCASE("an open transaction is no part of what is stable") {
    const auto both =
        together({erase({node(4), 1, 1}, "/a", {}, 5), put({node(4), 1, 2}, "/b", 1)});
    REQUIRE(status_of(engine, both[0]) == apply_status::applied);
    step(members_of({1}));
    CHECK(cut.stable() == here);
  }
  SUBCASE("a mark follows the one before after some time, and only when there is news") {
    CHECK(step(members_of({1})));
    must_write(engine, b, 1);
    must_erase(engine, b);
    step(members_of({1}));
    CHECK(engine.collected() == 1);
    now += stable_cut::mark_every_ms;
    step(members_of({1}));
    CHECK(engine.collected() == 2);
  }
}

TEST_CASE("a mark is made anew when a member is forgotten, and then has the change that says so") {
  context_engine engine{node(1), 1};
  for (const auto& each : {joining_of(2, 2), joining_of(3, 3)})
    REQUIRE(status_of(engine, each) == apply_status::applied);
  REQUIRE(engine.write(operation::put, members::place_of(node(1)), members::joining(noon), "system",
                       {}, noon));
  must_write(engine, a, 1);
  must_erase(engine, a);
  const auto before = engine.vector();
  members known{node(1)};
  known.update(engine.tree());
  stable_cut cut;
  std::uint64_t now = 1000;
  const auto step = [&] { return cut.step(engine, engine.processed(), known, true, now += 100); };
  step();
  known.report({node(2), 1, before, before});
  step();
  REQUIRE(cut.stable().entries().empty());  // node 3 has not said anything
  REQUIRE(engine.write(operation::put, members::place_of(node(3)),
                       members::farewell(noon, "a test"), "system", {}, noon));
  const auto since = engine.vector();
  known.update(engine.tree());
  for (int i = 0; i < 3; ++i) step();
  CHECK(cut.stable().entries().empty());  // node 2 may still take changes of node 3
  CHECK(engine.collected() == 0);
  known.report({node(2), 1, since, before});
  step();
  CHECK(cut.stable() == since);
  known.report({node(2), 1, since, since});
  CHECK(step() == 1);
}

TEST_CASE("a member that comes or goes after a mark is stable does not make it anew") {
  context_engine engine{node(1), 1};
  REQUIRE(engine.write(operation::put, members::place_of(node(1)), members::joining(noon), "system",
                       {}, noon));
  REQUIRE(status_of(engine, joining_of(2, 2)) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  stable_cut cut;
  const auto mark = engine.vector();
  known.report({node(2), 1, mark, {}});
  cut.step(engine, engine.processed(), known, true, 1000);
  REQUIRE(cut.stable() == mark);
  REQUIRE(engine.write(operation::put, members::place_of(node(2)),
                       members::farewell(noon, "a test"), "system", {}, noon));
  known.update(engine.tree());
  cut.step(engine, engine.processed(), known, true, 2000);
  CHECK(cut.stable() == mark);
  cut.step(engine, engine.processed(), known, true, 1000 + stable_cut::mark_every_ms);
  CHECK(cut.stable() == engine.vector());
}
