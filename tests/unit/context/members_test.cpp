#include <doctest/doctest.h>

#include <map>
#include <string>

#include <troupe/actors/context/member_waits.hpp>
#include <troupe/actors/context/sync/members.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

change_record joining(unsigned who, unsigned writer, std::uint64_t seq = 1) {
  auto record = put({node(writer), 1, seq}, members::place_of(node(who)).text(), who);
  record.principal = system_principal;
  return record;
}

/// An engine in which these nodes have joined.
context_engine joined(std::initializer_list<unsigned> nodes) {
  context_engine engine{node(99), 1};
  for (const auto each : nodes)
    REQUIRE(status_of(engine, joining(each, each)) == apply_status::applied);
  return engine;
}

version_vector upto(std::uint64_t seq) { return version_vector{{{node(1), 5, seq}}}; }

}  // namespace

TEST_CASE("a cluster without values about members has one member") {
  members known{node(1)};
  known.update(context_tree{});
  CHECK(known.count() == 1);
  CHECK(known.has(node(1)));
  CHECK_FALSE(known.has_joined());
  CHECK(known.committed_by(0, {node(1), 5}, {}) == UINT64_MAX);
}

TEST_CASE("all members have what each of them has said to have") {
  auto engine = joined({1, 2, 3});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine{upto(9)};
  CHECK_FALSE(known.all_have(upto(1), mine));
  known.report({node(2), 1, upto(5), upto(3)});
  CHECK_FALSE(known.all_have(upto(1), mine));
  CHECK_FALSE(known.all_know_stable(upto(1), mine));
  known.report({node(3), 1, upto(4), upto(2)});
  known.report({node(7), 1, upto(1), {}});  // no member
  CHECK(known.all_have(upto(4), mine));
  CHECK_FALSE(known.all_have(upto(5), mine));
  CHECK(known.all_know_stable(upto(2), mine));
  CHECK_FALSE(known.all_know_stable(upto(3), mine));
  CHECK(known.all_reported() == upto(5));
  known.pass_on({node(3), 1, upto(5), upto(5)}, mine);
  CHECK(known.all_have(upto(5), mine));
  CHECK(known.all_know_stable(upto(3), mine));
}

TEST_CASE("who has a later incarnation has the ended ones before it, and no others") {
  auto engine = joined({1, 2});
  members known{node(1)};
  known.update(engine.tree());
  const version_vector earlier{{{node(4), 1, 3}}}, later{{{node(4), 2, 1}}};
  known.report({node(2), 1, later, {}});
  processed_changes open{earlier};
  open.raise({node(4), 2, 1});
  CHECK_FALSE(known.all_have(earlier, open));
  processed_changes ended{earlier};
  auto first = put({node(4), 2, 1}, "/a", 1);
  first.after = {{node(4), 1, 3}};
  ended.add(first);
  CHECK(known.all_have(earlier, ended));
}

TEST_CASE("a node is a member while the value that it has written is there") {
  auto engine = joined({1, 2, 3});
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.count() == 3);
  CHECK(known.has(node(2)));
  CHECK(known.has_joined());
  const auto gone =
      engine.write(operation::erase, members::place_of(node(3)), {}, "system", {}, noon);
  REQUIRE(gone);
  known.update(engine.tree());
  CHECK(known.count() == 2);
  CHECK_FALSE(known.has(node(3)));
}

TEST_CASE("nobody makes another node a member") {
  auto engine = joined({1});
  REQUIRE(status_of(engine, joining(2, 3)) == apply_status::applied);
  auto odd = put({node(3), 1, 2}, "/_sys/members/no-node", 1);
  odd.principal = system_principal;
  REQUIRE(status_of(engine, odd) == apply_status::applied);
  odd = put({node(3), 1, 3}, "/_sys/members", 1);
  odd.principal = system_principal;
  REQUIRE(status_of(engine, odd) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.count() == 1);
}

