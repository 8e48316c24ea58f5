#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Two managers, of which the test carries what they say about states to each other.
struct two_managers {
  manager_fixture taker{{.keep_transfer_at = 1}}, giver{{}, false, 2};
  std::vector<binary> file;  ///< What the taker has kept for its next start.
  result<void> disk;         ///< What becomes of that.
  std::size_t not_kept = 0;  ///< How often the log says that it is not kept.

  two_managers() {
    taker.greeted_peer(1, 2);
    giver.greeted_peer(1, 1);
  }
  /// Makes values at the giver and stores them.
  void fill(int count) {
    write_values all{.entries = {}};
    for (int i = 0; i < count; ++i) all.entries.push_back({path{"/v/" + std::to_string(i)}, i});
    giver.write(std::move(all));
    giver.stored();
  }
  /// The giver says twice that its log lacks all that it has.
  void heads() {
    sync_heads said{
        giver.manager.committed().vector(), giver.manager.engine().root_hash(), 0, {}, {}};
    said.base = said.vector;
    taker.hear(1, said);
    taker.tick(1000);
    taker.tick(1000);
  }
  /// Carries questions and answers until there are no more. @returns how many answers there were.
  std::size_t carry(std::size_t most = 1000) {
    std::size_t answers = 0;
    for (auto asked = taker.sent<sync_range>(1); !asked.empty() && answers < most;
         asked = taker.sent<sync_range>(1)) {
      giver.hear(1, asked.back());
      const auto said = giver.sent<sync_state>(1);
      if (said.empty()) break;
      ++answers;
      taker.hear(1, said.back());
      not_kept += taker.logged("context.transfer_not_kept");
      keep(taker.all<keep_transfer>());
    }
    return answers;
  }

private:
  /// Does what the taker wants of its disk. Its effects stay those of the event before.
  void keep(const std::vector<keep_transfer>& wanted) {
    for (const auto& [part] : wanted) {
      if (disk && part.begins_anew) file.clear();
      if (disk) file.insert(file.end(), part.frames.begin(), part.frames.end());
      taker.manager.transfer_kept(disk);
    }
  }
};

}  // namespace

TEST_CASE("a replica that the log cannot help takes the whole state, and has it stored") {
  two_managers f;
  f.fill(2000);
  f.taker.write("/mine", 7);
  f.taker.stored();
  f.taker.watch(5, "/v");
  f.heads();
  REQUIRE(f.taker.sent<sync_range>(1).size() == 1);
  CHECK(f.carry() > 2);
  CHECK(f.taker.logged("context.state_joined") == 1);
  CHECK(f.taker.only<tell_watcher>().changes.size() == 2000);
  CHECK(f.taker.read("/v/1999") == value{1999});
  CHECK(f.taker.read("/mine") == value{7});
  const auto commit = f.taker.only<append_batch>().what;
  REQUIRE(commit->adopted);
  CHECK(commit->batches.empty());
  CHECK(commit->adopted->state.tree.size() == 2001);
  CHECK(commit->adopted->foreign == f.giver.manager.committed());
  // Nothing is claimed before it is stored.
  CHECK_FALSE(f.taker.manager.committed().covers(f.giver.manager.committed().vector()));
  f.taker.refused();
  CHECK(f.taker.manager.log_base().vector().entries().empty());
  f.taker.tick();
  f.taker.stored();
  CHECK(f.taker.manager.committed().covers(f.giver.manager.committed().vector()));
  CHECK(f.taker.manager.log_base() == f.giver.manager.committed());
  // Nothing is wanted any more.
  f.heads();
  CHECK(f.taker.sent<sync_range>(1).empty());
}

TEST_CASE("a state is offered once it is on the disk, and until it is not needed") {
  two_managers f;
  f.fill(3);
  f.giver.write("/late", 1);
  f.giver.hear(1, sync_range{4, 1, {}});
  CHECK(f.giver.sent<sync_state>(1).empty());
  f.giver.hear(1, sync_range{4, 2, {}});
  f.giver.stored();
  const auto offer = f.giver.sent<sync_state>(1);
  REQUIRE(offer.size() == 1);
  CHECK(offer[0].ask == 2);
  CHECK(offer[0].parts.at(0).count == 4);
  f.giver.write("/later", 1);
  f.giver.stored();
  f.giver.hear(1, sync_range{4, 3, {{"", "", 0, {}}}});
  CHECK(f.giver.sent<sync_state>(1).at(0).whole.at(0).count == 4);  // as it was offered
  f.giver.hear(1, sync_range{4, 4, {}, true});
  CHECK(f.giver.effects.empty());
  f.giver.hear(1, sync_range{4, 5, {}});
  CHECK(f.giver.sent<sync_state>(1).at(0).parts.at(0).count == 5);
  f.giver.hear(1, sync_range{4, 6, {{"x", "", 0, {}}}});
  CHECK(f.giver.only<close_peer>().reason.find("no range of paths") != std::string::npos);
}

