// What an operator does about changes that do not count.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/context/state/quarantine.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Two changes under one dot of node 2, at the same path or at two.
const change_record one = put({node(2), 1, 1}, "/a", "one");
const change_record other = put({node(2), 1, 1}, "/a", "other");

void isolate(context_engine& engine, const change_record& first, const change_record& second) {
  REQUIRE(engine.apply(first, noon).status == apply_status::applied);
  REQUIRE(engine.apply(second, noon).alarm);
}

std::vector<applied_change> clear(context_engine& engine) {
  auto made = engine.write_together(writes_that_settle(engine), "system", {}, noon);
  REQUIRE(made);
  engine.release_quarantine(*made);
  return std::move(*made);
}

}  // namespace

TEST_CASE("replicas that hold two changes under one dot agree when it is cleared") {
  context_engine a{node(1), 1}, b{node(3), 1};
  isolate(a, one, other);
  REQUIRE(b.apply(other, noon).status == apply_status::applied);
  REQUIRE(a.root_hash() != b.root_hash());
  const auto made = clear(a);
  REQUIRE(made.size() == 1);
  CHECK(a.quarantine().empty());
  CHECK(b.apply(made[0].record, noon).status == apply_status::applied);
  CHECK(a.root_hash() == b.root_hash());
  CHECK_FALSE(b.view(path{"/a"}));
}

TEST_CASE("readers see after it what they saw before it") {
  context_engine engine{node(1), 1};
  const auto older = put({node(3), 1, 1}, "/a", "older", {}, 1);
  REQUIRE(engine.apply(older, noon).status == apply_status::applied);
  isolate(engine, one, other);
  REQUIRE(engine.view(path{"/a"}) == value{"older"});
  const auto made = clear(engine);
  CHECK(engine.view(path{"/a"}) == value{"older"});
  CHECK(engine.quarantine().empty());
  CHECK(made[0].record.operation == operation::put);
}

TEST_CASE("what comes again after it does no harm") {
  context_engine engine{node(1), 1};
  isolate(engine, one, other);
  clear(engine);
  const auto root = engine.root_hash();
  for (const auto& each : {one, other})
    CHECK(engine.apply(each, noon).status == apply_status::duplicate);
  CHECK(engine.quarantine().empty());
  CHECK(engine.root_hash() == root);
}

TEST_CASE("what was issued twice takes one place, however often and however it comes") {
  context_engine engine{node(9), 1};
  const auto open = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)})[0];
  REQUIRE(engine.apply(open, noon).status == apply_status::applied);
  for (int i = 2; i < 20; ++i) {
    auto another = open;
    another.new_value = i;
    CHECK(engine.apply(another, noon).alarm == (i == 2));
  }
  CHECK(engine.quarantine().size() == 1);
}

TEST_CASE("there is room again for what comes later") {
  engine_limits limits;
  SUBCASE("in number") { limits.max_quarantine = 1; }
  SUBCASE("in memory") { limits.max_quarantine_weight = 2 * 420; }
  context_engine engine{node(1), 1, {}, limits};
  isolate(engine, one, other);
  const auto next = put({node(2), 1, 2}, "/b", "one");
  REQUIRE(engine.apply(next, noon).status == apply_status::applied);
  const auto twice = put({node(2), 1, 2}, "/b", "other");
  CHECK(engine.apply(twice, noon).status == apply_status::refused);
  clear(engine);
  REQUIRE(engine.apply(twice, noon).alarm);
  CHECK(engine.quarantine().size() == 1);
  clear(engine);
  CHECK(engine.quarantine().empty());
}

TEST_CASE("only what writes have overwritten leaves the quarantine") {
  context_engine engine{node(1), 1};
  isolate(engine, one, other);
  CHECK(engine.release_quarantine({}) == 0);
  CHECK(engine.quarantine().size() == 1);
}

TEST_CASE("a path with nothing but changes in quarantine can be erased") {
  context_engine engine{node(1), 1};
  isolate(engine, one, other);
  CHECK(engine.write(operation::erase, path{"/a"}, {}, "tester", {}, noon));
  CHECK_FALSE(engine.write(operation::erase, path{"/b"}, {}, "tester", {}, noon));
}