TEST_CASE("the members that have a change are counted by what they have said") {
  const auto engine = joined({1, 2, 3, 4});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine;
  const incarnation_id source{node(1), 5};
  CHECK(known.committed_by(1, source, {}) == 0);
  known.report({node(2), 7, upto(4)});
  known.report({node(3), 7, upto(6)});
  known.report({node(8), 7, upto(9)});  // no member
  known.report({node(1), 7, upto(9)});  // this node itself
  CHECK(known.committed_by(1, source, {}) == 6);
  CHECK(known.committed_by(2, source, {}) == 4);
  CHECK(known.committed_by(3, source, {}) == 0);
  known.add(node(2), upto(8), mine);
  known.add(node(4), upto(8), mine);  // it has not said hello
  CHECK(known.committed_by(1, source, {}) == 8);
  CHECK(known.committed_by(3, source, {}) == 0);
  CHECK(known.count_with(dot{node(1), 5, 7}, {}, {}) == 1);
  CHECK(known.count_with(dot{node(1), 5, 6}, {}, {}) == 2);
}

TEST_CASE("what a node says in a later incarnation replaces what it said before") {
  const auto engine = joined({1, 2});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine;
  const incarnation_id source{node(1), 5};
  known.report({node(2), 7, upto(6)});
  known.report({node(2), 6, upto(9)});  // late
  CHECK(known.committed_by(1, source, {}) == 6);
  known.pass_on({node(2), 7, upto(7)}, mine);
  CHECK(known.committed_by(1, source, {}) == 7);
  known.pass_on({node(2), 7, upto(2)}, mine);  // older
  known.pass_on({node(2), 6, upto(9)}, mine);
  CHECK(known.committed_by(1, source, {}) == 7);
  known.report({node(2), 8, upto(3)});  // its disk was set back
  CHECK(known.committed_by(1, source, {}) == 3);
  known.pass_on({node(2), 9, upto(4)}, mine);
  CHECK(known.committed_by(1, source, {}) == 4);
}

TEST_CASE("what others say of a node gives way to what it says itself") {
  const auto engine = joined({1, 2});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine;
  const incarnation_id source{node(1), 5};
  known.pass_on({node(2), std::uint64_t{1} << 59, upto(9)}, mine);
  CHECK(known.committed_by(1, source, {}) == 9);
  known.report({node(2), 7, upto(4)});
  CHECK(known.committed_by(1, source, {}) == 4);
  known.pass_on({node(2), std::uint64_t{1} << 59, upto(9)}, mine);
  known.report({node(2), 7, upto(5)});
  CHECK(known.committed_by(1, source, {}) == 5);
}

TEST_CASE("who has a change is counted with the changes that it rests on") {
  const auto engine = joined({1, 2, 3});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine;
  known.report({node(2), 7, version_vector{{{node(1), 5, 6}, {node(3), 7, 2}}}});
  known.report({node(3), 7, upto(6)});
  CHECK(known.count_with(dot{node(1), 5, 6}, {}, mine) == 2);
  CHECK(known.count_with(dot{node(1), 5, 6}, version_vector{{{node(3), 7, 2}}}, mine) == 1);
  CHECK(known.count_with(dot{node(1), 5, 0}, version_vector{{{node(3), 7, 3}}}, mine) == 0);
}

TEST_CASE("what is known of members is passed on to those that have no link with them") {
  const auto engine = joined({1, 2, 3});
  members known{node(1)};
  known.update(engine.tree());
  known.report({node(2), 7, upto(4)});
  known.report({node(3), 7, upto(6)});
  known.report({node(8), 7, upto(6)});
  CHECK(known.reports_beside({node(2)}) == std::vector<member_report>{{node(3), 7, upto(6)}});
  CHECK(known.reports_beside({node(2), node(3)}).empty());
}

TEST_CASE("what others imply is not kept of what is passed on") {
  const auto engine = joined({1, 2});
  members known{node(1)};
  known.update(engine.tree());
  processed_changes mine;
  auto later = put({node(4), 9, 1}, "/a", 1);
  later.after = {{node(4), 3, 1}};
  mine.raise({node(4), 3, 1});
  mine.add(later);
  known.report({node(2), 7, version_vector{{{node(4), 3, 1}}}});
  known.pass_on({node(2), 7, mine.vector()}, mine);
  CHECK(known.reports_beside({}).at(0).vector == version_vector{{{node(4), 9, 1}}});
}

