// A peer whose disk hesitates: it says so, and is not sent again what it has.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>
#include <troupe/tests/support/fixtures/sync_view_fixture.hpp>

using namespace troupe;
using test::node;
using test::put;
using test::view_of_values;
using test::view_values;

namespace {

const cluster_id cluster{node(99).id};

shared_batch change(unsigned origin) {
  return change_batch::of(std::vector{put({node(origin), 1, 1}, "/a", "x")});
}

/// Node 1 in an open session with node 2.
struct open_side {
  open_side() {
    session.start(0);
    session.receive(sync_hello{cluster, node(2), 1, {}, {}, 7, {node(1)}, {}});
  }
  /// Node 2 has acknowledged nothing; a second passes on either side. @returns how often the log
  /// was asked for what to push.
  std::size_t second(bool busy) {
    session.tick(now += 1000);
    return count<read_log>(session.receive(sync_heads{{}, {}, 0, {node(1)}, {}, busy}));
  }
  /// The heads that node 1 sends a second later.
  sync_heads heads() {
    for (const auto& each : session.tick(now += 1000))
      if (const auto* effect = std::get_if<send_message>(&each))
        if (const auto* message = std::get_if<sync_heads>(&effect->message)) return *message;
    FAIL("no heads");
    return {};
  }
  template <class Effect>
  static std::size_t count(const sync_session::effects& effects) {
    return static_cast<std::size_t>(std::ranges::count_if(
        effects, [](const auto& each) { return std::holds_alternative<Effect>(each); }));
  }

  view_values view;
  view_of_values shown{view};
  sync_session session{{cluster, node(1), 1, 7}, node(2), shown};
  std::uint64_t now = 0;
};

}  // namespace

TEST_CASE("what a peer is busy with is not sent again until it is no longer busy") {
  open_side side;
  side.view.committed.raise({node(1), 1, 1});
  REQUIRE(side.session.committed(change(1)).size() == 1);
  for (int i = 0; i < 10; ++i) CHECK(side.second(true) == 0);
  CHECK(side.session.in_flight_bytes() > 0);
  CHECK(side.second(false) == 1);
  CHECK(side.session.in_flight_bytes() == 0);
}

TEST_CASE("a replica is busy while pushes of the peer wait for its disk, or it takes none") {
  open_side side;
  CHECK_FALSE(side.heads().busy);
  REQUIRE(open_side::count<apply_changes>(
              side.session.receive(sync_push{1, {{change(2)->bytes()}}})) == 1);
  const auto heads = side.heads();
  CHECK(heads.busy);
  CHECK(decode<sync_heads>(encode(heads)) == heads);
  side.session.processed(1);
  CHECK_FALSE(side.heads().busy);
  side.view.takes_pushes = false;
  CHECK(side.heads().busy);
}
