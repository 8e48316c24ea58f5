// What a sync manager does with writes, reads and the disk.

#include <set>

#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- writes ---------------------------------------------------------------------------------------

TEST_CASE("a durable write is appended, and answered when it is stored") {
  manager_fixture f;
  const auto request = f.write("/a", 1);
  CHECK(f.only<append_batch>().what->changes == 1);
  CHECK(f.none<answer_write>());
  CHECK(f.read("/a") == value{1});
  f.stored();
  const auto answer = f.only<answer_write>();
  CHECK(answer.request == request);
  REQUIRE(answer.outcome);
  CHECK(answer.outcome->ids.size() == 1);
  CHECK(f.manager.committed().at({node(1), 1}) == 1);
}

TEST_CASE("a write to memory is answered at once and appended all the same") {
  manager_fixture f;
  f.write("/a", 1, durability::memory);
  CHECK(f.only<answer_write>().outcome);
  CHECK(f.only<append_batch>().what->changes == 1);
  f.stored();
  CHECK(f.none<answer_write>());
}

TEST_CASE("one batch is under way; what comes meanwhile is the next, and answered with it") {
  manager_fixture f;
  f.write("/a", 1);
  const auto b = f.write("/b", 2);
  CHECK(f.effects.empty());
  f.write("/c", 3);
  CHECK(f.effects.empty());
  f.stored();
  CHECK(f.all<answer_write>().size() == 1);
  CHECK(f.only<append_batch>().what->changes == 2);
  f.stored();
  REQUIRE(f.all<answer_write>().size() == 2);
  CHECK(f.all<answer_write>()[0].request == b);
  CHECK(f.none<append_batch>());
}

TEST_CASE("a refusal of the disk ends waiting writes, and is tried again at the next tick") {
  manager_fixture f;
  f.write("/a", 1);
  f.write("/b", 2);
  f.refused();
  REQUIRE(f.all<answer_write>().size() == 2);
  for (const auto& each : f.all<answer_write>()) {
    REQUIRE_FALSE(each.outcome);
    CHECK(each.outcome.error().code == error_code::storage_failure);
    CHECK(each.outcome.error().message.find("the disk is full") != std::string::npos);
  }
  CHECK(f.logged("context.disk_refused") == 1);
  CHECK(f.none<append_batch>());
  f.tick();
  CHECK(f.only<append_batch>().what->changes == 2);
  f.refused();
  CHECK(f.logged("context.disk_refused") == 0);
}

TEST_CASE(
    "while the disk refuses, writes are refused and make nothing; then they are taken again") {
  manager_fixture f;
  f.write("/a", 1);
  f.refused();
  f.write("/b", 2, durability::memory);
  CHECK(f.only<answer_write>().outcome.error().code == error_code::storage_failure);
  CHECK_FALSE(f.read("/b"));
  CHECK(f.read("/a") == value{1});
  f.tick();
  f.stored();
  CHECK(f.logged("context.disk_recovered") == 1);
  f.write("/b", 2, durability::memory);
  CHECK(f.only<answer_write>().outcome);
}

TEST_CASE("with too many changes waiting for the disk a write is refused as overloaded") {
  manager_fixture f{{.commits = {.max_waiting = 2}}};
  for (int i = 0; i < 3; ++i) f.write("/n/" + std::to_string(i), i);  // one is under way
  f.write("/more", 1);
  CHECK(f.only<answer_write>().outcome.error().code == error_code::overloaded);
  f.stored();
  f.write("/more", 1);
  CHECK(f.none<answer_write>());
}

TEST_CASE("a write that the engine refuses is answered with the refusal, and nothing is appended") {
  manager_fixture f;
  f.write("/_sys/x", 1);
  CHECK(f.only<answer_write>().outcome.error().code == error_code::permission_denied);
  CHECK(f.none<append_batch>());
  f.write({.entries = {{path{"/a"}, {}}}, .what = operation::erase});
  CHECK(f.only<answer_write>().outcome.error().code == error_code::not_found);
}

