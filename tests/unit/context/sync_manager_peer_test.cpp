// What a sync manager does with its peers.

#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

version_vector upto(unsigned n, std::uint64_t seq) { return version_vector{{{node(n), 1, seq}}}; }

}  // namespace

// -- links ----------------------------------------------------------------------------------------

TEST_CASE("a new peer is greeted with what is stored, not with what waits for the disk") {
  manager_fixture f;
  f.write("/a", 1);
  f.stored();
  f.write("/b", 2);
  f.peer_up(1, 2);
  const auto hellos = f.sent<sync_hello>(1);
  REQUIRE(hellos.size() == 1);
  CHECK(hellos[0].node == node(1));
  CHECK(hellos[0].vector == upto(1, 1));
  CHECK(hellos[0].root == state_hash{});
  f.stored();
  f.peer_up(2, 3);
  CHECK(f.sent<sync_hello>(2).at(0).root == f.manager.engine().root_hash());
}

TEST_CASE("open sessions hear of links that come and go") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.peer_up(2, 3);
  REQUIRE(f.sent<sync_heads>(1).size() == 1);
  CHECK(f.sent<sync_heads>(1)[0].links == std::vector{node(2), node(3)});
  f.peer_down(2);
  CHECK(f.sent<sync_heads>(1).at(0).links == std::vector{node(2)});
  f.peer_down(2);
  CHECK(f.effects.empty());
}

TEST_CASE("what a link says before it is introduced is heard when it is") {
  manager_fixture f;
  f.write("/a", 1);
  f.stored();
  f.hear(1, f.hello(2));
  CHECK(f.effects.empty());
  f.peer_up(1, 2);
  CHECK(f.sent<sync_hello>(1).size() == 1);
  CHECK(f.only<read_peer_log>().peer == peer_id{1});
}

TEST_CASE("a link that is introduced again begins anew") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.greeted_peer(1, 2);
  CHECK(f.none<close_peer>());
  f.write("/a", 1);
  f.stored();
  CHECK(f.sent<sync_push>(1).size() == 1);
}

TEST_CASE("a peer that breaks the protocol is closed, with the reason, and forgotten") {
  const auto bytes = encode(sync_heads{});
  for (const auto& [method, params] : std::vector<std::pair<std::string, std::string>>{
           {"sync.heads", bytes}, {"sync.hello", "nonsense"}, {"sync.dance", bytes}}) {
    CAPTURE(method);
    manager_fixture f;
    f.peer_up(1, 2);
    f.hear(1, method, params);
    CHECK_FALSE(f.only<close_peer>().reason.empty());
    CHECK(f.logged("context.sync_ended") == 1);
    f.hear(1, f.hello(2));
    CHECK(f.effects.empty());
  }
}

TEST_CASE("a link that refuses a message is closed; failures that come after are nothing new") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.greeted_peer(2, 3);
  const error why{error_code::overloaded, "the other side does not read", {}};
  f.after([&] { f.manager.send_failed(peer_id{1}, why); });
  CHECK(f.only<close_peer>().peer == peer_id{1});
  CHECK(f.only<close_peer>().reason == why.message);
  CHECK(f.sent<sync_heads>(2).size() == 1);
  f.after([&] { f.manager.send_failed(peer_id{1}, why); });
  CHECK(f.effects.empty());
}

TEST_CASE("a peer with other strategies is reported") {
  manager_fixture f;
  f.peer_up(1, 2);
  auto other = f.hello(2);
  other.strategies ^= 1;
  f.hear(1, other);
  CHECK(f.logged("context.strategies_differ") == 1);
}

// -- pushing --------------------------------------------------------------------------------------

TEST_CASE("a change is pushed when it is stored, to each peer, before its writer is answered") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.greeted_peer(2, 3);
  f.write("/a", 1);
  CHECK(f.none<send_to_peer>());
  f.stored();
  CHECK(f.sent<sync_push>(1).size() == 1);
  CHECK(f.sent<sync_push>(2).size() == 1);
  CHECK(f.place<send_to_peer>() < f.place<answer_write>());
}

TEST_CASE("what a peer lacks is read from the log and pushed") {
  manager_fixture f;
  f.write("/a", 1);
  const auto batches = f.only<append_batch>().what->batches;
  f.stored();
  f.greeted_peer(1, 2);
  const auto read = f.only<read_peer_log>();
  CHECK(read.wanted.wanted.at(0).first.seq == 1);
  SUBCASE("and pushed") {
    f.after([&] { f.manager.log_read(peer_id{1}, batches); });
    CHECK(f.sent<sync_push>(1).size() == 1);
  }
  SUBCASE("and a log that cannot be read is reported") {
    f.after([&] { f.manager.log_read(peer_id{1}, fail(error_code::corrupt_data, "damaged")); });
    CHECK(f.logged("context.log_unreadable") == 1);
    CHECK(f.sent<sync_push>(1).empty());
  }
  SUBCASE("and a peer that is gone gets nothing") {
    f.peer_down(1);
    f.after([&] { f.manager.log_read(peer_id{1}, batches); });
    CHECK(f.effects.empty());
  }
}

