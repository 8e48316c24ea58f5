#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Changes of the first incarnation of a node, each of a path of its own.
std::vector<change_record> changes_at(unsigned origin, std::uint64_t first, std::uint64_t last) {
  std::vector<change_record> records;
  for (auto seq = first; seq <= last; ++seq)
    records.push_back(put({node(origin), 1, seq},
                          "/n" + std::to_string(origin) + "/" + std::to_string(seq), seq));
  return records;
}

processed_changes upto(unsigned origin, std::uint64_t last) {
  return processed_changes{version_vector{{{node(origin), 1, last}}}};
}

/// What a start saved: two entries, a base with changes 1 to 5 of node 2, and a log with 6 to 8 of
/// it, and 1 to 2 of node 3.
std::shared_ptr<const saved_parts> saved_example() {
  saved_parts saved{.entries = {}, .base = upto(2, 5), .logged = upto(2, 8)};
  saved.logged.raise({node(3), 1, 2});
  for (const auto& each : {put({node(2), 1, 1}, "/n2/1", "old"), put({node(2), 1, 2}, "/x", 2)}) {
    const auto only = sibling::of(each, content_hash(each));
    saved.entries.put(each.path, {&only, 1});
  }
  return std::make_shared<const saved_parts>(std::move(saved));
}

/// A manager of node 1 whose checkpoint was lost, and one of node 5. The test carries what they say
/// about states to each other.
struct restoring_fixture {
  manager_fixture lost, giver{{}, false, 5};

  explicit restoring_fixture(std::shared_ptr<const saved_parts> saved = saved_example())
      : lost{{.checkpoint_every = 1, .log_base = saved->base, .saved = saved}} {}

  /// Node 5 has the first changes of node 2.
  void give(std::uint64_t last) {
    giver.greeted_peer(7, 6);
    giver.push(7, 1, changes_at(2, 1, last));
    giver.stored();
  }
  void connect() {
    lost.greeted_peer(1, 5);
    giver.greeted_peer(1, 1);
  }
  /// Carries the questions of `lost` and the answers until there are no more.
  void carry() {
    for (auto asked = lost.sent<sync_range>(1); !asked.empty(); asked = lost.sent<sync_range>(1)) {
      giver.hear(1, asked.back());
      const auto said = giver.sent<sync_state>(1);
      if (said.empty()) return;
      lost.hear(1, said.back());
    }
  }
  /// Takes the state of node 5, and stores it.
  void take_state() {
    lost.tick();
    REQUIRE(lost.sent<sync_range>(1).size() == 1);
    carry();
    REQUIRE(lost.logged("context.state_joined") == 1);
    REQUIRE(lost.only<append_batch>().what->adopted);
    lost.stored();
  }
  void log_read(std::vector<change_record> records) {
    lost.after([&] { lost.manager.own_log_read(make_batches(records)); });
  }
  bool is_restored() const { return !lost.manager.refusal_to_read(false); }
};

}  // namespace

// -- before ---------------------------------------------------------------------------------------

TEST_CASE("a replica without its state refuses writes and reads, and says why") {
  restoring_fixture f;
  f.lost.write("/a", 1);
  const auto refused = f.lost.only<answer_write>().outcome;
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::unavailable);
  CHECK(refused.error().message.find("takes no writes") != std::string::npos);
  f.lost.write("/a", 1, durability::memory);
  CHECK_FALSE(f.lost.only<answer_write>().outcome);
  CHECK(f.lost.none<append_batch>());
  const auto unread = f.lost.manager.refusal_to_read(false);
  REQUIRE(unread);
  CHECK(unread->code == error_code::unavailable);
  const auto problems = f.lost.manager.problems();
  REQUIRE_FALSE(problems.empty());
  CHECK(problems.back().find("2 of its entries") != std::string::npos);
}

TEST_CASE("a replica without its state says so in its heads") {
  restoring_fixture f;
  f.give(2);
  f.connect();
  f.lost.tick(1000);
  REQUIRE_FALSE(f.lost.sent<sync_heads>(1).empty());
  CHECK(f.lost.sent<sync_heads>(1).back().restoring);
  f.giver.tick(1000);
  CHECK_FALSE(f.giver.sent<sync_heads>(1).back().restoring);
}

TEST_CASE("a peer that does not give its state is not asked for ever") {
  restoring_fixture f;
  f.lost.greeted_peer(1, 5);
  f.lost.greeted_peer(2, 6);
  f.lost.tick();
  REQUIRE(f.lost.sent<sync_range>(1).size() == 1);
  CHECK(f.lost.sent<sync_range>(2).empty());
  std::size_t asked_of_other = 0;
  for (int second = 0; second < 65; ++second) {
    f.lost.tick(1000);
    asked_of_other += f.lost.sent<sync_range>(2).size();
  }
  CHECK(asked_of_other == 1);
}

