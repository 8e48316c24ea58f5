// Replicas that exchange their changes over links that the test controls. In virtual time.

#include <doctest/doctest.h>

#include <memory>

#include <troupe/messages/rpc.hpp>
#include <troupe/tests/support/replica_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class pair_fixture {
public:
  virtual_system system;
  replica_fixture a{system, 1};
  replica_fixture b{system, 2};

  /// Long enough for what was missed to be repaired: two exchanges of heads and what follows from
  /// them.
  void settle() { system.pass(3s); }
  bool equal() {
    return a.verify().hash == b.verify().hash && a.verify().sound && b.verify().sound;
  }
};

sync_hello hello_of(const node_id& who) {
  return {.cluster = {},
          .node = who,
          .incarnation = 1,
          .vector = {},
          .root = {},
          .strategies = strategies_hash(last_writer_wins{})};
}

}  // namespace

// -- one replica and a link that the test plays ---------------------------------------------------

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
                  "the acknowledgement of a push tells what has been committed with it") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  system.run();
  const auto record = put({test::node(9), 1, 1}, "/from/nine", "hello");
  a.store.hold();
  say_as(link.actor(), a.actor, "sync.push",
         encode(push_batch{{encode_record(record)}}.to_message(1)));
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
         encode(push_batch{{encode_record(put({test::node(9), 1, 1}, "/x", 1))}}.to_message(1)));
  system.pass(500ms);
  CHECK(link.said<sync_ack>("sync.ack").empty());
  a.store.accept();
  system.pass(200ms);
  CHECK(link.said<sync_ack>("sync.ack").size() == 1);
  CHECK(a.store.log().size() == 1);
}