TEST_CASE("heads go out each second") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  std::size_t heads = 0;
  for (int i = 0; i < 35; ++i) {
    f.tick(100);
    heads += f.sent<sync_heads>(1).size();
  }
  CHECK(heads == 3);
}

// -- being pushed to ------------------------------------------------------------------------------

TEST_CASE("a push is applied and appended, and acknowledged when it is stored") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.watch(7, "");
  f.push(1, 1, {put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  CHECK(f.read("/a") == value{1});
  CHECK(f.only<tell_watcher>().changes.size() == 2);
  CHECK(f.only<append_batch>().what->changes == 2);
  CHECK(f.sent<sync_ack>(1).empty());
  f.stored();
  const auto acks = f.sent<sync_ack>(1);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].batch == 1);
  CHECK(acks[0].vector == upto(2, 2));
}

TEST_CASE("of a node that is linked nobody else sends what it does not say to have made") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.greeted_peer(2, 3);
  const auto push = [&](std::uint64_t number) {
    const auto change = put({node(2), 1, 1}, "/a", 1);
    f.hear(2, sync_push{number, {{change_batch::of(std::vector{change})->bytes()}}});
  };
  push(1);
  CHECK(f.manager.engine().processed().at({node(2), 1}) == 0);
  CHECK(f.none<append_batch>());
  f.hear(1, sync_heads{version_vector{{{node(2), 1, 1}}}, {}, 0, {}, {}});
  push(2);
  CHECK(f.manager.engine().processed().at({node(2), 1}) == 1);

  SUBCASE("what no replica makes is no less wrong for that") {
    const auto change = put({node(2), 1, 2}, "/a", 1, {{{node(2), 1, 2}, 5}});
    f.hear(2, sync_push{3, {{change_batch::of(std::vector{change})->bytes()}}});
    CHECK(f.only<close_peer>().peer == peer_id{2});
  }
  SUBCASE("of another incarnation than the one that runs, others send all") {
    const auto change = put({node(2), 9, 1}, "/a", 1);
    f.hear(2, sync_push{3, {{change_batch::of(std::vector{change})->bytes()}}});
    CHECK(f.manager.engine().processed().at({node(2), 9}) == 1);
  }
  SUBCASE("of a node without a link, too") {
    f.peer_down(1);
    const auto change = put({node(2), 1, 2}, "/a", 2);
    f.hear(2, sync_push{3, {{change_batch::of(std::vector{change})->bytes()}}});
    CHECK(f.manager.engine().processed().at({node(2), 1}) == 2);
  }
}

TEST_CASE("a push without news is acknowledged at once, and after what waits before it") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  const auto record = put({node(2), 1, 1}, "/a", 1);
  f.push(1, 1, {record});
  f.push(1, 2, {record});
  CHECK(f.effects.empty());
  f.stored();
  REQUIRE(f.sent<sync_ack>(1).size() == 2);
  f.push(1, 3, {record});
  CHECK(f.sent<sync_ack>(1).at(0).batch == 3);
}

TEST_CASE("a push that the disk refuses is acknowledged once the disk takes it") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/a", 1)});
  f.refused();
  CHECK(f.sent<sync_ack>(1).empty());
  f.tick();
  f.stored();
  CHECK(f.sent<sync_ack>(1).size() == 1);
}

TEST_CASE("a push of a peer that is gone is stored and not acknowledged") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/a", 1)});
  f.peer_down(1);
  f.peer_up(2, 2);
  f.stored();
  CHECK(f.none<send_to_peer>());
  CHECK(f.manager.committed().vector() == upto(2, 1));
}

TEST_CASE("while too much waits for the disk, pushes are dropped") {
  manager_fixture f{{.commits = {.max_waiting = 1}}};
  f.greeted_peer(1, 2);
  f.write("/a", 1);
  f.write("/b", 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/c", 3)});
  CHECK(f.effects.empty());
  CHECK_FALSE(f.read("/c"));
}

TEST_CASE("a malformed change closes its sender; what came before it in the push is kept") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.push(1, 1,
         {put({node(2), 1, 1}, "/a", 1),
          put({node(2), 1, 2}, "/b", 1, {{{node(3), 1, 2}, 5}, {{node(3), 1, 1}, 5}})});
  CHECK(f.only<close_peer>().reason.find("malformed") != std::string::npos);
  CHECK(f.only<append_batch>().what->changes == 1);
  CHECK(f.read("/a") == value{1});
  CHECK_FALSE(f.read("/b"));
}

