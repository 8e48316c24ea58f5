// A replica and a peer that the test plays. In virtual time.

#include <doctest/doctest.h>

#include <optional>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/replica_pair_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(pair_fixture, "a replica greets a new peer with what it has") {
  a.write("/x", 1);
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  system.run();
  const auto hellos = link.said<sync_hello>("sync.hello");
  REQUIRE(hellos.size() == 1);
  CHECK(hellos[0].node == a.id);
  CHECK(hellos[0].vector == a.verify().vector);
  CHECK(hellos[0].root == a.verify().hash);
}

TEST_CASE_FIXTURE(pair_fixture, "what a link says before the mesh introduces it is not lost") {
  kept_link link{system};
  a.write("/x", 1);
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  CHECK(link.said<sync_push>("sync.push").empty());
  a.meet(link.actor(), test::node(9));
  system.run();
  // The hello was heard: the peer is sent what it lacks.
  CHECK(link.said<sync_push>("sync.push").size() == 1);
  CHECK_FALSE(link.closed());
}

TEST_CASE_FIXTURE(pair_fixture, "what strangers say is kept within bounds, and never mixed up") {
  kept_link stranger{system};
  kept_link link{system};
  for (int i = 0; i < 100; ++i) say_as(stranger.actor(), a.actor, "sync.hello", "nonsense");
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  a.write("/x", 1);
  a.meet(link.actor(), test::node(9));
  system.run();
  CHECK(link.said<sync_push>("sync.push").size() == 1);
  CHECK_FALSE(link.closed());
}

TEST_CASE_FIXTURE(pair_fixture,
                  "the acknowledgement of a push says what has been committed with it") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  const auto record = put({test::node(9), 1, 1}, "/from/nine", "hello");
  a.store.hold();
  say_as(link.actor(), a.actor, "sync.push", encode(push_of(1, {record})));
  system.run();
  CHECK(a.read("/from/nine") == value{"hello"});
  CHECK(link.said<sync_ack>("sync.ack").empty());
  a.store.proceed();
  const auto acks = link.said<sync_ack>("sync.ack");
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].batch == 1);
  CHECK(acks[0].vector.at(test::node(9), 1) == 1);
}

TEST_CASE_FIXTURE(pair_fixture,
                  "a push that the disk refuses is acknowledged once the disk takes it") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  a.store.refuse();
  say_as(link.actor(), a.actor, "sync.push",
         encode(push_of(1, {put({test::node(9), 1, 1}, "/x", 1)})));
  system.pass(500ms);
  CHECK(link.said<sync_ack>("sync.ack").empty());
  a.store.accept();
  system.pass(200ms);
  CHECK(link.said<sync_ack>("sync.ack").size() == 1);
  CHECK(a.store.log().size() == 1);
}

TEST_CASE_FIXTURE(
    pair_fixture,
    "a link that takes no more is closed, as what it missed would be missed for good") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  link.refuse();
  a.write("/x", 1);
  REQUIRE(link.closed());
  CHECK(*link.closed() == "the other side does not read");
}

TEST_CASE_FIXTURE(pair_fixture, "a log that cannot be read is reported, and the replica goes on") {
  a.write("/x", 1);
  a.store.make_log_unreadable();
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  CHECK(a.log.contains("context.log_unreadable"));
  CHECK(a.write("/y", 2).get());
}

TEST_CASE_FIXTURE(pair_fixture, "heads go out each second while wall time jumps back") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  *a.wall_offset_ms = -3'600'000;
  const auto before = link.said<sync_heads>("sync.heads").size();
  system.pass(3500ms);
  CHECK(link.said<sync_heads>("sync.heads").size() >= before + 3);
}

TEST_CASE_FIXTURE(
    pair_fixture,
    "a peer that pushes on while the disk refuses keeps its link, and gets every acknowledgement") {
  played_peer peer{*this, 9};
  a.store.refuse();
  // As a peer does that takes its pushes for lost each second.
  for (int i = 0; i < 1'100; ++i) peer.push({put({test::node(9), 1, 1}, "/x", 1)});
  CHECK_FALSE(peer.link().closed());
  CHECK(peer.link().said<sync_ack>("sync.ack").empty());
  a.store.accept();
  system.pass(200ms);
  CHECK(peer.link().said<sync_ack>("sync.ack").size() == 1'024);
  CHECK(a.store.log().size() == 1);
  peer.push({put({test::node(9), 1, 2}, "/x", 2)});
  CHECK(peer.link().said<sync_ack>("sync.ack").back().batch == 1'101);
}

TEST_CASE_FIXTURE(pair_fixture, "a watcher learns what readers see, not what made them see it") {
  played_peer peer{*this, 9};
  std::vector<std::pair<value, std::optional<value>>> seen;
  const auto watcher = system.own(context_watcher{
      system.caf().spawn([&seen](context_watcher::pointer) -> context_watcher::behavior_type {
        return {[&seen](const context_changed& changed) {
          for (const auto& change : changed.changes)
            seen.emplace_back(change->new_value, change->previous_value);
        }};
      })});
  tell(a.actor, watch_context{path{"/a"}, watcher});
  system.run();
  const auto x = put({test::node(9), 1, 1}, "/a", "x", {}, 10),
             y = put({test::node(8), 1, 1}, "/a", "y", {}, 12);
  peer.push({x, y, put({test::node(7), 1, 1}, "/a", "z", {test::seen(y)}, 9)});
  CHECK(a.read("/a") == value{"x"});
  REQUIRE(seen.size() == 3);
  CHECK(seen[2].first == value{"x"});
  CHECK(seen[2].second == value{"y"});
}

TEST_CASE_FIXTURE(pair_fixture,
                  "a watcher learns when a value that readers saw goes into quarantine") {
  played_peer peer{*this, 9};
  std::vector<change_record> seen;
  const auto watcher = system.own(context_watcher{
      system.caf().spawn([&seen](context_watcher::pointer) -> context_watcher::behavior_type {
        return {[&seen](const context_changed& changed) {
          for (const auto& change : changed.changes) seen.push_back(*change);
        }};
      })});
  tell(a.actor, watch_context{path{"/x"}, watcher});
  peer.push({put({test::node(9), 1, 1}, "/x", 1)});
  peer.push({put({test::node(9), 1, 1}, "/x", 2)});
  CHECK_FALSE(a.read("/x"));
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].operation == operation::erase);
  CHECK(seen[1].previous_value == value{1});
  REQUIRE(system.demand<void>(a.actor, settle_context{}));
  CHECK(a.store.log().size() == 1);
}
