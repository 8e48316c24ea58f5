// Nodes that lie to a sync manager about what they and others have. Once the manager knows the
// members of the cluster, only those are heeded.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/tests/support/fixtures/cluster_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// What nobody has.
version_vector made_up() { return version_vector{{{node(8), 1, std::uint64_t{1} << 60}}}; }

/// A manager of node 1, a member beside the nodes 2 and 3, that is linked with node 2 and with a
/// liar, by link 9.
class lied_to : public cluster_fixture {
public:
  /// @param who the liar. @param claimed what it says in its hello to have.
  explicit lied_to(unsigned who, version_vector claimed = {}) {
    peer_up(9, who);
    hear(9, hello(who, std::move(claimed)));
  }

  /// Heads in which somebody says that node 3 has what this node has.
  sync_heads passing_on() const {
    const auto& all = manager.committed().vector();
    sync_heads said{all, {}, 0, {}, {}};
    said.reports.push_back({node(3), 1, all, all, 0});
    return said;
  }
  /// Lets time pass in which node 2 says what it and node 3 have.
  void pass(std::uint64_t milliseconds) {
    for (; milliseconds > 0; milliseconds -= 1000) {
      hear(2, passing_on());
      tick(1000);
    }
  }
  context_request write_at(durability level) {
    return manager_fixture::write(
        {.entries = {{path{"/a"}, 1}}, .durability = level, .members_within_ms = 60'000});
  }
};

}  // namespace

TEST_CASE("what nobody has keeps nothing from being collected when no member says to have it") {
  SUBCASE("a node that is no member says so") {
    lied_to f{9, made_up()};
    f.pass(12'000);  // what was there before it came
    f.write("/a", 1);
    f.store_all();
    f.pass(12'000);
    CHECK(f.manager.stable() == f.manager.committed().vector());
  }
  SUBCASE("a member that says so is waited for") {
    lied_to f{3, made_up()};
    f.pass(12'000);
    CHECK(f.manager.stable().entries().empty());
  }
}

TEST_CASE("a node that is no member does not say what members have") {
  lied_to f{9};
  const auto request = f.write_at(durability::all);
  f.store_all();
  f.has_committed(2);
  f.hear(9, f.passing_on());
  CHECK(f.none<answer_write>());
  f.hear(2, f.passing_on());
  CHECK(f.only<answer_write>().request == request);
}

TEST_CASE("a node that is no member does not say how long members are away") {
  for (const bool is_member : {false, true}) {
    CAPTURE(is_member);
    cluster_fixture f{4};
    const unsigned who = is_member ? 4 : 9;
    f.greeted_peer(9, who);
    f.tick(1000);
    sync_heads said{f.manager.committed().vector(), {}, 0, {}, {}};
    said.reports.push_back({node(3), 1, {}, {}, 50'000});
    f.hear(9, said);
    const auto& all = f.manager.list_members().members;
    const auto found = std::ranges::find(all, node(3), &cluster_member::node);
    REQUIRE(found != all.end());
    CHECK(found->away_ms == (is_member ? 50'000 : 1'000));
  }
}

TEST_CASE("a node that is no member keeps no operator from forgetting a member") {
  for (const bool is_member : {false, true}) {
    CAPTURE(is_member);
    cluster_fixture f{4};
    f.greeted_peer(9, is_member ? 4 : 9);
    sync_heads said{f.manager.committed().vector(), {}, 0, {}, {}};
    said.links = {node(3)};
    f.hear(9, said);
    CHECK(f.manager.forgetting(node(3), "a test").has_value() == !is_member);
  }
}

TEST_CASE("the clocks of nodes that are no members say nothing of this node's clock") {
  constexpr std::uint64_t hour = 3'600'000;
  cluster_fixture f;
  for (unsigned who = 7; who <= 9; ++who) {
    f.link(who);
    sync_heads said{f.manager.committed().vector(), {}, 0, {}, {}};
    said.now_ms = f.now.wall_ms + 3 * hour;
    f.hear(who, said);
  }
  f.tick();
  CHECK(f.logged("context.clock_wrong") == 0);
  CHECK(f.manager.clock().clock_ahead_ms == 0);
  CHECK(f.manager.clock().clocks.empty());
}

TEST_CASE("a node that has met one of several members knows them when it has caught up") {
  manager_fixture f{{}, true};
  f.peer_up(2, 2);
  f.hear(2, f.hello(2, version_vector{{{node(2), 1, 1}, {node(3), 1, 1}, {node(4), 1, 1}}}));
  const auto store_all = [&] {
    while (f.manager.committed().vector() != f.manager.engine().vector()) f.stored();
  };
  store_all();
  f.push(2, 1, {joining_of(2, 2)});
  store_all();
  REQUIRE(f.manager.known_members().count() == 2);
  const auto request = f.write("/a", 1, durability::majority);
  store_all();
  const auto node_2_has_all = [&] {
    f.hear(2, sync_heads{f.manager.committed().vector(), {}, 0, {}, {}});
  };
  // One other member would be enough if these were all.
  node_2_has_all();
  CHECK(f.none<answer_write>());
  for (unsigned n = 3; n <= 4; ++n) f.push(2, n - 1, {joining_of(n, n)});
  store_all();
  REQUIRE(f.manager.known_members().count() == 4);
  auto said = sync_heads{f.manager.committed().vector(), {}, 0, {}, {}};
  f.hear(2, said);
  CHECK(f.none<answer_write>());
  said.reports.push_back({node(3), 1, said.vector, {}, 0});
  f.hear(2, said);
  CHECK(f.only<answer_write>().request == request);
}

TEST_CASE("who makes up incarnations of a member takes none of its changes from it") {
  constexpr std::uint64_t many = processed_changes::max_ended_of_node + 20;
  lied_to f{9};
  f.peer_down(2);
  std::uint64_t pushes = 0;
  for (std::uint64_t n = 1; n <= many; ++n) {
    auto forged = put({node(2), 1 + n, 1}, "/a/" + std::to_string(n), 1);
    forged.after = {{node(2), n, 1}};
    f.push(9, ++pushes, {forged});
    f.store_all();
  }
  REQUIRE(f.manager.committed().has_forgotten({node(2), 2}));
  f.link(2);
  f.push(2, 1, {put({node(2), 1, 2}, "/b", 7)});
  f.store_all();
  CHECK(f.read("/b") == value{7});
  CHECK(f.manager.committed().at({node(2), 1}) == 2);
  f.peer_down(2);
  f.peer_up(2, 2);  // it starts again
  auto greeting = f.hello(2);
  greeting.incarnation = 1000;
  f.hear(2, greeting);
  auto first = put({node(2), 1000, 1}, "/b", 8);
  first.after = {{node(2), 1, 2}};
  f.push(2, 1, {first});
  f.store_all();
  CHECK(f.manager.committed().at({node(2), 1000}) == 1);
}

TEST_CASE("who says that this node's incarnation has ended keeps nothing from going on") {
  lied_to f{9};
  const auto own = f.manager.engine().own_incarnation();
  const auto first = f.write_at(durability::all);
  f.store_all();
  auto forged = put({own.origin, own.incarnation + 9, 1}, "/forged", 1);
  forged.after = {{own.origin, own.incarnation, f.manager.committed().at(own)}};
  f.push(9, 1, {forged});
  f.store_all();
  REQUIRE(f.read("/forged") == value{1});
  SUBCASE("its vector says so, too, so that tombstones go") {
    CHECK(f.manager.committed().vector().of(own.origin).size() == 1);
    f.pass(24'000);
    CHECK(f.manager.stable() == f.manager.committed().vector());
  }
  SUBCASE("a write that waits for members is answered when they have it") {
    CHECK(f.none<answer_write>());
    f.hear(2, f.passing_on());
    const auto& served = f.only<answer_write>();
    CHECK(served.request == first);
    CHECK(served.outcome.has_value());
  }
  SUBCASE("it writes on, and nobody takes that for known") {
    const auto before = f.manager.committed().at(own);
    f.pass(1000);
    const auto next = f.write_at(durability::all);
    f.store_all();
    CHECK(f.manager.committed().at(own) == before + 1);
    CHECK(f.manager.committed().vector().of(own.origin).size() == 2);
    CHECK(f.none<answer_write>());
    f.hear(2, f.passing_on());
    const auto& served = f.only<answer_write>();
    CHECK(served.request == next);
    CHECK(served.outcome.has_value());
  }
}