TEST_CASE("a majority is more than half of the members, this node among them") {
  context_engine engine{node(99), 1};
  const std::size_t majorities[] = {0, 1, 1, 2, 2, 3};
  for (unsigned n = 1; n <= 6; ++n) {
    REQUIRE(status_of(engine, joining(n, n)) == apply_status::applied);
    members known{node(1)};
    known.update(engine.tree());
    CHECK(member_waits::others_for(durability::majority, known) == majorities[n - 1]);
    CHECK(member_waits::others_for(durability::all, known) == n - 1);
  }
}

TEST_CASE("of nodes that are no members nothing is kept without a link") {
  const auto engine = joined({1, 2});
  members known{node(1)};
  known.report({node(2), 7, upto(4)});
  known.report({node(8), 7, upto(4)});
  known.unlinked(node(8));
  known.update(engine.tree());
  known.pass_on({node(8), 8, upto(9)}, {});
  known.unlinked(node(2));
  CHECK(known.committed_by(1, {node(1), 5}, {}) == 4);
  std::vector<version_entry> many;
  for (unsigned n = 1; n <= 2000; ++n) many.push_back({node(n), 1, 1});
  known.pass_on({node(2), 9, version_vector{std::move(many)}}, {});
  CHECK(known.committed_by(1, {node(1), 5}, {}) == 4);
}

TEST_CASE("more members than can be counted are noticed, and nothing counts as had by all") {
  context_engine engine{node(5000), 1};
  for (unsigned n = 1; n <= members::max_known + 5; ++n)
    REQUIRE(status_of(engine, joining(n, n)) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.are_too_many());
  const processed_changes mine{upto(9)};
  for (const auto& each : known.nodes()) known.report({each, 1, upto(9), upto(9)});
  CHECK_FALSE(known.all_have(upto(1), mine));  // though each of them says so
  member_waits waits;
  waits.add({context_request{1}, {}, durability::majority, {node(1), 5, 1}, {}, 1000});
  CHECK_FALSE(waits.next(known, mine));
}

// -- members that are forgotten -------------------------------------------------------------------

TEST_CASE("another member ends a membership by writing that the node is forgotten") {
  auto engine = joined({1, 2, 3});
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.forgotten().empty());
  CHECK(known.forgetting(node(3)) == version_vector{});
  const auto gone = farewell_of(3, 2, 2, {seen(joining(3, 3))});
  REQUIRE(status_of(engine, gone) == apply_status::applied);
  known.update(engine.tree());
  CHECK(known.count() == 2);
  CHECK_FALSE(known.has(node(3)));
  const version_vector says_so{{{node(2), 1, 2}}};
  CHECK(known.forgotten() == std::map<node_id, version_vector>{{node(3), says_so}});
  CHECK(known.forgetting(node(3)) == says_so);
  CHECK(known.forgetting(node(2)) == version_vector{});
  CHECK(known.has_joined());
}

TEST_CASE("where several members have forgotten a node all of their changes say so") {
  auto engine = joined({1, 2, 3});
  for (const auto& each :
       {farewell_of(3, 1, 2, {seen(joining(3, 3))}), farewell_of(3, 2, 2, {seen(joining(3, 3))})})
    REQUIRE(status_of(engine, each) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.forgetting(node(3)) == version_vector{{{node(1), 1, 2}, {node(2), 1, 2}}});
}

TEST_CASE("a node finds that it is forgotten itself") {
  auto engine = joined({1, 2, 3});
  REQUIRE(status_of(engine, farewell_of(3, 2, 2, {seen(joining(3, 3))})) == apply_status::applied);
  members known{node(3)};
  known.update(engine.tree());
  CHECK_FALSE(known.has_joined());
  CHECK(known.forgetting(node(3)) == version_vector{{{node(2), 1, 2}}});
}

TEST_CASE("a node stays a member whose own value is concurrent with that of who forgets it") {
  auto engine = joined({1, 2, 3});
  REQUIRE(status_of(engine, joining_of(3, 3, 2)) == apply_status::applied);
  REQUIRE(status_of(engine, farewell_of(3, 2, 2, {seen(joining(3, 3))})) == apply_status::applied);
  REQUIRE(engine.tree().find(members::place_of(node(3)))->siblings().size() == 2);
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.has(node(3)));
  CHECK(known.forgotten().empty());
  CHECK(known.forgetting(node(3)) == version_vector{});
}