TEST_CASE_FIXTURE(pair_fixture, "a peer that speaks nonsense is closed, with why") {
  for (const auto& [method, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"sync.push",
            encode(push_batch{{encode_record(put({test::node(9), 1, 1}, "/x", 1))}}.to_message(
                1))},  // before the hello
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

TEST_CASE_FIXTURE(pair_fixture, "one dot for two changes is an alarm") {
  kept_link link{system};
  a.meet(link.actor(), test::node(9));
  say_as(link.actor(), a.actor, "sync.hello", encode(hello_of(test::node(9))));
  say_as(link.actor(), a.actor, "sync.push",
         encode(push_batch{{encode_record(put({test::node(9), 1, 1}, "/x", 1))}}.to_message(1)));
  say_as(link.actor(), a.actor, "sync.push",
         encode(push_batch{{encode_record(put({test::node(9), 1, 1}, "/x", 2))}}.to_message(2)));
  system.run();
  CHECK(a.log.count("context.equivocation") == 1);
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

namespace {

/// A peer that the test plays, greeted.
class played_peer {
public:
  played_peer(pair_fixture& in, unsigned n) : in_(in), link_(in.system) {
    in.a.meet(link_.actor(), test::node(n));
    say_as(link_.actor(), in.a.actor, "sync.hello", encode(hello_of(test::node(n))));
    in.system.run();
  }
  void push(std::vector<change_record> records) {
    std::vector<encoded_record> encoded;
    for (const auto& each : records) encoded.push_back(encode_record(each));
    say_as(link_.actor(), in_.a.actor, "sync.push",
           encode(push_batch{std::move(encoded)}.to_message(++pushes_)));
    in_.system.run();
  }
  kept_link& link() { return link_; }

private:
  pair_fixture& in_;
  kept_link link_;
  std::uint64_t pushes_ = 0;
};

}  // namespace

TEST_CASE_FIXTURE(pair_fixture, "a malformed change ends its sender's session and nothing else") {
  played_peer honest{*this, 8}, hostile{*this, 9};
  hostile.push(
      {put({test::node(8), 1, 1}, "/x", 1, {{test::node(3), 1, 2}, {test::node(3), 1, 1}})});
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
  hostile.push({put({test::node(9), 1, 1}, "/x", "forged", {{a.id, 1, 1}})});
  CHECK(a.log.count("context.identity_claimed") == 1);
  CHECK(a.write("/x", "mine").get());
  CHECK(a.read("/x") == value{"mine"});
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

TEST_CASE_FIXTURE(pair_fixture, "a peer with the same changes and another tree is reported, once") {
  played_peer peer{*this, 9};
  a.write("/x", 1);
  const auto state = a.verify();
  const auto heads = [&](state_hash root) {
    say_as(peer.link().actor(), a.actor, "sync.heads",
           encode(sync_heads{state.vector, root, 1, {}, {}}));
    system.run();
  };
  heads(state.hash);
  CHECK(a.log.count("context.roots_differ") == 0);
  for (int i = 0; i < 3; ++i) heads({1, 2});
  CHECK(a.log.count("context.roots_differ") == 1);
}

TEST_CASE_FIXTURE(pair_fixture, "a watcher is told what readers see, not what made them see it") {
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
  peer.push({x, y, put({test::node(7), 1, 1}, "/a", "z", {y.dot}, 9)});
  CHECK(a.read("/a") == value{"x"});
  REQUIRE(seen.size() == 3);
  CHECK(seen[2].first == value{"x"});
  CHECK(seen[2].second == value{"y"});
}

TEST_CASE_FIXTURE(pair_fixture,
                  "a watcher is told when a value that readers saw goes into quarantine") {
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

// -- two replicas ---------------------------------------------------------------------------------

TEST_CASE_FIXTURE(pair_fixture, "a change is at the other node at once") {
  fake_wire wire{a, b};
  a.write("/x", 1);
  CHECK(b.read("/x") == value{1});
  b.write("/x", 2);
  CHECK(a.read("/x") == value{2});
  CHECK(equal());
}

TEST_CASE_FIXTURE(pair_fixture, "a change crosses only after its own commit") {
  fake_wire wire{a, b};
  a.store.hold();
  a.write("/x", 1);
  system.pass(2s);
  CHECK_FALSE(b.read("/x"));
  a.store.proceed();
  CHECK(b.read("/x") == value{1});
}

TEST_CASE_FIXTURE(pair_fixture,
                  "what was written before the nodes met is exchanged when they meet") {
  for (int i = 0; i < 300; ++i) a.write("/a/" + std::to_string(i), std::string(500, 'x'));
  for (int i = 0; i < 10; ++i) b.write("/b/" + std::to_string(i), i);
  fake_wire wire{a, b};
  settle();
  CHECK(a.verify().entries == 310);
  CHECK(equal());
}

TEST_CASE_FIXTURE(pair_fixture,
                  "concurrent edits become a conflict that both nodes see and decide alike") {
  fake_wire wire{a, b};
  wire.cut();
  a.write("/x", "from a");
  b.write("/x", "from b");
  fake_wire healed{a, b};
  settle();
  CHECK(equal());
  CHECK(a.read("/x") == b.read("/x"));
  CHECK(a.verify().conflicts == 1);
  CHECK(b.verify().conflicts == 1);
  CHECK(a.log.contains("context.conflict path=\"/x\""));
  const auto explained = system.demand<value_explained>(a.actor, explain_value{path{"/x"}}).value();
  CHECK(explained.conflict);
  CHECK(explained.writes.size() == 2);
  b.write("/x", "settled");
  CHECK(a.read("/x") == value{"settled"});
  CHECK(a.verify().conflicts == 0);
}

TEST_CASE_FIXTURE(pair_fixture,
                  "edits on both sides of a cut are all there when it heals, deletions too") {
  auto wire = std::make_unique<fake_wire>(a, b);
  a.write("/kept", 1);
  a.write("/gone", 1);
  wire->cut();
  a.erase("/gone");
  for (int i = 0; i < 40; ++i) {
    a.write("/a/" + std::to_string(i), i);
    b.write("/b/" + std::to_string(i), i);
    b.write("/both", i);
  }
  CHECK_FALSE(equal());
  wire = std::make_unique<fake_wire>(a, b);
  settle();
  CHECK(equal());
  CHECK_FALSE(b.read("/gone"));
  CHECK(b.verify().entries == 82);
  CHECK(a.read("/both") == value{39});
}

TEST_CASE_FIXTURE(pair_fixture, "both nodes have stored what both have written") {
  fake_wire wire{a, b};
  a.write("/x", 1);
  b.write("/y", 2);
  CHECK(a.store.log().size() == 2);
  CHECK(b.store.log().size() == 2);
}

TEST_CASE_FIXTURE(pair_fixture,
                  "a watcher sees the changes of the other node, where readers see something new") {
  fake_wire wire{a, b};
  std::vector<std::string> seen;
  const auto watcher = system.own(context_watcher{
      system.caf().spawn([&seen](context_watcher::pointer) -> context_watcher::behavior_type {
        return {[&seen](const context_changed& changed) {
          for (const auto& change : changed.changes) seen.push_back(change->path.text());
        }};
      })});
  tell(b.actor, watch_context{path{"/app"}, watcher});
  system.run();
  a.write("/app/x", 1);
  a.write("/other", 2);
  CHECK(seen == std::vector<std::string>{"/app/x"});
  // A concurrent change that is earlier changes nothing for readers.
  wire.cut();
  *a.wall_offset_ms = -1;
  b.write("/app/x", "later");
  a.write("/app/x", "earlier");
  *a.wall_offset_ms = 0;
  fake_wire healed{a, b};
  settle();
  CHECK(b.verify().conflicts == 1);
  CHECK(b.read("/app/x") == value{"later"});
  CHECK(seen == std::vector<std::string>{"/app/x", "/app/x"});
}

TEST_CASE("a change reaches a node that is connected through another one only") {
  virtual_system system;
  replica_fixture a{system, 1}, b{system, 2}, c{system, 3};
  fake_wire ab{a, b}, bc{b, c};
  a.write("/x", 1);
  system.pass(3s);
  CHECK(c.read("/x") == value{1});
  CHECK(a.verify().hash == c.verify().hash);
}

TEST_CASE("three connected nodes end alike, whoever writes") {
  virtual_system system;
  replica_fixture a{system, 1}, b{system, 2}, c{system, 3};
  fake_wire ab{a, b}, bc{b, c}, ca{c, a};
  for (int i = 0; i < 30; ++i) {
    a.write("/shared/" + std::to_string(i % 5), "a" + std::to_string(i), durability::memory);
    b.write("/shared/" + std::to_string(i % 7), "b" + std::to_string(i), durability::memory);
    c.write("/shared/" + std::to_string(i % 3), "c" + std::to_string(i), durability::memory);
  }
  system.pass(3s);
  CHECK(a.verify().hash == b.verify().hash);
  CHECK(b.verify().hash == c.verify().hash);
  CHECK(a.verify().vector == c.verify().vector);
  CHECK(a.store.log().size() == 90);
  CHECK(c.store.log().size() == 90);
}