TEST_CASE("of many entries all are written or none, and they are stored together") {
  manager_fixture f{{.commits = {.max_batch = 2}}};
  f.write({.entries = {{path{"/a"}, 1}, {path{"/_sys/x"}, 2}}});
  CHECK(f.only<answer_write>().outcome.error().message.find("entry 2 of 2, /_sys/x: ") == 0);
  CHECK_FALSE(f.read("/a"));
  f.write({.entries = {{path{"/a"}, 1}, {path{"/b"}, 2}, {path{"/c"}, 3}}});
  CHECK(f.only<append_batch>().what->changes == 3);
}

TEST_CASE("an erasure among many that finds nothing ends the write, and nothing is erased") {
  manager_fixture f;
  f.write("/a", 1, durability::memory);
  f.stored();
  f.write({.entries = {{path{"/a"}, {}}, {path{"/b"}, {}}}, .what = operation::erase});
  CHECK(f.only<answer_write>().outcome.error().code == error_code::not_found);
  CHECK(f.only<answer_write>().outcome.error().message.find("entry 2 of 2, '/b': ") == 0);
  CHECK(f.none<append_batch>());
  CHECK(f.read("/a") == value{1});
}

TEST_CASE(
    "unchanged entries are skipped when asked for, and nothing to store is answered at once") {
  manager_fixture f;
  f.write("/a", 1, durability::memory);
  f.stored();
  f.write({.entries = {{path{"/a"}, 1}}, .skip_unchanged = true});
  CHECK(f.only<answer_write>().outcome->unchanged == 1);
  CHECK(f.none<append_batch>());
}

TEST_CASE("entries are checked without being written when asked for") {
  manager_fixture f;
  f.write({.entries = {{path{"/a"}, 1}}, .only_check = true});
  CHECK(f.only<answer_write>().outcome->ids.empty());
  CHECK_FALSE(f.read("/a"));
  f.write({.entries = {{path{"/_sys/a"}, 1}}, .only_check = true});
  CHECK(f.only<answer_write>().outcome.error().code == error_code::permission_denied);
}

TEST_CASE("effects are handed out in two lists that take turns and keep their memory") {
  manager_fixture f;
  std::set<const sync_effect*> lists;
  const auto write_and_store = [&](int given) {
    f.write("/a", given, durability::memory);
    lists.insert(f.effects.data());
    f.stored();
    f.write("/a", given, durability::memory);
    lists.insert(f.effects.data());
    f.stored();
  };
  for (int i = 0; i < 3; ++i) write_and_store(i);
  const auto before = lists;
  CHECK(before.size() <= 4);
  for (int i = 0; i < 20; ++i) write_and_store(i);
  CHECK(lists == before);
}

// -- checkpoints and settling ---------------------------------------------------------------------

TEST_CASE("a checkpoint is due after N changes, and written when the log has its state") {
  manager_fixture f{{.checkpoint_every = 2}};
  f.write("/a", 1);
  f.write("/b", 2);
  f.stored();
  CHECK(f.none<save_checkpoint>());
  f.write("/c", 3);  // waits behind /b
  f.stored();
  CHECK(f.none<save_checkpoint>());  // /c is in the state and not in the log
  f.stored();
  const auto save = f.only<save_checkpoint>();
  CHECK(save.state->tree.size() == 3);
  f.after([&] { f.manager.checkpoint_written(save.id); });
  CHECK(f.effects.empty());
}

TEST_CASE("a due checkpoint that fails is logged, and due again after as many changes") {
  manager_fixture f{{.checkpoint_every = 1}};
  f.write("/a", 1);
  f.stored();
  const auto save = f.only<save_checkpoint>();
  f.write("/b", 1);
  f.stored();
  CHECK(f.none<save_checkpoint>());  // one is under way
  f.after([&] {
    f.manager.checkpoint_failed(save.id, {error_code::storage_failure, "no room", {}});
  });
  CHECK(f.logged("context.checkpoint_failed") == 1);
  f.tick();
  CHECK(f.only<save_checkpoint>().state->tree.size() == 2);
}

TEST_CASE("changes that the start replayed count for the first checkpoint") {
  manager_fixture f{{.checkpoint_every = 10, .replayed = 10}};
  f.tick();
  CHECK(f.only<save_checkpoint>().state->tree.size() == 0);
  f.tick();
  CHECK(f.none<save_checkpoint>());
}