TEST_CASE("a question without an answer is asked again, and what has come is used again") {
  two_managers f;
  f.fill(8000);
  f.heads();
  f.carry(2);
  const auto asked = f.taker.sent<sync_range>(1).at(0);
  f.taker.tick(state_transfers::ask_again_ms + 1);
  CHECK(f.taker.sent<sync_range>(1).at(0) == asked);
  f.taker.peer_down(1);
  f.taker.greeted_peer(1, 2);
  f.heads();
  CHECK(f.carry() > 0);
  CHECK(f.taker.logged("context.state_joined") == 1);
  CHECK(f.taker.manager.engine().values() == 8000);
}

TEST_CASE("a transfer goes on with what an earlier life of the node has kept") {
  two_managers before, after;
  before.fill(8000);
  before.heads();
  before.carry(2);
  kept_transfer kept{after.taker.manager.engine().tree(), 0, 1};
  for (const auto& [frame] : before.file) CHECK(kept.add(frame));
  const auto found = kept.entries;
  REQUIRE(found > 1000);
  after.taker.after([&] { after.taker.manager.transfer_found(std::move(kept)); });
  CHECK(after.taker.logged("context.transfer_found") == 1);
  after.fill(8000);
  after.heads();
  after.carry();
  CHECK(after.taker.manager.engine().values() == 8000);
  const auto lines = after.taker.all<sync_log_line>();
  const auto joined = std::ranges::find(lines, "context.state_joined", &sync_log_line::event);
  REQUIRE(joined != lines.end());
  const auto came = std::get<std::uint64_t>(joined->fields.at(1).content);
  CHECK(came >= 8000 - found);
  CHECK(came <= 8000 - found + state_offer::few_entries);  // a range that was known in part
}

TEST_CASE("a state is asked for when it is known what an earlier life has kept") {
  manager_fixture f{{}, false, 1, false};
  f.after([] {});
  CHECK(f.all<find_transfer>().size() == 1);
  f.greeted_peer(1, 2);
  sync_heads said{version_vector{{{node(2), 1, 5}}}, {}, 0, {}, {}};
  said.base = said.vector;
  const auto asks = [&] {
    std::size_t count = 0;
    f.hear(1, said);
    for (int i = 0; i < 10; ++i) {
      f.tick(1000);
      count += f.sent<sync_range>(1).size();
    }
    return count;
  };
  CHECK(asks() == 0);
  f.after([&] { f.manager.transfer_found(fail(error_code::storage_failure, "it is gone")); });
  CHECK(f.logged("context.transfer_not_found") == 1);
  CHECK(f.only<keep_transfer>().part.begins_anew);  // what cannot be read goes
  CHECK(asks() == 1);
}

TEST_CASE("the file of a transfer goes when the state is stored, and not before") {
  two_managers f;
  f.fill(2000);
  f.heads();
  f.carry();
  CHECK(f.taker.logged("context.state_joined") == 1);
  CHECK_FALSE(f.file.empty());
  for (const auto& [part] : f.taker.all<keep_transfer>())
    CHECK_FALSE(part.begins_anew);  // a crash now would need it
  f.taker.stored();
  CHECK(f.taker.only<keep_transfer>().part.begins_anew);
  CHECK(f.taker.only<keep_transfer>().part.frames.empty());
}

TEST_CASE("a disk that refuses a commit gets the room of the file back") {
  two_managers f;
  f.fill(2000);
  f.heads();
  f.carry();
  f.taker.refused();
  CHECK(f.taker.only<keep_transfer>().part.begins_anew);
}

TEST_CASE("a disk that refuses what has come of a state is said once, and the transfer goes on") {
  two_managers f;
  f.fill(8000);
  f.heads();
  f.disk = fail(error_code::storage_failure, "the disk is full");
  CHECK(f.carry() > 3);
  CHECK(f.taker.manager.engine().values() == 8000);
  CHECK(f.not_kept == 1);
  CHECK(f.file.empty());
}

TEST_CASE("a peer whose state breaks the rules loses its link") {
  two_managers f;
  f.fill(3);
  f.heads();
  const auto asked = f.taker.sent<sync_range>(1).at(0);
  f.taker.hear(1, sync_state{asked.transfer, asked.ask, {"x"}, {}, {}, {}});
  CHECK(f.taker.only<close_peer>().reason.find("sync.state breaks the rules") != std::string::npos);
  CHECK(f.taker.read("/v/1") == std::nullopt);
}