TEST_CASE("who asks for what could be saved reads the entries, before and after a state has come") {
  restoring_fixture f;
  const auto check_saved = [&] {
    CHECK_FALSE(f.lost.manager.refusal_to_read(true));
    CHECK(f.lost.read("/n2/1") == value{"old"});
    CHECK(f.lost.read("/x") == value{2});
    CHECK_FALSE(f.lost.read("/n2/3"));
    CHECK(f.lost.manager.list({.prefix = path{"/n2"}})->entries.size() == 1);
    CHECK(f.lost.manager.begin_long_read()->tree.size() == 2);
    f.lost.manager.end_long_read();
  };
  check_saved();
  f.give(5);
  f.connect();
  f.take_state();
  REQUIRE_FALSE(f.is_restored());
  check_saved();
}

TEST_CASE("a replica without its state announces nothing, and does not join") {
  manager_fixture f{{.log_base = upto(2, 5), .saved = saved_example()}, true};
  f.peer_up(1, 4);
  const auto hellos = f.sent<sync_hello>(1);
  REQUIRE(hellos.size() == 1);
  CHECK(hellos[0].vector == version_vector{});
  f.hear(1, f.hello(4));
  CHECK(f.none<append_batch>());
  f.tick(1000);
  CHECK(f.none<append_batch>());
  CHECK(f.none<collect_log>());
  CHECK(f.manager.committed() == processed_changes{});
  CHECK(f.manager.log_base() == processed_changes{});
}

TEST_CASE("a settle is answered at once, and there is no checkpoint of what is not whole") {
  restoring_fixture f;
  const auto request = f.lost.settle();
  const auto answer = f.lost.only<answer_settle>();
  CHECK(answer.request == request);
  CHECK(answer.outcome);
  f.lost.greeted_peer(1, 4);
  f.lost.push(1, 1, changes_at(2, 1, 3));
  f.lost.stored();
  f.lost.tick(1000);
  CHECK(f.lost.none<save_checkpoint>());
}

// -- the state of a peer --------------------------------------------------------------------------

TEST_CASE("the state of a peer is taken though its log could give all changes") {
  restoring_fixture f;
  f.give(6);
  REQUIRE(f.giver.manager.log_base() == processed_changes{});
  f.connect();
  f.take_state();
  CHECK(f.lost.manager.engine().processed() == upto(2, 6));
  CHECK(f.lost.manager.committed() == upto(2, 6));
  CHECK_FALSE(f.is_restored());
}

TEST_CASE("a state that lacks a part of the base of the log is not taken") {
  restoring_fixture f;
  f.give(4);
  f.connect();
  f.lost.tick();
  f.carry();
  CHECK(f.lost.logged("context.state_refused") == 1);
  CHECK(f.lost.none<append_batch>());
  CHECK(f.lost.manager.engine().processed() == processed_changes{});
  f.lost.tick();
  CHECK(f.lost.none<read_own_log>());
  CHECK(f.lost.sent<sync_range>(1).empty());  // not again at once
  CHECK_FALSE(f.is_restored());
}

TEST_CASE("where the base is a guess, the state of a node that was a member has to come") {
  auto saved = *saved_example();
  saved.base = {};
  saved.knows_base = false;
  saved.logged = {};
  unsigned member = 0;
  SUBCASE("it was one") { member = 5; }
  SUBCASE("another one was") { member = 9; }
  SUBCASE("no member can be read") {}
  if (member > 0) {
    const auto joined = put({node(member), 1, 1}, members::place_of(node(member)).text(), 1);
    const auto only = sibling::of(joined, content_hash(joined));
    saved.entries.put(joined.path, {&only, 1});
  }
  restoring_fixture f{std::make_shared<const saved_parts>(saved)};
  f.lost.tick();
  CHECK(f.lost.none<append_batch>());
  f.give(3);
  f.connect();
  f.lost.tick();
  CHECK(f.lost.sent<sync_range>(1).size() == (member == 9 ? 0 : 1));
  CHECK(f.lost.none<append_batch>());
}

// -- what the own log adds ------------------------------------------------------------------------

