#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include <troupe/actors/context/scrub_schedule.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr int values = 100;

/// A store of 100 values in its checkpoint, and of some changes that are not.
struct filled_store {
  temporary_directory where;
  context_engine engine{ours.node, 1};
  context_store store = must_open(where);

  filled_store() {
    for (int i = 0; i < values; ++i) write("/v/" + std::to_string(i));
    REQUIRE(store.checkpoint(engine.state()));
  }
  void write(const std::string& at) {
    // Of a size that makes several blocks of the entries.
    auto made = engine.write(operation::put, path{at}, random_text(engine.tree().size(), 2000),
                             "tester", {}, noon);
    REQUIRE(made);
    REQUIRE(append(store, {std::move(*made)}));
  }
  int blocks() const {
    const SQLite::Database database{(where.path() / "context.db").string()};
    SQLite::Statement count{database, "SELECT count(*) FROM blocks"};
    REQUIRE(count.executeStep());
    return count.getColumn(0).getInt();
  }
  /// A whole scrub. @returns all that its steps have done.
  scrub_step scrub(std::size_t max_rows = 7) {
    scrub_step all;
    for (int steps = 0; !all.is_done; ++steps) {
      REQUIRE(steps < 1000);
      const auto step = store.scrub(max_rows);
      REQUIRE_MESSAGE(step, (step ? "" : step.error().message));
      all.is_done = step->is_done;
      all.mended += step->mended;
      all.needs_checkpoint = all.needs_checkpoint || step->needs_checkpoint;
      all.has_given_up_log = all.has_given_up_log || step->has_given_up_log;
    }
    return all;
  }
  /// As far as the first step that does not say that there is more.
  scrub_step scrub_once() {
    for (int steps = 0; steps < 10; ++steps) {
      const auto step = store.scrub(1000);
      REQUIRE_MESSAGE(step, (step ? "" : step.error().message));
      if (step->needs_checkpoint || step->is_done) return *step;
    }
    return {};
  }
  /// What the next start finds.
  void check_start() {
    { const auto closed = std::move(store); }
    store = must_open(where);
    const auto found = restore(store, 2);
    REQUIRE_MESSAGE(found, (found ? "" : found.error().message));
    CHECK(found->root_hash() == engine.root_hash());
  }
};

}  // namespace

TEST_CASE("a scrub of a sound store changes nothing, and begins anew") {
  filled_store f;
  for (int times = 0; times < 2; ++times) {
    const auto done = f.scrub();
    CHECK(done.mended == 0);
    CHECK_FALSE(done.needs_checkpoint);
    CHECK_FALSE(done.has_given_up_log);
  }
}

TEST_CASE("a scrub mends what differs from the checkpoint in memory") {
  filled_store f;
  REQUIRE(f.blocks() > 3);
  std::uint64_t damaged = 1;
  SUBCASE("a changed block") { tamper(f.where, "UPDATE blocks SET hash = 1 WHERE number = 2"); }
  SUBCASE("a block that is gone") { tamper(f.where, "DELETE FROM blocks WHERE number = 2"); }
  SUBCASE("a block that nobody wrote") {
    tamper(f.where, "INSERT INTO blocks SELECT 99, first, entries, hash FROM blocks LIMIT 1");
  }
  SUBCASE("a block under another number") {
    tamper(f.where, "UPDATE blocks SET number = 99 WHERE number = 2");
    damaged = 2;  // one that should not be there, and one that is missing
  }
  SUBCASE("a block that is another one") {
    tamper(f.where,
           "UPDATE blocks SET first = (SELECT first FROM blocks WHERE number = 3), entries = "
           "(SELECT entries FROM blocks WHERE number = 3), hash = (SELECT hash FROM blocks WHERE "
           "number = 3) WHERE number = 2");
  }
  SUBCASE("an old one that was right once") {
    tamper(f.where, "CREATE TABLE old AS SELECT * FROM blocks WHERE number = 2");
    for (int i = 0; i < values; ++i) f.write("/v/" + std::to_string(i));
    REQUIRE(f.store.checkpoint(f.engine.state()));
    tamper(f.where, "INSERT OR REPLACE INTO blocks SELECT * FROM old; DROP TABLE old");
  }
  CHECK(f.scrub().mended == damaged);
  CHECK(f.scrub().mended == 0);
  f.check_start();
}