TEST_CASE("replicas that should be equal are compared, and what differs is named once") {
  two_managers f;
  f.fill(300);
  f.heads();
  f.carry();
  f.taker.stored();
  // The same changes, and another tree.
  auto forged = put({node(7), 1, 1}, "/v/17", 1);
  f.taker.push(1, 1, {forged});
  f.taker.stored();
  forged.path = path{"/v/18"};
  f.giver.push(1, 1, {forged});
  f.giver.stored();
  REQUIRE(f.taker.manager.engine().vector() == f.giver.manager.engine().vector());
  sync_heads said{
      f.giver.manager.committed().vector(), f.giver.manager.engine().root_hash(), 0, {}, {}};
  f.taker.hear(1, said);
  CHECK(f.taker.logged("context.roots_differ") == 0);
  SUBCASE("a state that has what is not here yet says nothing") {
    const auto asked = f.taker.sent<sync_range>(1).back();
    f.giver.write("/later", 1);
    f.giver.stored();
    f.giver.hear(1, asked);
    f.taker.hear(1, f.giver.sent<sync_state>(1).back());
    f.carry();
    CHECK(f.taker.logged("context.roots_differ") == 0);
    return;
  }
  SUBCASE("writes go on meanwhile") {
    const auto asked = f.taker.sent<sync_range>(1).back();
    f.taker.write("/v/17", 2);
    f.giver.hear(1, asked);
    f.taker.hear(1, f.giver.sent<sync_state>(1).back());
  }
  f.carry();
  CHECK(f.taker.logged("context.roots_differ") == 1);
  const auto lines = f.taker.all<sync_log_line>();
  CHECK(std::get<foreign_text>(lines.back().fields.back().content).text.starts_with("/v/1"));
  f.taker.hear(1, said);
  CHECK(f.taker.effects.empty());
}

TEST_CASE("the log is collected when all members have what a checkpoint has") {
  manager_fixture f{{.checkpoint_every = 2}};
  f.write("/a", 1);
  f.stored();
  f.write("/b", 1);
  f.stored();
  const auto checkpoint = f.only<save_checkpoint>();
  f.tick();
  CHECK(f.none<collect_log>());
  f.after([&] { f.manager.checkpoint_written(checkpoint.id); });
  f.tick();
  CHECK(f.only<collect_log>().upto->vector() == checkpoint.state->processed.vector());
  CHECK(f.manager.log_base().vector().entries().empty());
  f.tick();
  CHECK(f.none<collect_log>());
  const processed_changes base{version_vector{{{node(1), 1, 1}}}};
  f.after([&] {
    f.manager.log_collected(collected_log{true, std::make_shared<const processed_changes>(base)});
  });
  CHECK(f.manager.log_base() == base);
  f.tick();
  CHECK(f.all<collect_log>().size() == 1);
  f.after([&] { f.manager.log_collected(fail(error_code::storage_failure, "the disk is full")); });
  CHECK(f.logged("context.collection_failed") == 1);
  f.tick();
  CHECK(f.none<collect_log>());
}

TEST_CASE("what the checkpoint had at the start is collected at once") {
  context_engine before{node(1), 1};
  REQUIRE(before.write(operation::put, path{"/a"}, 1, "tester", {}, noon));
  const auto collects = [&](sync_settings settings) {
    sync_manager manager{context_engine{node(1), 2, before.state()}, settings};
    std::vector<sync_effect> effects;
    manager.take_effects(effects);
    return std::ranges::any_of(
        effects, [](const auto& each) { return std::holds_alternative<collect_log>(each); });
  };
  CHECK(collects({}));
  // The checkpoint lacks what was replayed, and what is restored is not whole.
  CHECK_FALSE(collects({.replayed = 1}));
  CHECK_FALSE(collects({.saved = std::make_shared<const saved_parts>()}));
}

TEST_CASE("memory is given back when changes have left the log, once nothing waits") {
  manager_fixture f{{.checkpoint_every = 1}};
  f.write("/a", 1);
  f.stored();
  const auto saved = f.only<save_checkpoint>();
  f.tick();
  CHECK(f.none<give_back_memory>());
  f.after([&] { f.manager.checkpoint_written(saved.id); });
  f.write("/b", 1);
  f.tick();
  CHECK(f.none<give_back_memory>());  // a write is on its way to the disk
  f.stored();
  f.tick();
  CHECK(f.all<give_back_memory>().size() == 1);
  f.tick();
  CHECK(f.none<give_back_memory>());
  f.after([&] {
    f.manager.log_collected(collected_log{true, std::make_shared<const processed_changes>()});
  });
  f.tick();
  CHECK(f.none<give_back_memory>());  // there is more to collect
  f.tick(60'000);
  CHECK(f.none<give_back_memory>());
  f.after([&] {
    f.manager.log_collected(collected_log{false, std::make_shared<const processed_changes>()});
  });
  f.tick();
  CHECK(f.all<give_back_memory>().size() == 1);
}