TEST_CASE("settling is answered when everything is stored and in a checkpoint") {
  manager_fixture f;
  f.write("/a", 1, durability::memory);
  const auto request = f.settle();
  CHECK(f.none<save_checkpoint>());
  f.stored();
  const auto save = f.only<save_checkpoint>();
  CHECK(f.none<answer_settle>());
  f.after([&] { f.manager.checkpoint_written(save.id); });
  CHECK(f.only<answer_settle>().request == request);
  CHECK(f.only<answer_settle>().outcome);
  f.settle();
  CHECK(f.only<answer_settle>().outcome);  // nothing has changed since
  CHECK(f.none<save_checkpoint>());
}

TEST_CASE("settling fails with what the disk has not taken, and needs no checkpoint otherwise") {
  manager_fixture f;
  f.write("/a", 1, durability::memory);
  f.write("/b", 1, durability::memory);
  f.settle();
  f.refused();
  CHECK(f.only<answer_settle>().outcome.error().message ==
        "2 changes are not on the disk, and not acknowledged as durable: the disk is full");
  f.settle();
  f.stored();
  const auto save = f.only<save_checkpoint>();
  f.after([&] {
    f.manager.checkpoint_failed(save.id, {error_code::storage_failure, "no room", {}});
  });
  CHECK(f.only<answer_settle>().outcome);  // the next start replays the log
  // What was written after it was asked is not its business.
  f.settle();
  const auto second = f.only<save_checkpoint>();
  f.write("/c", 1);
  f.after([&] {
    f.manager.checkpoint_failed(second.id, {error_code::storage_failure, "no room", {}});
  });
  CHECK(f.only<answer_settle>().outcome);
  CHECK(f.logged("context.checkpoint_failed") == 1);
}

// -- conditions -----------------------------------------------------------------------------------

TEST_CASE("a write on the condition of a version is taken only while the path has that version") {
  manager_fixture f;
  const auto version = [&](std::string_view where) {
    return *f.manager.find({path{where}, true}).version;
  };
  const auto write_if = [&](std::string_view where, value given, std::string_view condition,
                            const value_version& expected, operation what = operation::put) {
    f.write({.entries = {{path{where}, std::move(given)}},
             .what = what,
             .durability = durability::memory,
             .expected = {{path{condition}, expected}}});
    return f.only<answer_write>().outcome;
  };
  const auto none = version("/a");
  CHECK(none == value_version{});
  CHECK(write_if("/a", 1, "/a", none));
  const auto first = version("/a");
  const auto refused = write_if("/a", 2, "/a", none);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::failed_precondition);
  CHECK(refused.error().message.find("'/a' does not have version 0000") == 0);
  CHECK(f.none<append_batch>());
  CHECK(f.read("/a") == value{1});
  // The condition may be about another path. The same value again is another version.
  CHECK(write_if("/b", 1, "/a", first));
  CHECK(write_if("/a", 1, "/a", first));
  CHECK_FALSE(write_if("/a", {}, "/a", first, operation::erase));
  CHECK(write_if("/a", {}, "/a", version("/a"), operation::erase));
  // Where nothing is, the version is the same whether there has been something or not: the erasure
  // may have been collected.
  CHECK(version("/a") == none);
  CHECK_FALSE(write_if("/a", 3, "/a", first));
  CHECK(write_if("/a", 3, "/a", none));
}

TEST_CASE("of a write with several conditions nothing is written when one does not hold") {
  manager_fixture f;
  f.write("/a", 1, durability::memory);
  f.write({.entries = {{path{"/b"}, 1}, {path{"/c"}, 1}},
           .durability = durability::memory,
           .expected = {{path{"/b"}, {}}, {path{"/a"}, {}}}});
  CHECK(f.only<answer_write>().outcome.error().message.find("'/a'") == 0);
  CHECK_FALSE(f.read("/b"));
}

TEST_CASE("a write that is not permitted is refused for that, whatever its condition") {
  manager_fixture f;
  f.write({.entries = {{path{"/_sys/x"}, 1}}, .expected = {{path{"/_sys/x"}, {{1, 1}}}}});
  CHECK(f.only<answer_write>().outcome.error().code == error_code::permission_denied);
}