TEST_CASE("a node that was forgotten joins again by writing its value anew") {
  auto engine = joined({1, 2, 3});
  members known{node(1)};
  const auto gone = farewell_of(3, 2, 2, {seen(joining(3, 3))});
  REQUIRE(status_of(engine, gone) == apply_status::applied);
  known.update(engine.tree());
  REQUIRE_FALSE(known.has(node(3)));
  REQUIRE(status_of(engine, joining_of(3, 3, 2, {seen(gone)})) == apply_status::applied);
  known.update(engine.tree());
  CHECK(known.has(node(3)));
  CHECK(known.forgotten().empty());
}

TEST_CASE("what a node said before it was forgotten does not count when it joins again") {
  auto engine = joined({1, 2, 3});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine{upto(9)};
  known.report({node(2), 1, upto(9)});
  known.report({node(3), 1, upto(9)});
  REQUIRE(known.all_have(upto(9), mine));
  const auto gone = farewell_of(3, 2, 2, {seen(joining(3, 3))});
  REQUIRE(status_of(engine, gone) == apply_status::applied);
  known.update(engine.tree());
  REQUIRE(status_of(engine, joining_of(3, 3, 2, {seen(gone)})) == apply_status::applied);
  known.update(engine.tree());
  REQUIRE(known.count() == 3);
  CHECK_FALSE(known.all_have(upto(1), mine));  // it has begun anew, with the state of another one
}

TEST_CASE("a value of another node that does not say so, and an erasure, end a membership only") {
  auto engine = joined({1, 2, 3, 4});
  REQUIRE(status_of(engine, joining_of(3, 2, 2, {seen(joining(3, 3))})) == apply_status::applied);
  auto erased = erase({node(2), 1, 3}, members::place_of(node(4)).text(), {seen(joining(4, 4))});
  erased.principal = system_principal;
  REQUIRE(status_of(engine, erased) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.count() == 2);
  CHECK(known.forgotten().empty());
  CHECK(known.forgetting(node(3)) == version_vector{});
  CHECK(known.forgetting(node(4)) == version_vector{});
}

TEST_CASE("a value that says that a node is forgotten needs no membership before") {
  auto engine = joined({1, 2});
  REQUIRE(status_of(engine, farewell_of(7, 2, 2, {})) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  CHECK(known.forgotten().contains(node(7)));
}

TEST_CASE("departures are counted, in whatever way a node ceases to be a member") {
  auto engine = joined({1, 2, 3});
  members known{node(1)};
  CHECK(known.departures() == 0);
  known.update(engine.tree());
  CHECK(known.departures() == 0);
  REQUIRE(status_of(engine, joining(4, 4)) == apply_status::applied);
  known.update(engine.tree());
  CHECK(known.departures() == 0);
  const auto gone = farewell_of(3, 2, 2, {seen(joining(3, 3))});
  REQUIRE(status_of(engine, gone) == apply_status::applied);
  known.update(engine.tree());
  CHECK(known.departures() == 1);
  known.update(engine.tree());
  CHECK(known.departures() == 1);
  REQUIRE(status_of(engine, joining_of(3, 3, 2, {seen(gone)})) == apply_status::applied);
  known.update(engine.tree());
  CHECK(known.departures() == 1);
  REQUIRE(engine.write(operation::erase, members::place_of(node(4)), {}, "system", {}, noon));
  REQUIRE(status_of(engine, joining(5, 5)) == apply_status::applied);
  known.update(engine.tree());
  REQUIRE(known.count() == 4);  // as many as before, and others
  CHECK(known.departures() == 2);
}

TEST_CASE("what a member has committed is what it has said of all that it has") {
  const auto engine = joined({1, 2});
  members known{node(1)};
  known.update(engine.tree());
  const processed_changes mine{upto(9)};
  CHECK_FALSE(known.has_committed(node(2), upto(1), mine));
  known.report({node(2), 1, upto(3)});
  CHECK(known.has_committed(node(2), upto(3), mine));
  CHECK_FALSE(known.has_committed(node(2), upto(4), mine));
  known.add(node(2), upto(4), mine);  // an acknowledgement
  CHECK_FALSE(known.has_committed(node(2), upto(4), mine));
}
