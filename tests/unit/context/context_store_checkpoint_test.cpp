#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a store without a checkpoint gives the empty state") {
  temporary_directory where;
  auto store = must_open(where);
  const auto state = store.load_checkpoint();
  REQUIRE(state);
  CHECK(state->tree.empty());
  CHECK(state->processed == processed_changes{});
}

TEST_CASE("a checkpoint keeps all that an engine needs") {
  temporary_directory where;
  context_engine engine{ours.node, 1};
  std::vector<change_record> log;
  const auto apply = [&](const change_record& record) {
    REQUIRE(engine.apply(record, noon).status == apply_status::applied);
    log.push_back(record);
  };
  apply(put({node(2), 1, 1}, "/a", "one"));
  apply(put({node(3), 1, 1}, "/a", "two", {}, 5));
  apply(test::erase({node(2), 1, 2}, "/b"));
  apply(together({put({node(5), 1, 1}, "/d", 1), put({node(5), 1, 2}, "/d", 2)})[0]);
  apply(put({node(4), 1, 1}, "/c", "x"));
  auto second = put({node(4), 1, 1}, "/c", "y");
  REQUIRE(engine.apply(second, noon).alarm);
  log.push_back(*engine.write(operation::put, path{"/e"}, value::map({{"k", 1}}), "ada", {}, noon));
  {
    auto store = must_open(where);
    check_error(store.checkpoint(engine.state()), error_code::internal, "not in the log");
    REQUIRE(append(store, log));
    REQUIRE(store.checkpoint(engine.state()));
    CHECK(store.records_since_checkpoint() == 1);  // the open transaction
  }
  auto store = must_open(where);
  const auto state = store.load_checkpoint();
  REQUIRE(state);
  CHECK(store.records_since_checkpoint() == 1);
  CHECK(state->tree.hash() == engine.root_hash());
  CHECK(state->tree.verify());
  CHECK(state->processed == engine.state().processed);
  CHECK(state->clock == engine.state().clock);
  CHECK(state->quarantine == engine.quarantine());
  context_tree::diff(state->tree, engine.tree(), [](const tree_entry*, const tree_entry*) {
    FAIL("an entry changed on its way through the store");
    return false;
  });
}

TEST_CASE("checkpoint plus log equals the whole log at every moment of a random history") {
  for (unsigned seed = 0; seed < 5; ++seed) {
    CAPTURE(seed);
    temporary_directory where;
    std::mt19937 random{seed};
    std::optional<context_engine> engine;
    std::optional<context_store> store;
    std::uint64_t incarnation = 0;
    const auto start = [&] {
      store.reset();
      store.emplace(must_open(where));
      incarnation = *store->begin_incarnation(0);
      auto restored = restore(*store, incarnation);
      REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message));
      engine.emplace(std::move(*restored));
    };
    start();
    std::uint64_t remote = 0;
    for (int step = 0; step < 300; ++step) {
      const path target{"/p" + std::to_string(random() % 20)};
      std::vector<change_record> group;
      for (unsigned i = random() % 4; i > 0; --i) {
        const auto op = random() % 3 ? operation::put : operation::erase;
        if (auto written = engine->write(op, target, step, "ada", {}, noon))
          group.push_back(*written);
      }
      if (random() % 3 == 0) {
        group.push_back(put({node(2), 1, ++remote}, target.text(), step));
        REQUIRE(engine->apply(group.back(), noon).status == apply_status::applied);
      }
      REQUIRE(append(*store, group));
      if (random() % 15 == 0) REQUIRE(store->checkpoint(engine->state()));
      if (random() % 25 == 0) {
        const auto hash = engine->root_hash();
        const auto vector = engine->vector();
        start();
        REQUIRE(engine->root_hash() == hash);
        REQUIRE(engine->vector() == vector);
      }
    }
  }
}