TEST_CASE("a damaged row of the log goes when the checkpoint has its changes") {
  filled_store f;
  tamper(f.where, "UPDATE log SET hash = 1 WHERE number = 40");
  const auto done = f.scrub();
  CHECK(done.mended == 1);
  CHECK(done.has_given_up_log);
  CHECK(f.store.log_base().covers(f.engine.vector()));
  f.check_start();
}

TEST_CASE("a damaged row of the log beyond the checkpoint asks for one, and then goes") {
  filled_store f;
  f.write("/later");
  tamper(f.where, "UPDATE log SET hash = 1 WHERE number = 101");
  const auto first = f.scrub();
  CHECK(first.needs_checkpoint);
  CHECK(first.mended == 0);
  REQUIRE(f.store.checkpoint(f.engine.state()));
  f.write("/latest");
  CHECK(f.scrub().mended == 1);
  f.check_start();
}

TEST_CASE("pages that cannot be read have the file written anew from memory") {
  filled_store f;
  f.write("/later");
  const auto file = (f.where.path() / "context.db").string();
  tamper(f.where, "PRAGMA wal_checkpoint(TRUNCATE)");
  {
    // The page at which the table of the entries begins.
    SQLite::Database database{file, SQLite::OPEN_READWRITE};
    const auto page =
        database.execAndGet("SELECT rootpage FROM sqlite_schema WHERE name = 'blocks'").getInt();
    std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
    bytes.seekp((page - 1) * 4096);
    bytes << std::string(4096, 'x');
  }
  std::optional<scrub_step> rebuilt;
  for (int steps = 0; !rebuilt || rebuilt->mended == 0; ++steps) {
    REQUIRE(steps < 200);
    const auto step = f.store.scrub(1000);
    REQUIRE_MESSAGE(step, (step ? "" : step.error().message));
    rebuilt = *step;
    // What SQLite has in its cache is still right: it reads the page again after a change.
    tamper(f.where, "UPDATE meta SET hash = hash WHERE key = 'identity'");
  }
  CHECK(std::filesystem::exists(f.where.path() / "context.damaged" / "context.db"));
  f.write("/after");
  REQUIRE(f.store.checkpoint(f.engine.state()));
  CHECK(f.scrub().mended == 0);
  f.check_start();
}

TEST_CASE("a row that stands for others has the file written anew") {
  filled_store f;
  SUBCASE("the identity") { tamper(f.where, "UPDATE meta SET hash = 1 WHERE key = 'identity'"); }
  SUBCASE("the checkpoint") {
    tamper(f.where, "UPDATE meta SET bytes = x'00' WHERE key = 'checkpoint'");
  }
  SUBCASE("an incarnation") { tamper(f.where, "UPDATE runs SET origin = x'00'"); }
  SUBCASE("the index of the log lacks rows") {
    const std::string schema = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = ";
    tamper(f.where, schema + "sql || ' WHERE number < 3' WHERE name = 'log_by_run'");
    tamper(f.where, "REINDEX log_by_run");
    tamper(f.where, schema + "replace(sql, ' WHERE number < 3', '') WHERE name = 'log_by_run'");
  }
  CHECK(f.scrub(1000).mended > 0);
  CHECK(f.scrub(1000).mended == 0);
  f.check_start();
}

