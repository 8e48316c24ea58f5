// What a replica does about peers that break the rules, or differ where they must agree. In virtual
// time.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <troupe/messages/wire/rpc.hpp>
#include <troupe/tests/support/fixtures/replica_pair_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(pair_fixture, "a peer that speaks nonsense is closed, with why") {
  for (const auto& [method, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"sync.push",
            encode(push_of(1, {put({test::node(9), 1, 1}, "/x", 1)}))},  // before the hello
           {"sync.hello", "nonsense"},
           {"sync.dance", std::string{rpc::no_params}},
           {"sync.heads", std::string{rpc::no_params}},
           {"sync.ack", std::string{rpc::no_params}},
           {"sync.pull", std::string{rpc::no_params}}}) {
    CAPTURE(method);
    kept_link link{system};
    a.meet(link.actor(), test::node(9));
    say_as(link.actor(), a.actor, method, bytes);
    system.run();
    REQUIRE(link.closed());
    CHECK_FALSE(link.closed()->empty());
  }
  CHECK(a.log.count("context.sync_ended") == 6);
  CHECK_FALSE(a.read("/x"));
}

TEST_CASE_FIXTURE(pair_fixture, "who asks a node is not behind all that its peers have sent") {
  played_peer flood{*this, 8}, other{*this, 9};
  const auto push = [](unsigned n, std::uint64_t i, const std::string& where) {
    return encode(push_of(i, {put({test::node(n), 1, i}, where + std::to_string(i), 1)}));
  };
  constexpr std::uint64_t pushes = 40;
  for (std::uint64_t i = 1; i <= pushes; ++i)
    say_as(flood.link().actor(), a.actor, "sync.push", push(8, i, "/flood/"));
  say_as(other.link().actor(), a.actor, "sync.push", push(9, 1, "/other/"));
  caf::anon_send(a.actor, write_values{.entries = {{path{"/local"}, 1}}, .principal = "tester"});
  system.run();
  const auto stored = a.store.log();
  REQUIRE(stored.size() == pushes + 2);
  CHECK(stored[0].path == path{"/local"});
  CHECK(stored[1].path == path{"/flood/1"});
  CHECK(stored[2].path == path{"/other/1"});
  CHECK(stored[3].path == path{"/flood/2"});
  CHECK_FALSE(flood.link().closed());
}

TEST_CASE_FIXTURE(pair_fixture, "what a peer had said counts when its link has ended since") {
  played_peer peer{*this, 9};
  for (std::uint64_t i = 1; i <= 3; ++i)
    say_as(peer.link().actor(), a.actor, "sync.push",
           encode(push_of(i, {put({test::node(9), 1, i}, "/x", static_cast<int>(i))})));
  caf::anon_send_exit(peer.link().actor(), caf::exit_reason::user_shutdown);
  system.run();
  CHECK(a.read("/x") == value{3});
}

TEST_CASE_FIXTURE(pair_fixture, "a peer that has sent more than may wait is closed") {
  played_peer peer{*this, 9}, honest{*this, 8};
  const std::string large(std::size_t{1} << 20, 'x');
  for (int i = 0; i < 17; ++i) say_as(peer.link().actor(), a.actor, "sync.push", large);
  system.run();
  REQUIRE(peer.link().closed());
  CHECK(peer.link().closed()->find("faster than this node can take it") != std::string::npos);
  CHECK_FALSE(honest.link().closed());
}

TEST_CASE_FIXTURE(pair_fixture, "a peer of another cluster is closed") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  auto foreign = hello_of(test::node(9));
  foreign.cluster = {random_uuid()};
  say_as(link.actor(), a.actor, "sync.hello", encode(foreign));
  system.run();
  CHECK(link.closed());
}

TEST_CASE_FIXTURE(pair_fixture, "a peer with other conflict strategies is reported") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  auto other = hello_of(test::node(9));
  other.strategies ^= 1;
  say_as(link.actor(), a.actor, "sync.hello", encode(other));
  system.run();
  CHECK(a.log.count("context.strategies_differ") == 1);
}

TEST_CASE_FIXTURE(pair_fixture, "one dot for two changes is an alarm") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  say_as(link.actor(), a.actor, "sync.push",
         encode(push_of(1, {put({test::node(9), 1, 1}, "/x", 1)})));
  say_as(link.actor(), a.actor, "sync.push",
         encode(push_of(2, {put({test::node(9), 1, 1}, "/x", 2)})));
  system.run();
  CHECK(a.log.count("context.equivocation") == 1);
}

