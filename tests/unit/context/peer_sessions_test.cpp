#include <doctest/doctest.h>

#include <vector>

#include <troupe/actors/context/sync/peer_sessions.hpp>
#include <troupe/tests/support/fixtures/sync_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

struct fixture {
  view_values view;
  view_of_values shown{view};
  peer_sessions peers{{cluster, node(1), 1, 7}, shown, {}};
};

}  // namespace

TEST_CASE("sessions are found by their links, and their nodes are listed in order") {
  fixture f;
  CHECK(f.peers.empty());
  f.peers.add(peer_id{5}, node(3));
  f.peers.add(peer_id{7}, node(2));
  CHECK(f.peers.nodes() == std::vector{node(2), node(3)});
  CHECK(f.peers.node(peer_id{5}) == node(3));
  CHECK(f.peers.find(peer_id{5}) != nullptr);
  CHECK(f.peers.find(peer_id{6}) == nullptr);
  CHECK(f.peers.remove(peer_id{5}));
  CHECK_FALSE(f.peers.remove(peer_id{5}));
  CHECK(f.peers.nodes() == std::vector{node(2)});
}

TEST_CASE("two links to one node are two sessions, and the node stays while one of them does") {
  fixture f;
  f.peers.add(peer_id{1}, node(2));
  f.peers.add(peer_id{2}, node(2));
  f.peers.remove(peer_id{1});
  CHECK(f.peers.nodes() == std::vector{node(2)});
}

TEST_CASE("a step over all sessions may remove any of them") {
  fixture f;
  for (std::uint64_t link = 1; link <= 4; ++link) f.peers.add(peer_id{link}, node(2));
  std::vector<peer_id> visited;
  f.peers.for_each([&](peer_id link, sync_session&) {
    visited.push_back(link);
    if (link == peer_id{1}) f.peers.remove(peer_id{2});
    if (link == peer_id{3}) f.peers.remove(peer_id{3});
  });
  CHECK(visited == std::vector{peer_id{1}, peer_id{3}, peer_id{4}});
}