TEST_CASE(
    "nothing is written anew while the log has changes that cannot be read and no checkpoint") {
  filled_store f;
  f.write("/later/1");
  f.write("/later/2");
  tamper(f.where, "UPDATE log SET hash = 1 WHERE number = 101");
  tamper(f.where, "UPDATE meta SET hash = 1 WHERE key = 'identity'");
  CHECK(f.scrub_once().needs_checkpoint);
  CHECK_FALSE(std::filesystem::exists(f.where.path() / "context.damaged"));
  f.write("/later/3");
  REQUIRE(f.store.checkpoint(f.engine.state()));
  CHECK(f.scrub(1000).mended > 0);
  f.write("/later/4");
  f.check_start();
}

TEST_CASE("scrubs follow their pace, one step at a time") {
  scrub_schedule schedule{{.first_after_ms = 100,
                           .every_ms = 1000,
                           .again_ms = 50,
                           .step_ms = 10,
                           .files_every_ms = 100'000}};
  using outcome = scrub_schedule::outcome;
  using work = scrub_schedule::work;
  CHECK(schedule.begins(5) == work::none);
  CHECK(schedule.begins(104) == work::none);
  CHECK(schedule.begins(105) == work::part);
  CHECK(schedule.begins(10'000) == work::none);
  schedule.stepped(outcome::goes_on, 200);
  CHECK(schedule.begins(209) == work::none);
  CHECK(schedule.begins(210) == work::part);
  schedule.stepped(outcome::done, 300);
  CHECK(schedule.begins(1299) == work::none);
  CHECK(schedule.begins(1300) == work::part);
  schedule.stepped(outcome::failed, 2000);
  CHECK(schedule.begins(2049) == work::none);
  CHECK(schedule.begins(2050) == work::part);
}

TEST_CASE("the files are looked for between the parts, and first") {
  scrub_schedule schedule{{.first_after_ms = 1000, .step_ms = 10, .files_every_ms = 100}};
  using outcome = scrub_schedule::outcome;
  using work = scrub_schedule::work;
  CHECK(schedule.begins(5) == work::none);
  CHECK(schedule.begins(105) == work::files);
  CHECK(schedule.begins(2000) == work::none);
  CHECK(schedule.stepped(outcome::failed, 1950) == work::files);
  CHECK(schedule.begins(2000) == work::part);
  CHECK(schedule.stepped(outcome::goes_on, 2100) == work::part);
  CHECK(schedule.begins(2110) == work::files);
  schedule.stepped(outcome::goes_on, 2115);
  CHECK(schedule.begins(2116) == work::part);  // a look at the files is no failed part
}

TEST_CASE("a node that nobody writes to says that its files are gone, once and while they are") {
  manager_fixture f{{.scrub = {.files_every_ms = 1000}}};
  f.tick();
  const auto look = [&](const result<scrubbed_part>& found) {
    f.tick(1000);
    CHECK(f.only<scrub_store>().only_files);
    f.after([&] { f.manager.scrubbed(found); });
  };
  look(scrubbed_part{});
  CHECK(f.manager.problems().empty());
  const result<scrubbed_part> gone = fail(error_code::storage_failure, "'context.db' was deleted");
  look(gone);
  CHECK(f.logged("context.files_gone") == 1);
  CHECK(f.manager.problems() ==
        std::vector<std::string>{"no write will be accepted: 'context.db' was deleted"});
  look(gone);
  CHECK(f.logged("context.files_gone") == 0);
  look(scrubbed_part{});
  CHECK(f.manager.problems().empty());
}

TEST_CASE("a replica has its store checked, and says what was mended") {
  manager_fixture f{
      {.scrub = {
           .first_after_ms = 1000, .every_ms = 10'000, .step_ms = 100, .files_every_ms = 100'000}}};
  f.tick();
  CHECK(f.none<scrub_store>());
  f.tick(1000);
  CHECK(f.all<scrub_store>().size() == 1);
  f.after([&] { f.manager.scrubbed(scrubbed_part{.mended = 2, .base = nullptr}); });
  CHECK(f.logged("context.mended") == 0);
  f.tick(100);
  CHECK(f.all<scrub_store>().size() == 1);
  f.after(
      [&] { f.manager.scrubbed(scrubbed_part{.is_done = true, .mended = 1, .base = nullptr}); });
  CHECK(f.logged("context.mended") == 1);
  REQUIRE(f.manager.problems().size() == 1);
  CHECK(f.manager.problems()[0].starts_with("3 damaged parts of the context store"));
  f.tick(10'000);
  CHECK(f.all<scrub_store>().size() == 1);
  f.after([&] { f.manager.scrubbed(fail(error_code::corrupt_data, "page 7")); });
  CHECK(f.logged("context.scrub_failed") == 1);
  CHECK(f.manager.problems()[0].find("page 7") != std::string::npos);
}

TEST_CASE("damage that is met elsewhere has the store checked at once, and again after a pause") {
  manager_fixture f{{.scrub = {.files_every_ms = 1'000'000}}};
  const error damaged{error_code::corrupt_data, "row 3 is damaged", {}};
  f.tick();
  CHECK(f.none<scrub_store>());
  SUBCASE("by a write") {
    f.write("/a", 1);
    f.after([&] { f.manager.disk_refused(damaged); });
  }
  SUBCASE("by what a peer needs") {
    f.greeted_peer(1, 2);
    f.after([&] { f.manager.log_read(peer_id{1}, fail(damaged)); });
    f.after([&] { f.manager.log_read(peer_id{1}, fail(damaged)); });
    CHECK(f.logged("context.log_unreadable") == 0);  // that has been said
  }
  f.tick();
  CHECK(f.all<scrub_store>().size() == 1);
  f.after([&] { f.manager.scrubbed(fail(error_code::storage_failure, "no disk")); });
  CHECK(f.logged("context.scrub_failed") == 1);
  CHECK(f.manager.problems().back().find("cannot be checked for damage: no disk") !=
        std::string::npos);
  f.after([&] { f.manager.log_read(peer_id{1}, fail(damaged)); });
  f.tick();
  CHECK(f.none<scrub_store>());
  f.tick(60'000);
  CHECK(f.all<scrub_store>().size() == 1);
  f.after([&] { f.manager.scrubbed(fail(error_code::storage_failure, "no disk")); });
  CHECK(f.logged("context.scrub_failed") == 0);
}

TEST_CASE("a damaged row that no checkpoint holds has one written") {
  manager_fixture f{{.checkpoint_every = 1000, .scrub = {.first_after_ms = 0}}};
  f.write("/a", 1);
  f.stored();
  f.tick();
  f.after([&] { f.manager.scrubbed(scrubbed_part{.needs_checkpoint = true, .base = nullptr}); });
  f.tick();
  const auto saved = f.only<save_checkpoint>();
  f.after([&] { f.manager.checkpoint_written(saved.id); });
  f.after([&] { f.manager.scrubbed(scrubbed_part{.needs_checkpoint = true, .base = nullptr}); });
  f.tick();
  CHECK(f.none<save_checkpoint>());
}

TEST_CASE("a settle is answered at its deadline, with what is not on the disk") {
  manager_fixture f;
  f.write("/a", 1);
  f.after([&] { f.manager.settle(context_request{50}, f.now.steady_ms + 500); });
  f.tick(400);
  CHECK(f.none<answer_settle>());
  f.tick(100);
  const auto late = f.only<answer_settle>();
  REQUIRE_FALSE(late.outcome);
  CHECK(late.outcome.error().code == error_code::storage_failure);
  CHECK(late.outcome.error().message.starts_with("1 change is not on the disk, "));
  f.stored();
  CHECK(f.none<answer_settle>());
  // What is on the disk needs no checkpoint.
  f.after([&] { f.manager.settle(context_request{51}, f.now.steady_ms + 500); });
  f.tick(500);
  CHECK(f.only<answer_settle>().outcome);
}
