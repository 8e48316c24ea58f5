#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

#include <troupe/actors/context/sync/leases.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr lease_limits limits{.length_ms = 1'000'000, .present_ms = 60'000};

/// An engine in which these nodes have joined.
context_engine joined(std::initializer_list<unsigned> nodes) {
  context_engine engine{node(999), 1};
  for (const auto each : nodes)
    REQUIRE(status_of(engine, joining_of(each, each)) == apply_status::applied);
  return engine;
}

members members_of(const context_engine& engine, unsigned self = 1) {
  members known{node(self)};
  known.update(engine.tree());
  return known;
}

std::vector<node_id> nodes_of(std::initializer_list<unsigned> numbers) {
  std::vector<node_id> all;
  for (const auto each : numbers) all.push_back(node(each));
  return all;
}

/// So long after all have joined.
event_time after(std::uint64_t milliseconds) { return {noon + milliseconds, milliseconds}; }

/// Whether a node decides on a member that is away, when it has seen these others just now, and the
/// rest of the members not since it started, long ago.
bool decides(std::initializer_list<unsigned> nodes, unsigned self,
             std::initializer_list<unsigned> seen, unsigned away) {
  const auto engine = joined(nodes);
  const auto known = members_of(engine, self);
  leases held{limits};
  held.update(known, {}, 0);
  held.update(known, nodes_of(seen), 200'000);
  return held.decides(known, node(self), node(away), engine.processed(), after(200'000));
}

}  // namespace

// -- how long a member is away --------------------------------------------------------------------

TEST_CASE("a member that was never seen is away since this node began to look") {
  const auto known = members_of(joined({1, 2}));
  leases held{limits};
  CHECK(held.away_ms(node(2), 5000) == 0);
  held.update(known, {}, 5000);
  CHECK(held.away_ms(node(2), 5000) == 0);
  held.update(known, {}, 7000);
  CHECK(held.away_ms(node(2), 8000) == 3000);
  CHECK(held.report_ms(node(2), 8000) == 0);  // nobody knows of a link
  CHECK(held.away_ms(node(7), 8000) == 0);    // no member
  CHECK(held.report_ms(node(7), 8000) == 0);
}

TEST_CASE("a member is away since its last link") {
  const auto known = members_of(joined({1, 2, 3}));
  leases held{limits};
  held.update(known, nodes_of({2}), 1000);
  held.update(known, nodes_of({2}), 3000);
  CHECK(held.away_ms(node(2), 3000) == 0);
  CHECK(held.report_ms(node(2), 3000) == 1);  // 0 would say that it is not known
  held.update(known, {}, 4000);
  CHECK(held.away_ms(node(2), 9000) == 6000);
  CHECK(held.report_ms(node(2), 9000) == 6000);
  held.update(known, nodes_of({2}), 10'000);
  CHECK(held.away_ms(node(2), 10'000) == 0);
  CHECK(held.away_ms(node(3), 10'000) == 9000);
}

TEST_CASE("what another node knows replaces what this one has only begun to see") {
  const auto known = members_of(joined({1, 2}));
  leases held{limits};
  held.update(known, {}, 10'000);
  SUBCASE("a link before this node was started") {
    held.heard(node(2), 50'000, 12'000);
    CHECK(held.away_ms(node(2), 12'000) == 50'000);
    CHECK(held.report_ms(node(2), 13'000) == 51'000);
  }
  SUBCASE("a link since then") {
    held.heard(node(2), 500, 12'000);
    CHECK(held.away_ms(node(2), 12'000) == 500);
  }
  SUBCASE("it knows of no link either") {
    held.heard(node(2), 0, 12'000);
    CHECK(held.away_ms(node(2), 12'000) == 2000);
    CHECK(held.report_ms(node(2), 12'000) == 0);
  }
}

TEST_CASE("of two links that are known one counts that is clearly later") {
  const auto known = members_of(joined({1, 2}));
  leases held{limits};
  constexpr auto slack = limits.present_ms / 2;
  held.update(known, nodes_of({2}), 100'000);
  held.update(known, {}, 190'000);
  held.heard(node(2), 150'000, 190'000);  // an earlier one
  CHECK(held.away_ms(node(2), 190'000) == 90'000);
  held.heard(node(2), 90'000 - slack, 190'000);  // perhaps the same one, and the word was slow
  CHECK(held.away_ms(node(2), 190'000) == 90'000);
  held.heard(node(2), 90'000 - slack - 1, 190'000);
  CHECK(held.away_ms(node(2), 190'000) == 90'000 - slack - 1);
  held.heard(node(2), 0, 190'000);
  CHECK(held.away_ms(node(2), 190'000) == 90'000 - slack - 1);
}

TEST_CASE("two nodes that tell each other of a member do not make it be away for less and less") {
  const auto known = members_of(joined({1, 2, 3}));
  leases one{limits}, two{limits};
  one.update(known, nodes_of({3}), 0);
  two.update(known, nodes_of({3}), 0);
  for (std::uint64_t now = 1000; now <= 2'000'000; now += 1000) {
    two.heard(node(3), one.report_ms(node(3), now), now + 900);  // it takes its time to come
    one.heard(node(3), two.report_ms(node(3), now), now + 900);
  }
  CHECK(one.ended(known, node(1), 2'000'000) == nodes_of({2, 3}));
  CHECK(two.away_ms(node(3), 2'000'000) == 2'000'000);
}

TEST_CASE("a time beyond all measure ends a lease and nothing else") {
  const auto known = members_of(joined({1, 2}));
  leases held{limits};
  held.update(known, {}, 1000);
  held.heard(node(2), UINT64_MAX, 1000);
  CHECK(held.away_ms(node(2), 1000) >= limits.length_ms);
  CHECK(held.ended(known, node(1), 1000) == nodes_of({2}));
  held.heard(node(2), 1, 1000);
  CHECK(held.away_ms(node(2), 1000) == 1);
}

TEST_CASE("of a node that is no member nothing is kept") {
  auto engine = joined({1, 2});
  auto known = members_of(engine);
  leases held{limits};
  held.update(known, nodes_of({2, 9}), 1000);
  held.heard(node(9), 500, 1000);
  CHECK(held.report_ms(node(9), 5000) == 0);
  REQUIRE(engine.write(operation::erase, members::place_of(node(2)), {}, "system", {}, noon));
  known.update(engine.tree());
  held.update(known, {}, 2000);
  CHECK(held.away_ms(node(2), 5000) == 0);
  CHECK(held.report_ms(node(2), 5000) == 0);
  const auto again = joining_of(2, 2, 2, standing_at(engine, members::place_of(node(2))));
  REQUIRE(status_of(engine, again) == apply_status::applied);
  known.update(engine.tree());
  held.update(known, {}, 6000);
  CHECK(held.away_ms(node(2), 7000) == 1000);
  CHECK(held.report_ms(node(2), 7000) == 0);
}

// -- whose lease has ended ------------------------------------------------------------------------

TEST_CASE("a lease ends when the member has been away for its length") {
  const auto known = members_of(joined({1, 2, 3, 4}));
  leases held{limits};
  held.update(known, {}, 0);
  held.update(known, nodes_of({3}), 1);
  CHECK(held.ended(known, node(1), limits.length_ms - 1).empty());
  CHECK(held.ended(known, node(1), limits.length_ms) == nodes_of({2, 4}));
  CHECK(held.ended(known, node(1), limits.length_ms + 1) == nodes_of({2, 3, 4}));
}

TEST_CASE("a lease of no length never ends") {
  const auto known = members_of(joined({1, 2}));
  leases held{{.length_ms = 0, .present_ms = 60'000}};
  held.update(known, {}, 0);
  CHECK(held.ended(known, node(1), std::uint64_t{1} << 60).empty());
}

// -- who decides ----------------------------------------------------------------------------------

TEST_CASE("only more than half of the members go on without another one") {
  CHECK(decides({1, 2, 3, 4, 5}, 1, {2, 3}, 4));
  CHECK_FALSE(decides({1, 2, 3, 4, 5}, 1, {2}, 4));
  CHECK(decides({1, 2, 3, 4, 5}, 3, {4, 5}, 1));
  CHECK_FALSE(decides({1, 2, 3, 4, 5}, 4, {5}, 1));
  CHECK_FALSE(decides({1, 2, 3}, 1, {}, 2));
}

TEST_CASE("of equal halves neither goes on") {
  CHECK_FALSE(decides({1, 2, 3, 4}, 1, {2}, 3));
  CHECK_FALSE(decides({1, 2, 3, 4}, 3, {4}, 1));
  CHECK_FALSE(decides({1, 2}, 1, {}, 2));
  CHECK_FALSE(decides({1, 2}, 2, {}, 1));
}

TEST_CASE("of the members that are present the least one decides") {
  CHECK_FALSE(decides({1, 2, 3, 4, 5}, 2, {1, 3}, 4));
  CHECK_FALSE(decides({1, 2, 3, 4, 5}, 3, {1, 2}, 4));
  CHECK(decides({1, 2, 3, 4, 5}, 2, {3, 4}, 1));
  CHECK_FALSE(decides({1, 2, 3, 4, 5}, 1, {9, 10}, 4));  // these are no members
}

TEST_CASE("who has joined since a member went away does not count") {
  context_engine engine = joined({1, 2, 3, 4});
  const auto join_at = [&](unsigned who, std::uint64_t when) {
    auto record = joining_of(who, who);
    record.new_value = members::joining(noon + when);
    REQUIRE(status_of(engine, record) == apply_status::applied);
  };
  const auto decides_now = [&](unsigned self) {
    const auto known = members_of(engine, self);
    leases held{limits};
    held.update(known, {}, 0);
    std::vector<node_id> linked{known.nodes().begin(), known.nodes().end()};
    std::erase(linked, node(3));
    std::erase(linked, node(4));
    held.update(known, linked, 200'000);
    return held.decides(known, node(self), node(4), engine.processed(), after(200'000));
  };
  CHECK_FALSE(decides_now(1));  // with node 2 it is half of them
  SUBCASE("later") {
    join_at(5, 1);
    join_at(0, 1);
    CHECK_FALSE(decides_now(1));
    CHECK_FALSE(decides_now(0));
    CHECK_FALSE(decides_now(5));
  }
  SUBCASE("before that") {
    join_at(5, 0);
    CHECK(decides_now(1));
  }
  SUBCASE("nobody knows when") {
    auto record = joining_of(5, 5);
    record.new_value = value::map({});
    REQUIRE(status_of(engine, record) == apply_status::applied);
    CHECK_FALSE(decides_now(1));
  }
}

TEST_CASE("who has joined later does not decide, and does not keep others from that") {
  context_engine engine = joined({2, 3, 4});
  auto record = joining_of(1, 1);
  record.new_value = members::joining(noon + 1);
  REQUIRE(status_of(engine, record) == apply_status::applied);
  for (const unsigned self : {1, 2}) {
    const auto known = members_of(engine, self);
    leases held{limits};
    held.update(known, {}, 0);
    held.update(known, nodes_of({1, 2, 3}), 200'000);
    CHECK(held.decides(known, node(self), node(4), engine.processed(), after(200'000)) ==
          (self == 2));
  }
}

TEST_CASE("a member counts as present for a while after its last link") {
  const auto engine = joined({1, 2, 3});
  const auto known = members_of(engine);
  leases held{limits};
  held.update(known, {}, 0);
  held.update(known, nodes_of({2}), 200'000);
  const auto decides_at = [&](std::uint64_t now) {
    return held.decides(known, node(1), node(3), engine.processed(), after(now));
  };
  CHECK(decides_at(200'000 + limits.present_ms - 1));
  CHECK_FALSE(decides_at(200'000 + limits.present_ms));
}

TEST_CASE("a node that has just started decides nothing") {
  const auto engine = joined({1, 2, 3});
  const auto known = members_of(engine);
  leases held{limits};
  const auto decides_at = [&](std::uint64_t now) {
    return held.decides(known, node(1), node(3), engine.processed(), after(now));
  };
  CHECK_FALSE(decides_at(500'000));
  held.update(known, nodes_of({2}), 500'000);
  CHECK_FALSE(decides_at(500'000));
  held.update(known, nodes_of({2}), 500'000 + limits.present_ms - 1);
  CHECK_FALSE(decides_at(500'000 + limits.present_ms - 1));
  CHECK(decides_at(500'000 + limits.present_ms));
}

TEST_CASE("a node that is no member decides nothing") {
  CHECK_FALSE(decides({2, 3, 4}, 1, {2, 3}, 4));
  CHECK(decides({1, 2, 3, 4}, 1, {2, 3}, 4));
}

TEST_CASE("where there are more members than can be counted nobody decides") {
  context_engine engine{node(5000), 1};
  for (unsigned n = 1; n <= members::max_known + 2; ++n)
    REQUIRE(status_of(engine, joining_of(n, n)) == apply_status::applied);
  const auto known = members_of(engine);
  leases held{limits};
  held.update(known, {}, 0);
  const std::vector<node_id> all{known.nodes().begin(), known.nodes().end()};
  held.update(known, all, 200'000);
  CHECK_FALSE(held.decides(known, node(1), node(2), engine.processed(), after(200'000)));
}

TEST_CASE("nobody decides before the present members have committed what was forgotten before") {
  auto engine = joined({1, 2, 3, 4, 5});
  const auto gone = farewell_of(5, 1, 2, standing_at(engine, members::place_of(node(5))));
  REQUIRE(status_of(engine, gone) == apply_status::applied);
  auto known = members_of(engine);
  REQUIRE(known.count() == 4);
  leases held{limits};
  held.update(known, {}, 0);
  held.update(known, nodes_of({2, 3}), 200'000);  // and not node 4
  const auto decides_now = [&] {
    return held.decides(known, node(1), node(4), engine.processed(), after(200'000));
  };
  const version_vector before{{{node(1), 1, 1}}}, since{{{node(1), 1, 2}}};
  CHECK_FALSE(decides_now());
  known.report({node(2), 1, since, {}});
  CHECK_FALSE(decides_now());
  known.report({node(3), 1, before, {}});
  CHECK_FALSE(decides_now());
  known.report({node(3), 1, since, {}});
  CHECK(decides_now());
}
