#include <doctest/doctest.h>

#include <algorithm>
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

/// The clocks of peers, of which each has links.
struct clocks_fixture : peer_clocks {
  std::vector<node_id> linked{node(2), node(3), node(4), node(5), node(6)};
  std::uint64_t steady_ms = 0;

  /// A peer says that its clock is so far ahead. A second passes.
  void hear_once(unsigned who, std::int64_t ahead_ms) {
    heard(node(who), noon + static_cast<std::uint64_t>(ahead_ms), {noon, steady_ms += 1000});
  }
  /// It says so in each of the heads that are compared. @returns what is news then.
  news hear(unsigned who, std::int64_t ahead_ms) {
    for (std::size_t i = 0; i < compared; ++i) hear_once(who, ahead_ms);
    return now();
  }
  news now() { return update(linked, steady_ms); }
};

}  // namespace

TEST_CASE("clocks that differ by little are not spoken of") {
  clocks_fixture clocks;
  clocks.hear(2, 10'000);
  clocks.hear(3, -10'000);
  CHECK(clocks.own_ahead_ms() == 0);
  CHECK(clocks.others().empty());
}

TEST_CASE("of two clocks nobody knows which is wrong") {
  clocks_fixture clocks;
  clocks.hear(2, -hour);
  CHECK(clocks.own_ahead_ms() == 0);
  CHECK(clocks.others() == std::vector<clock_difference>{{node(2), -hour}});
}

TEST_CASE("the clock that differs from those of most is the wrong one") {
  clocks_fixture clocks;
  SUBCASE("this node's is ahead") {
    clocks.hear(2, -hour);
    clocks.hear(3, -hour - 5);
    CHECK(clocks.own_ahead_ms() == hour);
    CHECK(clocks.others().empty());
  }
  SUBCASE("this node's is behind") {
    clocks.hear(2, hour);
    clocks.hear(3, hour + 5);
    CHECK(clocks.own_ahead_ms() == -hour);
    CHECK(clocks.others().empty());
  }
  SUBCASE("a peer's is") {
    clocks.hear(2, 0);
    clocks.hear(3, -hour);
    CHECK(clocks.own_ahead_ms() == 0);
    CHECK(clocks.others() == std::vector<clock_difference>{{node(3), -hour}});
  }
  SUBCASE("this node's and a peer's are") {
    clocks.hear(2, -hour);
    clocks.hear(3, -hour);
    clocks.hear(4, 0);
    CHECK(clocks.own_ahead_ms() == hour);
    CHECK(clocks.others() == std::vector<clock_difference>{{node(4), hour}});  // of most
  }
  SUBCASE("peers that differ from it in two ways are not most") {
    clocks.hear(2, -hour);
    clocks.hear(3, hour);
    CHECK(clocks.own_ahead_ms() == 0);
    CHECK(clocks.others().size() == 2);
  }
}

TEST_CASE("heads that were under way for long make no clock wrong") {
  clocks_fixture clocks;
  for (const unsigned who : {2, 3}) {
    clocks.hear(who, -hour);
    clocks.hear_once(who, -50);
  }
  clocks.now();
  CHECK(clocks.own_ahead_ms() == 0);
  CHECK(clocks.others().empty());
  for (const unsigned who : {2, 3}) clocks.hear(who, -hour);
  CHECK(clocks.own_ahead_ms() == hour);
}

TEST_CASE("heads that come sooner than each second count for nothing") {
  clocks_fixture clocks;
  clocks.hear(2, hour);
  for (std::size_t i = 0; i < peer_clocks::compared; ++i)
    clocks.heard(node(2), noon, {noon, clocks.steady_ms});
  CHECK(clocks.now().others.empty());
  CHECK(clocks.others() == std::vector<clock_difference>{{node(2), hour}});
}

TEST_CASE("times that no clock shows do no harm") {
  clocks_fixture clocks;
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  for (const unsigned who : {2, 3}) clocks.heard(node(who), most, {0, 0});
  clocks.now();
  CHECK(clocks.own_ahead_ms() < -hour);
  for (const unsigned who : {4, 5, 6}) clocks.heard(node(who), 0, {most, 0});
  clocks.now();
  CHECK(clocks.own_ahead_ms() > hour);
  CHECK(clocks.others().size() == 2);
}

TEST_CASE("a difference is news once, and again after it has ended") {
  clocks_fixture clocks;
  clocks.hear(2, -hour);
  CHECK(clocks.hear(3, -hour).own == hour);
  CHECK_FALSE(clocks.hear(4, -hour).own);
  clocks.hear(2, 0);
  const auto one = clocks.hear(3, 0);
  CHECK_FALSE(one.own);
  CHECK(clocks.others() == std::vector<clock_difference>{{node(4), -hour}});
  CHECK(clocks.hear(4, 0).others.empty());
  CHECK(clocks.hear(4, hour).others == std::vector<clock_difference>{{node(4), hour}});
  // It ends at half of what begins one.
  CHECK(clocks.hear(4, 6'000).others.empty());
  CHECK(clocks.hear(4, 11'000).others.empty());
  CHECK(clocks.hear(4, 4'000).others.empty());
  CHECK(clocks.hear(4, 9'000).others.empty());
  CHECK(clocks.others().empty());
  CHECK(clocks.hear(4, 11'000).others.size() == 1);
  // Of who has no link nothing is known.
  CHECK(clocks.update({node(2)}, clocks.steady_ms).others.empty());
  CHECK(clocks.others().empty());
  CHECK(clocks.now().others.empty());
}

TEST_CASE("of many differences few are news at once, and the others are later") {
  clocks_fixture clocks;
  constexpr unsigned peers = 2 * peer_clocks::max_news;
  for (unsigned who = 10; who < 10 + 3 * peers; ++who) clocks.linked.push_back(node(who));
  std::ranges::sort(clocks.linked);
  for (unsigned who = 10; who < 10 + peers; ++who)
    clocks.heard(node(who), noon + hour, {noon, clocks.steady_ms});
  for (unsigned who = 10 + peers; who < 10 + 3 * peers; ++who)
    clocks.heard(node(who), noon, {noon, clocks.steady_ms});
  CHECK(clocks.now().others.size() == peer_clocks::max_news);
  CHECK(clocks.now().others.empty());
  clocks.steady_ms += peer_clocks::news_every_ms;
  CHECK(clocks.now().others.size() == peer_clocks::max_news);
  clocks.steady_ms += peer_clocks::news_every_ms;
  CHECK(clocks.now().others.empty());
}

TEST_CASE("a node says that its clock differs from those of its peers") {
  cluster_fixture f;
  f.link(3);
  const auto shows = [&](unsigned who, std::int64_t ahead_ms) {
    sync_heads said{f.manager.committed().vector(), {}, 0, {}, {}};
    said.now_ms = f.now.wall_ms + static_cast<std::uint64_t>(ahead_ms);
    for (std::size_t i = 0; i < peer_clocks::compared; ++i) {
      f.now.steady_ms += 1000;
      f.hear(who, said);
    }
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

TEST_CASE("a clock that is wrong now is set right before the times of changes are corrected") {
  cluster_fixture f;
  f.link(3);
  // The clock was right until it was set back.
  f.write("/a", 1);
  f.store_all();
  f.now.wall_ms -= 3 * hour + 1'000;
  f.tick();
  CHECK(f.problems_with("the times of this node's changes are 3 hours ahead of its clock") == 1);
  CHECK(f.problems_with("Set the clock right first") == 0);
  for (const unsigned who : {2, 3}) {
    sync_heads said{f.manager.committed().vector(), {}, 0, {}, {}};
    said.now_ms = f.now.wall_ms + 3 * hour;
    f.hear(who, said);
  }
  f.tick();
  CHECK(f.problems_with("Set the clock right first") == 1);
  CHECK(f.problems_with("this node's clock is 3 hours behind those of most nodes") == 1);
}

TEST_CASE("heads carry the time of their sender") {
  cluster_fixture f;
  f.tick(1'000);
  f.store_all();
  const auto said = f.sent<sync_heads>(2);
  REQUIRE_FALSE(said.empty());
  CHECK(said.back().now_ms == f.now.wall_ms);
}