TEST_CASE_FIXTURE(pair_fixture, "a malformed change ends its sender's session and nothing else") {
  played_peer honest{*this, 8}, hostile{*this, 9};
  hostile.push({put({test::node(8), 1, 1}, "/x", 1,
                    {{{test::node(3), 1, 2}, 5}, {{test::node(3), 1, 1}, 5}})});
  REQUIRE(hostile.link().closed());
  CHECK(hostile.link().closed()->find("malformed") != std::string::npos);
  played_peer again{*this, 7};
  again.push({put({a.id, 1, 1}, "/x", std::string((std::size_t{1} << 20) + 1, 'x'))});
  CHECK(again.link().closed());
  honest.push({put({test::node(8), 1, 1}, "/x", 1)});
  CHECK_FALSE(honest.link().closed());
  CHECK(a.read("/x") == value{1});
  CHECK(a.write("/y", 1).get());
}

TEST_CASE_FIXTURE(
    pair_fixture,
    "a change that overwrites this node's next write is an alarm, and the write stays") {
  played_peer hostile{*this, 9};
  hostile.push({put({test::node(9), 1, 1}, "/x", "forged", {{{a.id, 1, 1}, 5}})});
  CHECK(a.log.count("context.identity_claimed") == 1);
  CHECK(a.write("/x", "mine").get());
  CHECK(a.read("/x") == value{"mine"});
}

TEST_CASE_FIXTURE(
    pair_fixture,
    "of many conflicts and refusals in a second a few are logged, and the others as a number") {
  played_peer peer{*this, 9};
  for (int i = 0; i < 40; ++i) a.write("/n/" + std::to_string(i), i);
  std::vector<change_record> all;
  for (std::uint64_t i = 0; i < 40; ++i)
    all.push_back(put({test::node(9), 1, i + 1}, "/n/" + std::to_string(i), "x"));
  auto newer = put({test::node(9), 2, 1}, "/x", 1);
  newer.format = change_record::current_format + 1;
  for (int i = 0; i < 40; ++i) all.push_back(newer);
  system.pass(1100ms);
  peer.push(std::move(all));
  CHECK(a.log.count("context.conflict path") == 10);
  CHECK(a.log.count("context.change_refused") == 10);
  system.pass(1100ms);
  CHECK(a.log.count("context.conflicts more=30") == 1);
  CHECK(a.log.count("context.changes_refused more=30") == 1);
  system.pass(3s);
  CHECK(a.log.count("more=") == 2);
}

TEST_CASE_FIXTURE(pair_fixture, "what is put in quarantine is there after a clean stop") {
  played_peer peer{*this, 9};
  peer.push({put({test::node(9), 1, 1}, "/x", 1)});
  REQUIRE(system.demand<void>(a.actor, settle_context{}));
  peer.push({put({test::node(9), 1, 1}, "/x", 2)});
  REQUIRE(system.demand<void>(a.actor, settle_context{}));
  REQUIRE(a.store.checkpoints().size() == 2);
  CHECK(a.store.checkpoints().back()->quarantine.size() == 1);
}

TEST_CASE_FIXTURE(pair_fixture,
                  "a peer with the same changes and another tree is asked for it, once") {
  played_peer peer{*this, 9};
  a.write("/x", 1);
  const auto state = a.verify();
  const auto heads = [&](state_hash root) {
    say_as(peer.link().actor(), a.actor, "sync.heads",
           encode(sync_heads{state.vector, root, 1, {}, {}}));
    system.run();
  };
  heads(state.hash);
  CHECK(peer.link().said<sync_range>("sync.range").empty());
  for (int i = 0; i < 3; ++i) heads({1, 2});
  const auto asked = peer.link().said<sync_range>("sync.range");
  REQUIRE(asked.size() == 1);
  // It offers what it does not have.
  sync_state offer{.transfer = asked[0].transfer, .ask = asked[0].ask};
  offer.processed.bytes = encode(processed_changes{state.vector});
  offer.parts.push_back({"", "", 1, {1, 2}});
  say_as(peer.link().actor(), a.actor, "sync.state", encode(offer));
  system.run();
  REQUIRE(peer.link().said<sync_range>("sync.range").size() == 2);
  offer = {.transfer = offer.transfer, .ask = offer.ask + 1, .whole = offer.parts};
  say_as(peer.link().actor(), a.actor, "sync.state", encode(offer));
  system.run();
  CHECK(a.log.contains("sync.state breaks the rules"));
  CHECK(a.read("/x") == value{1});
}