TEST_CASE("a change of a transaction that is open waits in quarantine until that has ended") {
  context_engine engine{node(1), 1}, peer{node(3), 1};
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  REQUIRE(engine.apply(all[0], noon).status == apply_status::applied);
  auto twice = all[0];
  twice.new_value = value{"other"};
  REQUIRE(engine.apply(twice, noon).alarm);
  REQUIRE(engine.quarantine().size() == 1);
  CHECK(writes_that_settle(engine).empty());
  const auto written = engine.write(operation::put, path{"/a"}, "mine", "tester", {}, noon);
  REQUIRE(written);
  CHECK(written->observed.empty());
  CHECK(peer.apply(*written, noon).status == apply_status::applied);
  CHECK(engine.quarantine().size() == 1);
}

TEST_CASE("what says who is a member is not written anew") {
  context_engine engine{node(1), 1};
  auto first = put({node(2), 1, 1}, "/_sys/members/x", "one");
  first.principal = "system";
  auto second = first;
  second.new_value = value{"other"};
  isolate(engine, first, second);
  CHECK(writes_that_settle(engine).empty());
}

TEST_CASE("large values are written anew some at a time") {
  context_engine engine{node(1), 1};
  for (std::uint64_t seq = 1; seq <= 7; ++seq) {
    const auto where = "/p" + std::to_string(seq);
    REQUIRE(engine.apply(put({node(3), 1, seq}, where, std::string(900'000, 'x'), {}, 1), noon)
                .status == apply_status::applied);
    isolate(engine, put({node(2), 1, seq}, where, "one"), put({node(2), 1, seq}, where, "other"));
  }
  for (const std::size_t count : {5, 2}) {
    CHECK(writes_that_settle(engine).size() == count);
    clear(engine);
  }
  CHECK(engine.quarantine().empty());
}

// -- the manager ----------------------------------------------------------------------------------

TEST_CASE("an operator lists what is in quarantine, and clears it durably") {
  manager_fixture f;
  f.greeted_peer(1, 4);
  f.push(1, 1, {one});
  f.stored();
  f.push(1, 2, {other});
  CHECK(f.logged("context.equivocation") == 1);
  const auto list = f.manager.list_quarantine();
  CHECK(list.total == 1);
  REQUIRE(list.changes.size() == 1);
  CHECK(list.changes[0] == quarantined_change{node(2), 1, 1, {path{"/a"}}});
  REQUIRE(f.manager.problems().size() == 1);
  CHECK(f.manager.problems()[0].find("context quarantine") != std::string::npos);

  f.after([&] { f.manager.clear_quarantine(context_request{77}, f.now); });
  CHECK(f.logged("context.quarantine_cleared") == 1);
  CHECK(f.none<answer_write>());
  f.stored();
  const auto answer = f.only<answer_write>();
  CHECK(answer.request == context_request{77});
  CHECK(answer.outcome);
  CHECK(f.manager.list_quarantine().total == 0);
  CHECK(f.manager.problems().empty());
}

TEST_CASE("clearing nothing is answered, and writes nothing") {
  manager_fixture f;
  f.after([&] { f.manager.clear_quarantine(context_request{77}, f.now); });
  CHECK(f.only<answer_write>().outcome);
  CHECK(f.none<append_batch>());
}

TEST_CASE("nothing is cleared while the disk refuses writes") {
  manager_fixture f;
  f.write("/x", 1);
  f.refused();
  f.after([&] { f.manager.clear_quarantine(context_request{77}, f.now); });
  const auto refused = f.only<answer_write>().outcome;
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::storage_failure);
}

TEST_CASE("of many changes in quarantine the first hundred are listed, and all are cleared") {
  manager_fixture f;
  f.greeted_peer(1, 4);
  std::vector<change_record> first, second;
  for (std::uint64_t seq = 1; seq <= 150; ++seq) {
    first.push_back(put({node(2), 1, seq}, "/p" + std::to_string(seq), "one"));
    second.push_back(put({node(2), 1, seq}, "/p" + std::to_string(seq), "other"));
  }
  f.push(1, 1, first);
  f.stored();
  f.push(1, 2, second);
  CHECK(f.manager.list_quarantine().total == 150);
  CHECK(f.manager.list_quarantine().changes.size() == 100);
  f.after([&] { f.manager.clear_quarantine(context_request{77}, f.now); });
  CHECK(f.manager.list_quarantine().total == 0);
  f.stored();
  while (f.none<answer_write>()) f.stored();
  CHECK(f.only<answer_write>().outcome->ids.size() == 150);
}
