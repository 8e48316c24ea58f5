#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <troupe/actors/context/peer_clocks.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::int64_t hour = 3'600'000;

/// Has a peer say that its clock is so far ahead, in each of the heads that are compared.
void hear(peer_clocks& clocks, unsigned who, std::int64_t ahead_ms) {
  for (std::size_t i = 0; i < peer_clocks::compared; ++i)
    clocks.heard(node(who), noon + static_cast<std::uint64_t>(ahead_ms), noon);
}

}  // namespace

TEST_CASE("clocks that differ by little are not spoken of") {
  peer_clocks clocks;
  hear(clocks, 2, 10'000);
  hear(clocks, 3, -10'000);
  CHECK(clocks.own_ahead_ms() == 0);
  CHECK(clocks.others().empty());
}

TEST_CASE("of two clocks nobody knows which is wrong") {
  peer_clocks clocks;
  hear(clocks, 2, -hour);
  CHECK(clocks.own_ahead_ms() == 0);
  CHECK(clocks.others() == std::vector<clock_difference>{{node(2), -hour}});
}

TEST_CASE("the clock that differs from those of most is the wrong one") {
  peer_clocks clocks;
  SUBCASE("this node's is ahead") {
    hear(clocks, 2, -hour);
    hear(clocks, 3, -hour - 5);
    CHECK(clocks.own_ahead_ms() == hour);
    CHECK(clocks.others().empty());
  }
  SUBCASE("this node's is behind") {
    hear(clocks, 2, hour);
    hear(clocks, 3, hour + 5);
    CHECK(clocks.own_ahead_ms() == -hour);
    CHECK(clocks.others().empty());
  }
  SUBCASE("a peer's is") {
    hear(clocks, 2, 0);
    hear(clocks, 3, -hour);
    CHECK(clocks.own_ahead_ms() == 0);
    CHECK(clocks.others() == std::vector<clock_difference>{{node(3), -hour}});
  }
  SUBCASE("this node's and a peer's are") {
    hear(clocks, 2, -hour);
    hear(clocks, 3, -hour);
    hear(clocks, 4, 0);
    CHECK(clocks.own_ahead_ms() == hour);
    CHECK(clocks.others() == std::vector<clock_difference>{{node(4), 0}});
  }
  SUBCASE("peers that differ from it in two ways are not most") {
    hear(clocks, 2, -hour);
    hear(clocks, 3, hour);
    CHECK(clocks.own_ahead_ms() == 0);
    CHECK(clocks.others().size() == 2);
  }
}

TEST_CASE("heads that were under way for long make no clock wrong") {
  peer_clocks clocks;
  for (const unsigned who : {2, 3}) {
    hear(clocks, who, -hour);
    clocks.heard(node(who), noon - 50, noon);
  }
  CHECK(clocks.own_ahead_ms() == 0);
  CHECK(clocks.others().empty());
  for (const unsigned who : {2, 3}) hear(clocks, who, -hour);
  CHECK(clocks.own_ahead_ms() == hour);
}

TEST_CASE("times that no clock shows do no harm") {
  peer_clocks clocks;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  for (const unsigned who : {2, 3}) clocks.heard(node(who), most, 0);
  CHECK(clocks.own_ahead_ms() < -hour);
  for (const unsigned who : {4, 5, 6}) clocks.heard(node(who), 0, most);
  CHECK(clocks.own_ahead_ms() > hour);
  CHECK(clocks.others().size() == 2);
}

TEST_CASE("a difference is news once, and again after it has ended") {
  peer_clocks clocks;
  const std::vector<node_id> linked{node(2), node(3), node(4)};
  for (const unsigned who : {2, 3, 4}) hear(clocks, who, -hour);
  CHECK(clocks.update(linked).own == hour);
  CHECK_FALSE(clocks.update(linked).own);
  for (const unsigned who : {2, 3}) hear(clocks, who, 0);
  const auto one = clocks.update(linked);
  CHECK_FALSE(one.own);
  CHECK(one.others == std::vector<clock_difference>{{node(4), -hour}});
  CHECK(clocks.update(linked).others.empty());
  hear(clocks, 4, 0);
  CHECK(clocks.update(linked).others.empty());
  hear(clocks, 4, hour);
  CHECK(clocks.update(linked).others.size() == 1);
  // Of who has no link nothing is known.
  CHECK(clocks.update({node(2)}).others.empty());
  CHECK(clocks.others().empty());
  CHECK(clocks.update(linked).others.empty());
}

TEST_CASE("a node says that its clock differs from those of its peers") {
  cluster_fixture f;
  f.link(3);
  const auto shows = [&](unsigned who, std::int64_t ahead_ms) {
    sync_heads said{f.manager.committed().vector(), {}, 0, {}, {}};
    said.now_ms = f.now.wall_ms + static_cast<std::uint64_t>(ahead_ms);
    for (std::size_t i = 0; i < peer_clocks::compared; ++i) f.hear(who, said);
  };
  for (const unsigned who : {2, 3}) shows(who, -3 * hour);
  f.tick();
  CHECK(f.logged("context.clock_wrong") == 1);
  CHECK(f.logged("context.peer_clock_wrong") == 0);
  CHECK(f.manager.clock().clock_ahead_ms == 3 * hour);
  CHECK(f.problems_with("this node's clock is 3 hours ahead of those of most nodes") == 1);
  CHECK(f.manager.explain(path{"/a"})
            .rule.ends_with("; this node's clock is 3 hours ahead of those of most of its peers"));
  shows(2, 0);
  f.tick();
  CHECK(f.logged("context.peer_clock_wrong") == 1);
  CHECK(f.manager.clock().clock_ahead_ms == 0);
  CHECK(f.manager.clock().clocks == std::vector<clock_difference>{{node(3), -3 * hour}});
  CHECK(f.problems_with("the clock of node " + to_string(node(3)) +
                        " is 3 hours behind this node's clock") == 1);
}

TEST_CASE("heads carry the time of their sender") {
  cluster_fixture f;
  f.tick(1'000);
  f.store_all();
  const auto said = f.sent<sync_heads>(2);
  REQUIRE_FALSE(said.empty());
  CHECK(said.back().now_ms == f.now.wall_ms);
}
