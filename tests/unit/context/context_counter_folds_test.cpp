// Counters of nodes that start often: what their old incarnations have added becomes one sum.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/tests/support/fixtures/counter_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// What a node lists at a counter.
std::vector<counter_part> parts_at(const context_engine& engine) {
  const auto entry = engine.tree().find(a);
  REQUIRE(entry);
  return counts_in(entry->siblings());
}

context_engine started_again(const context_engine& before, std::uint64_t incarnation,
                             engine_limits limits = {}) {
  return context_engine{before.own_incarnation().origin, incarnation, before.state(), limits};
}

}  // namespace

TEST_CASE("a folded part of a counter comes first of its node, and not alone") {
  const counter_part folded{{node(1), 7}, 0, 100}, later{{node(1), 9}, 3, 1},
      other{{node(2), 1}, 1, 1};
  const auto comes_back = [](const std::vector<counter_part>& parts) {
    return unpack_counts(pack_counts(parts)) == parts;
  };
  CHECK(comes_back({folded, later, other}));
  CHECK_FALSE(comes_back({folded}));
  CHECK_FALSE(comes_back({folded, other}));
  CHECK_FALSE(comes_back({{{node(1), 1}, 4, 2}, folded, later}));
  // A node that starts often costs a few bytes for each incarnation.
  std::vector<counter_part> many{folded};
  for (std::uint64_t i = 1; i <= 64; ++i) many.push_back({{node(1), 7 + (i << 20)}, 1, 1});
  CHECK(comes_back(many));
  CHECK(pack_counts(many).size() < 600);
}

TEST_CASE("merged parts of a counter are the latest, and in no folded one") {
  const auto part = [](unsigned of, std::uint64_t incarnation, std::uint64_t seq,
                       std::int64_t amount) {
    return counter_part{{node(of), incarnation}, seq, amount};
  };
  CHECK(merged_counts({part(1, 2, 5, 50), part(1, 2, 9, 90), part(1, 1, 3, 30)}) ==
        std::vector{part(1, 1, 3, 30), part(1, 2, 9, 90)});
  CHECK(merged_counts({part(1, 2, 5, 50), part(1, 1, 3, 30), part(1, 2, 0, 80), part(1, 4, 1, 1),
                       part(2, 1, 1, 7)}) ==
        std::vector{part(1, 2, 0, 80), part(1, 4, 1, 1), part(2, 1, 1, 7)});
  CHECK(merged_counts({part(1, 5, 0, 500), part(1, 2, 0, 80), part(1, 4, 1, 1)}) ==
        std::vector{part(1, 5, 0, 500)});
}

TEST_CASE("what was counted beyond what was overwritten is the same folded and not") {
  const auto part = [](std::uint64_t incarnation, std::uint64_t seq, std::int64_t amount) {
    return counter_part{{node(1), incarnation}, seq, amount};
  };
  const std::vector<counter_part> single{part(1, 4, 10), part(2, 2, 20), part(3, 5, 30),
                                         part(4, 1, 40)};
  const std::vector<counter_part> folded{part(2, 0, 30), part(3, 5, 30), part(4, 1, 40)};
  const std::vector<counter_part> folded_more{part(3, 0, 60), part(4, 1, 40)};
  const std::vector<counter_part> early{part(1, 2, 4), part(2, 2, 20)};
  const std::vector<counter_part> early_folded{part(1, 0, 10), part(2, 1, 5)};
  const auto beyond = [](const auto& gone, const auto& counted) {
    return counted_value(value{1000}, gone, counted);
  };
  const std::vector<counter_part> nothing;
  for (const auto* all : {&single, &folded, &folded_more}) {
    CAPTURE(all->size());
    CHECK(beyond(nothing, *all) == value{1100});
    CHECK(beyond(early, *all) == value{1000 + 100 - 24});
    CHECK(beyond(early_folded, *all) == value{1000 + 100 - 15});
    for (const auto* gone : {&single, &folded, &folded_more})
      CHECK(beyond(*gone, *all) == value{1000});
    CHECK(beyond(*all, early) == value{1000});
    CHECK(beyond(*all, early_folded) == value{1000});
  }
  const std::vector<counter_part> later{part(3, 0, 60), part(4, 3, 45), part(5, 1, 1)};
  CHECK(beyond(single, later) == value{1006});
  CHECK(beyond(folded, later) == value{1006});
}

TEST_CASE("a counter of a node that starts without end stays small, and exact") {
  context_engine one{node(1), 1}, late{node(2), 1}, reader{node(9), 1};
  std::vector<change_record> all;
  std::uint64_t incarnation = 1;
  for (; incarnation <= 300; ++incarnation) {
    one = started_again(one, incarnation);
    one.set_stable(std::make_shared<const processed_changes>(one.processed()));
    all.push_back(must_add(one, static_cast<std::int64_t>(incarnation)));
    if (incarnation == 150) {
      for (const auto& each : all) must_apply(late, each);
    }
    CHECK(parts_at(one).size() <= engine_limits{}.single_counts + 2);
  }
  const auto sum = [](std::int64_t upto) { return upto * (upto + 1) / 2; };
  CHECK(one.view(a) == value{sum(300)});
  for (const auto& each : all) must_apply(reader, each);
  CHECK(reader.view(a) == value{sum(300)});
  // An old put knows the parts one by one, or folded otherwise; the rest still counts.
  const auto over = must_write(late, a, 1'000'000);
  CHECK(over.counts.bytes.size() < 600);
  for (auto* each : {&one, &reader}) {
    must_apply(*each, over);
    CHECK(each->view(a) == value{1'000'000 + sum(300) - sum(150)});
  }
  CHECK(one.root_hash() == reader.root_hash());
  one = started_again(one, incarnation);
  const auto again = must_add(one, -5);
  must_apply(reader, again);
  CHECK(reader.view(a) == value{1'000'000 + sum(300) - sum(150) - 5});
}

