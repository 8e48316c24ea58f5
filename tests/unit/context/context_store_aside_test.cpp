#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const version_vector says_so{{{node(3), 1, 7}}};

/// A store with five changes of node 2, three of them in a checkpoint, and one of its own.
struct aside_fixture {
  temporary_directory where;
  context_engine engine{ours.node, 1};
  std::uint64_t incarnation = 0;

  aside_fixture() {
    auto store = must_open(where);
    incarnation = *store.begin_incarnation(10);
    take(store, {changes_of(2, 1, 1, "/a"), changes_of(2, 2, 3, "/b")});
    REQUIRE(store.checkpoint(engine.state()));
    take(store, {changes_of(2, 4, 5, "/c"), {put({ours.node, 2, 1}, "/own", "mine")}});
    REQUIRE(store.transfer().append(std::vector<binary>{{"what was coming"}}));
  }
  void take(context_store& store, const std::vector<std::vector<change_record>>& all) {
    for (const auto& records : all) {
      REQUIRE(append(store, records));
      for (const auto& each : records) REQUIRE(engine.replay(each, noon));
    }
  }
  /// The store has nothing but the old state.
  void check_is_aside(context_store& store) const {
    CHECK(store.needs_state());
    CHECK(store.log_base() == processed_changes{});
    CHECK(store.logged() == processed_changes{});
    CHECK(store.records_since_checkpoint() == 0);
    CHECK(last_logged(store, 2) == 0);
    CHECK(logged(store, 2, 1).empty());
    const auto saved = store.load_salvaged();
    REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
    CHECK(saved->entries.hash() == engine.tree().hash());
    CHECK(saved->overruled_by == says_so);
    CHECK(saved->base == processed_changes{});
    CHECK(saved->logged == processed_changes{});
    CHECK(saved->knows_base);
    CHECK_FALSE(std::filesystem::exists(store_files{where.path().native()}.transfer()));
    const auto state = store.load_checkpoint();
    REQUIRE(state);
    CHECK(state->processed == processed_changes{});
    CHECK(state->tree.size() == 0);
  }
};

/// The state of another node.
context_engine other_engine() {
  context_engine engine{node(50), 1};
  for (const auto& each : changes_of(4, 1, 6, "/theirs"))
    REQUIRE(engine.apply(each, noon).status == apply_status::applied);
  return engine;
}

}  // namespace

TEST_CASE("a state that is set aside is the old one, and the store needs another one") {
  aside_fixture f;
  {
    auto store = must_open(f.where);
    REQUIRE_FALSE(store.needs_state());
    REQUIRE(store.set_aside(f.engine.state(), says_so));
    f.check_is_aside(store);
    f.check_is_aside(store);
  }
  for (int time = 0; time < 2; ++time) {
    auto store = must_open(f.where);
    CHECK(store.notes().empty());
    CHECK(store.identity() == ours);
    f.check_is_aside(store);
  }
}

TEST_CASE("setting a state aside again does no harm") {
  aside_fixture f;
  auto store = must_open(f.where);
  REQUIRE(store.set_aside(f.engine.state(), says_so));
  SUBCASE("at once") { REQUIRE(store.set_aside(f.engine.state(), says_so)); }
  SUBCASE("when the old one has been read") {
    REQUIRE(store.load_salvaged());
    REQUIRE(store.load_checkpoint());
    REQUIRE(store.set_aside(f.engine.state(), says_so));
  }
  SUBCASE("with nothing in hand") { REQUIRE(store.set_aside(engine_state{}, says_so)); }
  f.check_is_aside(store);
}

TEST_CASE("a state with changes that are on no disk is not set aside") {
  aside_fixture f;
  auto store = must_open(f.where);
  const auto before = f.engine.processed();
  REQUIRE(f.engine.replay(changes_of(2, 6, 6)[0], noon));
  check_error(store.set_aside(f.engine.state(), says_so), error_code::internal, "not in the log");
  CHECK_FALSE(store.needs_state());
  CHECK(store.logged() == before);
  CHECK(last_logged(store, 2) == 5);
}

TEST_CASE("an incarnation that begins after that is a later one, though the log is empty") {
  aside_fixture f;
  auto store = must_open(f.where);
  const auto logged = f.incarnation + 5;
  REQUIRE(append(store, {put({ours.node, logged, 1}, "/own", 2)}));
  REQUIRE(f.engine.replay(put({ours.node, logged, 1}, "/own", 2), noon));
  REQUIRE(store.set_aside(f.engine.state(), says_so));
  const auto next = store.begin_incarnation(0);
  REQUIRE(next);
  CHECK(*next > logged);
}