TEST_CASE(
    "one dot for two changes is an alarm, reaches watchers, and is part of the next checkpoint") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/a", 1)});
  f.stored();
  f.settle();
  f.after([&] { f.manager.checkpoint_written(f.only<save_checkpoint>().id); });
  f.watch(7, "");
  f.push(1, 2, {put({node(2), 1, 1}, "/a", 2)});
  CHECK(f.logged("context.equivocation") == 1);
  REQUIRE(f.only<tell_watcher>().changes.size() == 1);
  CHECK(f.only<tell_watcher>().changes[0]->operation == operation::erase);
  CHECK(f.none<append_batch>());
  f.settle();
  CHECK(f.only<save_checkpoint>().state->quarantine.size() == 1);
}

TEST_CASE("a claim of what this node has not done is an alarm, and its next write stays") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/a", "forged", {{{node(1), 1, 1}, 5}})});
  CHECK(f.logged("context.identity_claimed") == 1);
  f.write("/a", "mine");
  CHECK(f.read("/a") == value{"mine"});
}

TEST_CASE("what a peer has sent and waits is dropped when its last link ends") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.greeted_peer(2, 3);
  f.push(1, 1, {put({node(4), 1, 2}, "/a", 1)});
  f.push(2, 1, {put({node(5), 1, 2}, "/a", 1)});
  REQUIRE(f.manager.engine().buffered() == 2);
  f.greeted_peer(3, 2);
  f.peer_down(1);
  CHECK(f.manager.engine().buffered() == 2);
  f.peer_down(3);
  CHECK(f.manager.engine().buffered() == 1);
}

TEST_CASE("what waited is stored in the order in which it was taken") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  // The first change waits for one of this node; the others come when it need not any more.
  f.push(1, 1, {put({node(2), 1, 1}, "/x", "claim", {{{node(1), 1, 1}, 5}})});
  f.write("/a", 1);
  f.push(1, 2, {put({node(2), 1, 2}, "/b", 2), put({node(2), 1, 3}, "/c", 3)});
  f.stored();
  std::vector<dot> stored;
  for (const auto& batch : f.only<append_batch>().what->batches)
    for (auto seq = batch->first(); seq <= batch->last(); ++seq)
      stored.push_back({batch->source().origin, batch->source().incarnation, seq});
  CHECK(stored == std::vector<dot>{{node(2), 1, 1}, {node(2), 1, 2}, {node(2), 1, 3}});
}

TEST_CASE("of a batch that repeats what is stored, only the rest is stored") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/a", 1)});
  f.stored();
  f.push(1, 2, {put({node(2), 1, 1}, "/elsewhere", "otherwise"), put({node(2), 1, 2}, "/b", 2)});
  const auto& batches = f.only<append_batch>().what->batches;
  REQUIRE(batches.size() == 1);
  CHECK(batches[0]->first() == 2);
}

TEST_CASE("what a peer sends of no use is declined to that peer alone") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  f.greeted_peer(2, 3);
  auto newer = put({node(9), 1, 1}, "/a", 1);
  newer.format = change_record::current_format + 1;
  f.push(1, 1, {newer});
  const auto lines = f.all<sync_log_line>();
  const auto refused = std::ranges::find(lines, "context.change_refused", &sync_log_line::event);
  REQUIRE(refused != lines.end());
  CHECK(std::get<std::string>(refused->fields.at(1).content) == to_string(node(2)));
  f.tick(1000);
  CHECK(f.sent<sync_heads>(1).at(0).declined == std::vector<incarnation_id>{{node(9), 1}});
  CHECK(f.sent<sync_heads>(2).at(0).declined.empty());
  f.push(2, 1, {put({node(9), 1, 1}, "/a", 1)});
  CHECK(f.read("/a") == value{1});
}

TEST_CASE("conflicts and refusals beyond a few in a second are logged as a number") {
  manager_fixture f;
  for (int i = 0; i < 15; ++i) f.write("/n/" + std::to_string(i), i, durability::memory);
  f.stored();
  f.greeted_peer(1, 2);
  std::vector<change_record> records;
  for (std::uint64_t i = 0; i < 15; ++i)
    records.push_back(put({node(2), 1, i + 1}, "/n/" + std::to_string(i), "x"));
  auto newer = put({node(2), 2, 1}, "/x", 1);
  newer.format = change_record::current_format + 1;
  for (int i = 0; i < 15; ++i) records.push_back(newer);
  f.tick();  // the second begins
  f.push(1, 1, records);
  CHECK(f.logged("context.conflict") == 10);
  CHECK(f.logged("context.change_refused") == 10);
  f.tick(1000);
  CHECK(f.logged("context.conflicts") == 1);
  CHECK(f.logged("context.changes_refused") == 1);
  f.tick(1000);
  CHECK(f.logged("context.conflicts") == 0);
}