TEST_CASE("while a member is away a counter lists what that may not have, up to a bound") {
  context_engine one{node(1), 1};
  one.set_stable(std::make_shared<const processed_changes>());
  constexpr std::uint64_t starts = processed_changes::max_ended_of_node + 300;
  for (std::uint64_t incarnation = 1; incarnation <= starts; ++incarnation) {
    one = started_again(one, incarnation);
    must_add(one, 1);
    if (incarnation == 500) CHECK(parts_at(one).size() == 500);
  }
  CHECK(one.view(a) == value{static_cast<std::int64_t>(starts)});
  CHECK(parts_at(one).size() <= processed_changes::max_ended_of_node + 2);
}

TEST_CASE("a node does not count beside a copy of itself that started later") {
  context_engine one{node(1), 5}, copy{node(1), 7};
  must_add(one, 1);
  auto forged = must_add(copy, 10);
  SUBCASE("as it comes") {}
  SUBCASE("folded, which takes in the incarnation that runs") {
    forged.counts.bytes =
        pack_counts(std::vector<counter_part>{{{node(1), 6}, 0, 5}, {{node(1), 7}, 1, 10}});
  }
  one.apply(forged, noon);
  const auto refused = one.write(operation::increment, a, 1, "tester", {}, noon);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::already_exists);
  CHECK(refused.error().message.find("another node that runs under the identity") !=
        std::string::npos);
  CHECK(one.view(a));
  must_write(one, a, 100);
  CHECK(one.view(a) == value{100});
}

TEST_CASE("a joined state counts the same folded and not") {
  engine_limits limits;
  limits.single_counts = 0;
  context_engine single{node(1), 1}, folded{node(1), 1, {}, limits}, reader{node(2), 1};
  for (std::uint64_t incarnation = 1; incarnation <= 4; ++incarnation) {
    folded = started_again(folded, incarnation, limits);
    folded.set_stable(std::make_shared<const processed_changes>(folded.processed()));
    must_apply(reader, must_add(folded, 10));
    if (incarnation == 3) single = context_engine{node(3), 1, folded.state()};
  }
  must_apply(reader, must_write(single, a, 1000));  // it has seen 30
  CHECK(reader.view(a) == value{1010});
  REQUIRE(single.join(folded.state(), noon, {}));
  CHECK(single.view(a) == value{1010});
  CHECK(single.root_hash() == reader.root_hash());
  must_apply(reader, *single.write(operation::erase, a, {}, "tester", {}, noon));
  CHECK_FALSE(reader.view(a));
  must_apply(reader, must_add(folded, 5));
  CHECK(reader.view(a) == value{5});
}

TEST_CASE("sums beyond 64 bits are not folded") {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  engine_limits limits;
  limits.single_counts = 0;
  context_engine one{node(1), 1, {}, limits};
  for (std::uint64_t incarnation = 1; incarnation <= 5; ++incarnation) {
    one = started_again(one, incarnation, limits);
    one.set_stable(std::make_shared<const processed_changes>(one.processed()));
    must_write(one, a, -most);
    must_add(one, most);
    CHECK(one.view(a) == value{0});
  }
  CHECK(parts_at(one).size() == 5);
}

TEST_CASE("counters that are folded are exact in any order of delivery") {
  unsigned with_folds = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    constexpr unsigned nodes = 3;
    engine_limits limits;
    limits.single_counts = seed % 3;
    std::vector<context_engine> engines;
    std::vector<std::uint64_t> incarnations(nodes, 1);
    for (unsigned i = 0; i < nodes; ++i)
      engines.emplace_back(node(i + 1), 1, engine_state{}, limits);
    std::vector<change_record> all;
    const bool resets = seed % 2 == 1;
    std::int64_t total = 0;
    bool was_folded = false;
    for (int step = 0; step < 120; ++step) {
      const auto i = random() % nodes;
      auto& engine = engines[i];
      if (random() % 6 == 0) {
        engine = started_again(engine, ++incarnations[i], limits);
      } else if (random() % 10 == 0) {
        // All meet, so what all have is stable.
        for (auto& each : engines)
          for (const auto& record : all) each.apply(record, noon);
        for (auto& each : engines)
          each.set_stable(std::make_shared<const processed_changes>(each.processed()));
      } else if (resets && random() % 8 == 0) {
        all.push_back(must_write(engine, a, static_cast<int>(random() % 100)));
      } else {
        const auto amount = static_cast<std::int64_t>(random() % 20) - 10;
        all.push_back(must_add(engine, amount));
        total += amount;
      }
      for (const auto& each : all)
        if (random() % 6 == 0) engines[random() % nodes].apply(each, noon);
      if (engine.tree().find(a))
        was_folded = was_folded || std::ranges::any_of(parts_at(engine), &counter_part::is_folded);
    }
    with_folds += was_folded ? 1 : 0;
    std::optional<state_hash> hash;
    std::optional<value> seen;
    for (int round = 0; round < 3; ++round) {
      const auto reader = reader_of(all, random);
      if (!resets) REQUIRE(reader.view(a) == value{total});
      if (hash) REQUIRE(reader.root_hash() == *hash);
      if (seen) REQUIRE(reader.view(a) == seen);
      hash = reader.root_hash();
      seen = reader.view(a);
    }
  }
  CHECK(with_folds > 40);
}