TEST_CASE("the state of another node takes the place of the one that was set aside") {
  aside_fixture f;
  const auto theirs = other_engine();
  {
    auto store = must_open(f.where);
    REQUIRE(store.set_aside(f.engine.state(), says_so));
    REQUIRE(store.load_salvaged());
    const auto state = theirs.state();
    REQUIRE(store.adopt(state, state.processed, &state.processed));
    CHECK_FALSE(store.needs_state());
    CHECK(store.log_base() == theirs.processed());
    REQUIRE(append(store, changes_of(4, 7, 8, "/theirs")));
  }
  auto store = must_open(f.where);
  CHECK_FALSE(store.needs_state());
  const auto restored = restore(store, 1);
  REQUIRE(restored);
  CHECK_FALSE(restored->view(path{"/own"}));
  CHECK_FALSE(restored->view(path{"/a"}));
  CHECK(restored->view(path{"/theirs"}) == value{8});
  CHECK(restored->processed().at({node(2), 1}) == 0);
  CHECK(store.log_base() == theirs.processed());
  CHECK(logged(store, 4, 1) == changes_of(4, 7, 8, "/theirs"));
  REQUIRE(store.checkpoint(restored->state()));
}

TEST_CASE("a store can be set aside once more when it has taken another state") {
  aside_fixture f;
  auto store = must_open(f.where);
  REQUIRE(store.set_aside(f.engine.state(), says_so));
  const auto state = other_engine().state();
  REQUIRE(store.adopt(state, state.processed, &state.processed));
  REQUIRE(store.set_aside(state, version_vector{{{node(3), 1, 9}}}));
  const auto saved = store.load_salvaged();
  REQUIRE(saved);
  CHECK(saved->entries.hash() == state.tree.hash());
  CHECK(saved->overruled_by == version_vector{{{node(3), 1, 9}}});
}

TEST_CASE("the old state has tombstones where subtrees were erased and nothing is left") {
  aside_fixture f;
  auto store = must_open(f.where);
  const auto top = f.engine.tree().find(path{"/a"});
  auto erases = put({ours.node, 2, 2}, "/", 1);
  erases.path = path{};
  erases.operation = operation::erase_subtree;
  erases.new_value = {};
  const auto name = [&](const char* where) {
    observed_path below{path{where}, {}};
    const auto standing = f.engine.tree().find(below.path);
    for (const auto& each : standing->siblings()) below.changes.push_back({each.dot, each.content});
    erases.below.push_back(std::move(below));
  };
  name("/a");
  name("/c");
  name("/own");
  auto later = put({ours.node, 2, 4}, "/c", "again");
  auto erased = later;
  erased.dot.seq = 5;
  erased.operation = operation::erase;
  erased.new_value = {};
  f.take(store, {{erases, put({ours.node, 2, 3}, "/own", "again"), later, erased}});
  CHECK_FALSE(f.engine.tree().find(path{"/a"}));
  REQUIRE(store.set_aside(f.engine.state(), says_so));
  f.check_is_aside(store);
  const auto saved = store.load_salvaged();
  REQUIRE(saved);
  const auto gone = saved->entries.find(path{"/a"});
  REQUIRE(gone);
  REQUIRE(gone->siblings().size() == 1);
  CHECK(gone->siblings()[0].is_tombstone());
  CHECK(gone->siblings()[0].dot == erases.dot);
  CHECK(saved->entries.find(path{"/own"})->siblings()[0].operation == operation::put);
  CHECK(saved->entries.find(path{"/c"})->siblings()[0].dot == erased.dot);
}

TEST_CASE("what was not sent is kept beside the store, under the number of the incarnation") {
  aside_fixture f;
  auto store = must_open(f.where);
  REQUIRE(store.set_aside(f.engine.state(), says_so));
  const auto next = store.begin_incarnation(70);
  REQUIRE(next);
  const auto file = store.keep_unsent(f.engine.tree());
  REQUIRE(file);
  CHECK(*file == f.where.path().native() + "/context.unsent/" + std::to_string(*next) + ".ndjson");
  CHECK(read_file(*file).find("\"mine\"") != std::string::npos);
  CHECK(store.needs_state());
}

TEST_CASE("a salvage of a store whose state was set aside keeps that, and why") {
  aside_fixture f;
  {
    auto store = must_open(f.where);
    REQUIRE(store.set_aside(f.engine.state(), says_so));
  }
  const auto saved = salvage_store(store_files{f.where.path().native()});
  REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
  REQUIRE(store_files{f.where.path().native()}.take_salvaged());
  auto store = must_open(f.where);
  REQUIRE(store.needs_state());
  const auto parts = store.load_salvaged();
  REQUIRE(parts);
  CHECK(parts->entries.hash() == f.engine.tree().hash());
  CHECK(parts->overruled_by == says_so);
}
