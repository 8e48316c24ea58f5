#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/live_set.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Replicas that write at random and hear of each other's changes at random: a source of real
/// histories.
std::vector<change_record> random_history(std::mt19937& random, unsigned nodes, unsigned steps) {
  std::vector<context_engine> engines;
  for (unsigned i = 0; i < nodes; ++i) engines.emplace_back(node(i + 1), 1);
  std::vector<change_record> all;
  for (unsigned step = 0; step < steps; ++step) {
    auto& engine = engines[random() % nodes];
    std::vector<local_write> writes;
    for (unsigned i = random() % 4; i < 4; ++i) {
      const path where{random() % 2 ? "/p" + std::to_string(random() % 4)
                                    : "/p0/c" + std::to_string(random() % 3)};
      const auto dice = random() % 8;
      writes.push_back({dice == 0   ? operation::erase_subtree
                        : dice <= 2 ? operation::erase
                                    : operation::put,
                        where, static_cast<int>(step)});
    }
    if (auto written =
            engine.write_together(std::move(writes), "tester", {}, noon + random() % 1000))
      for (auto& each : *written) {
        all.push_back(std::move(each.record));
        all.back().previous_value.reset();
      }
    for (const auto& each : all)
      if (random() % 8 == 0) engines[random() % nodes].apply(each, noon);
  }
  return all;
}

}  // namespace

// -- restoring ------------------------------------------------------------------------------------

TEST_CASE("replaying the log gives the same state") {
  std::mt19937 random{3};
  const auto history = random_history(random, 3, 60);
  context_engine live{node(9), 1}, replayed{node(9), 2};
  for (const auto& each : history) {
    const auto outcome = live.apply(each, noon);
    REQUIRE(replayed.replay(each, noon).has_value() == live.vector().covers(each.dot));
    for (const auto& released : outcome.released) REQUIRE(replayed.replay(released, noon));
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
  }
}

TEST_CASE("a restored engine still recognises duplicates and second changes under one dot") {
  context_engine before{node(1), 1};
  const auto live = put({node(2), 1, 1}, "/a", 1);
  REQUIRE(status_of(before, live) == apply_status::applied);
  REQUIRE(status_of(before, put({node(3), 1, 1}, "/b", 1)) == apply_status::applied);
  REQUIRE(before.apply(put({node(3), 1, 1}, "/b", 2), noon).alarm);
  context_engine after{node(1), 2, before.state()};
  CHECK(status_of(after, live) == apply_status::duplicate);
  CHECK(after.quarantine() == before.quarantine());
  auto other = live;
  other.new_value = 2;
  CHECK(after.apply(other, noon).alarm);
}

// -- all together ---------------------------------------------------------------------------------

TEST_CASE(
    "any order and any duplication of delivery gives the live set of the oracle, one hash and one "
    "view") {
  for (unsigned seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const auto history = random_history(random, 2 + seed % 4, 50);
    const auto expected = live_set_after(history);
    std::optional<state_hash> hash;
    for (int round = 0; round < 3; ++round) {
      auto deliveries = history;
      for (std::size_t i = random() % 20; i > 0; --i)
        deliveries.push_back(history[random() % history.size()]);
      std::shuffle(deliveries.begin(), deliveries.end(), random);
      context_engine engine{node(9), 1};
      for (const auto& each : deliveries) {
        const auto outcome = engine.apply(each, noon);
        REQUIRE(outcome.status != apply_status::refused);
        REQUIRE(outcome.status != apply_status::overflow);
      }
      REQUIRE(engine.tree().verify());
      REQUIRE(live_set_of(engine.tree()) == expected);
      REQUIRE(engine.buffered() == 0);
      REQUIRE(engine.open() == 0);
      if (hash) REQUIRE(engine.root_hash() == *hash);
      hash = engine.root_hash();
      REQUIRE(engine.conflicts() ==
              static_cast<std::size_t>(std::ranges::count_if(
                  expected, [](const auto& each) { return each.second.size() > 1; })));
    }
  }
}