TEST_CASE("replicas with the same writes of a path agree on its version") {
  manager_fixture f;
  f.greeted_peer(1, 2);
  const auto mine = put({node(2), 1, 1}, "/a", "mine"),
             theirs = put({node(3), 1, 1}, "/a", "theirs");
  f.push(1, 1, {mine, theirs});
  context_engine other{node(7), 1};
  for (const auto& each : {theirs, mine})
    REQUIRE(other.apply(each, noon).status == apply_status::applied);
  CHECK(f.manager.engine().version(path{"/a"}) == other.version(path{"/a"}));
  CHECK(other.version(path{"/b"}) == value_version{});
}

// -- reads ----------------------------------------------------------------------------------------

TEST_CASE("values are found, explained and listed as they are now") {
  manager_fixture f;
  f.write("/a/x", 1);
  f.write("/a/y", 2);
  CHECK(f.manager.find({path{"/a/x"}}) == value_found{true, 1, {}});
  CHECK_FALSE(f.manager.find({path{"/b"}}).found);
  CHECK(f.manager.explain(path{"/a/x"}).writes.size() == 1);
  const auto page = f.manager.list({.prefix = path{"/a"}});
  REQUIRE(page);
  CHECK(page->entries.size() == 2);
}

TEST_CASE("few long reads run at once; the next is overloaded until one ends") {
  manager_fixture f{{.max_long_reads = 2}};
  f.write("/a", 1);
  CHECK(f.manager.begin_long_read()->tree.size() == 1);
  CHECK(f.manager.begin_long_read());
  CHECK(f.manager.begin_long_read().error().code == error_code::overloaded);
  f.manager.end_long_read();
  CHECK(f.manager.begin_long_read());
}

// -- watchers -------------------------------------------------------------------------------------

TEST_CASE("watchers get each change below their path, before it is stored") {
  manager_fixture f;
  f.watch(1, "/a");
  f.watch(2, "/b");
  f.write("/a/x", 1);
  const auto told = f.only<tell_watcher>();
  CHECK(told.watcher == watcher_id{1});
  REQUIRE(told.changes.size() == 1);
  CHECK(told.changes[0]->path == path{"/a/x"});
  CHECK(told.changes[0]->new_value == value{1});
  f.write({.entries = {{path{"/a/x"}, 2}, {path{"/a/y"}, 3}, {path{"/c"}, 4}}});
  REQUIRE(f.only<tell_watcher>().changes.size() == 2);
  CHECK(f.only<tell_watcher>().changes[0]->previous_value == value{1});
  f.stored();
  CHECK(f.none<tell_watcher>());
}

TEST_CASE("a watcher that is gone gets nothing") {
  manager_fixture f;
  f.watch(1, "");
  f.after([&] { f.manager.unwatch(watcher_id{1}); });
  f.write("/a", 1);
  CHECK(f.none<tell_watcher>());
}

TEST_CASE("a watcher too many is ended, and said so in the log") {
  manager_fixture f{{.watches = {.max_watchers = 1}}};
  f.watch(1, "");
  CHECK(f.effects.empty());
  f.watch(2, "");
  CHECK(f.only<end_watcher>().watcher == watcher_id{2});
  CHECK(f.only<end_watcher>().reason.code == error_code::overloaded);
  CHECK(f.logged("context.watch_refused") == 1);
}

TEST_CASE(
    "a watcher that does not answer is ended when it is too far behind; one that does is not") {
  manager_fixture f{{.watches = {.max_unanswered = 2}}};
  f.watch(1, "");
  for (int i = 0; i < 2; ++i) f.write("/a", i);
  f.after([&] { f.manager.watcher_answered(watcher_id{1}, 2); });
  for (int i = 0; i < 2; ++i) {
    f.write("/a", i);
    CHECK(f.all<tell_watcher>().size() == 1);
  }
  f.write("/a", 5);
  CHECK(f.none<tell_watcher>());
  CHECK(f.only<end_watcher>().watcher == watcher_id{1});
  CHECK(f.logged("context.watch_ended") == 1);
  f.write("/a", 6);
  CHECK(f.none<end_watcher>());
}