TEST_CASE("the own log adds what the peer lacks, all is stored, and the replica is as any other") {
  restoring_fixture f;
  f.lost.watch(5, "/");
  f.give(6);
  f.connect();
  f.take_state();
  f.lost.tick();
  const auto wanted = f.lost.only<read_own_log>().wanted.wanted;
  REQUIRE(wanted.size() == 2);
  CHECK(wanted[0].first == dot{node(2), 1, 7});
  CHECK(wanted[0].last == dot{node(2), 1, 8});
  CHECK(wanted[1].first == dot{node(3), 1, 1});
  CHECK(wanted[1].last == dot{node(3), 1, 2});
  f.lost.tick();
  CHECK(f.lost.none<read_own_log>());  // one is under way

  auto rest = changes_at(2, 7, 8);
  for (const auto& each : changes_at(3, 1, 2)) rest.push_back(each);
  f.log_read(rest);
  CHECK(f.lost.only<append_batch>().what->batches.size() == 2);
  f.lost.stored();
  f.lost.tick();
  CHECK(f.lost.logged("context.state_rebuilt") == 1);
  const auto commit = f.lost.only<append_batch>().what;
  REQUIRE(commit->adopted);
  CHECK(commit->adopted->foreign == upto(2, 5));
  CHECK(commit->adopted->state.tree.size() == 10);
  CHECK_FALSE(f.is_restored());
  f.lost.tick();
  CHECK(f.lost.logged("context.state_rebuilt") == 0);

  f.lost.refused();
  CHECK_FALSE(f.is_restored());
  f.lost.tick();
  CHECK(f.lost.only<append_batch>().what->adopted == commit->adopted);
  f.lost.stored();
  CHECK(f.lost.logged("context.restored") == 1);
  CHECK(f.lost.all<save_checkpoint>().size() == 1);
  CHECK(f.is_restored());
  CHECK(f.lost.manager.problems().empty());
  CHECK(f.lost.read("/n2/1") == value{1});
  CHECK_FALSE(f.lost.read("/x"));
  CHECK(f.lost.manager.log_base() == upto(2, 6));  // the state of the peer had more
  f.lost.write("/a", 1);
  f.lost.stored();
  CHECK(f.lost.only<answer_write>().outcome);
}

TEST_CASE("nothing of the log is read when the peer has all of it") {
  auto saved = *saved_example();
  saved.logged = upto(2, 8);
  restoring_fixture f{std::make_shared<const saved_parts>(saved)};
  f.give(9);
  f.connect();
  f.take_state();
  f.lost.tick();
  CHECK(f.lost.none<read_own_log>());
  CHECK(f.lost.only<append_batch>().what->adopted);
  f.lost.stored();
  CHECK(f.is_restored());
  CHECK(f.lost.manager.engine().processed() == upto(2, 9));
}

TEST_CASE("a log that cannot be read is read again later, and nothing of it is given up") {
  restoring_fixture f;
  f.give(6);
  f.connect();
  f.take_state();
  f.lost.tick();
  REQUIRE(f.lost.all<read_own_log>().size() == 1);
  f.lost.after(
      [&] { f.lost.manager.own_log_read(fail(error_code::storage_failure, "it takes too long")); });
  CHECK(f.lost.logged("context.log_unreadable") == 1);
  f.lost.tick(4999);
  CHECK(f.lost.none<append_batch>());
  CHECK(f.lost.none<read_own_log>());
  f.lost.tick(1);
  CHECK(f.lost.none<append_batch>());
  CHECK(f.lost.only<read_own_log>().wanted.wanted[0].first == dot{node(2), 1, 7});
}

TEST_CASE("a log that adds nothing more ends the restoration") {
  restoring_fixture f;
  f.give(6);
  f.connect();
  f.take_state();
  f.lost.tick();
  REQUIRE(f.lost.all<read_own_log>().size() == 1);
  SUBCASE("it has nothing of what is lacking") { f.log_read({}); }
  SUBCASE("what it has waits for what is lost") {
    f.log_read({put({node(3), 1, 1}, "/w", 1, {{{node(4), 1, 9}, 17}})});
    CHECK(f.lost.none<append_batch>());
    // The other incarnations are read all the same.
    f.lost.tick();
    const auto wanted = f.lost.only<read_own_log>().wanted.wanted;
    REQUIRE(wanted.size() == 1);
    CHECK(wanted[0].first.origin == node(2));
    f.log_read({});
  }
  SUBCASE("it comes in parts, the last of which are missing") {
    f.log_read(changes_at(2, 7, 7));
    f.lost.stored();
    f.lost.tick();
    CHECK(f.lost.only<read_own_log>().wanted.wanted[0].first == dot{node(2), 1, 8});
    f.log_read({});
  }
  f.lost.tick();
  REQUIRE(f.lost.only<append_batch>().what->adopted);
  f.lost.stored();
  CHECK(f.is_restored());
  f.lost.write("/a", 1);
  CHECK(f.lost.all<append_batch>().size() == 1);
}
