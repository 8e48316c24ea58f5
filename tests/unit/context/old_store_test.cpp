// A store of format 5, which has a row for each path: what becomes of it. See also
// `stored_format_test.cpp`.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

struct old_store {
  temporary_directory where;
  std::string file = (where.path() / "context.db").string();

  old_store() {
    const auto* const source = std::getenv("TROUPE_SOURCE");
    REQUIRE(source);
    std::filesystem::copy_file(std::string{source} + "/tests/support/stored/store-5/context.db",
                               file);
  }
  int count(const std::string& what) const {
    const SQLite::Database database{file};
    SQLite::Statement counted{database, "SELECT count(*) FROM " + what};
    REQUIRE(counted.executeStep());
    return counted.getColumn(0).getInt();
  }
  int version() const { return SQLite::Database{file}.execAndGet("PRAGMA user_version").getInt(); }
  bool has_old_table() const { return count("sqlite_schema WHERE name = 'entries'") > 0; }
};

}  // namespace

TEST_CASE("the rows of an old store become blocks when they are loaded") {
  const old_store f;
  const auto rows = f.count("entries");
  REQUIRE(rows > 5);
  { const auto store = must_open(f.where); }
  // A node that is refused, or ends, before it has loaded anything.
  CHECK(f.has_old_table());
  CHECK(f.version() == 5);
  engine_state state;
  {
    auto store = must_open(f.where);
    state = store.load_checkpoint().value();
    CHECK(state.tree.size() == static_cast<std::size_t>(rows));
  }
  CHECK_FALSE(f.has_old_table());
  CHECK(f.version() == 6);
  CHECK(f.count("blocks") == 1);
  auto store = must_open(f.where);
  CHECK(store.load_checkpoint()->tree.hash() == state.tree.hash());
}

TEST_CASE("an old store stays what it is while the disk refuses its blocks") {
  const old_store f;
  const auto change = [&](const char* sql) {
    SQLite::Database{f.file, SQLite::OPEN_READWRITE}.exec(sql);
  };
  change("CREATE TABLE blocks (taken)");
  engine_state state;
  {
    auto store = must_open(f.where);
    auto loaded = store.load_checkpoint();
    REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
    state = std::move(*loaded);
    CHECK_FALSE(state.tree.empty());
    CHECK(f.has_old_table());
    CHECK(f.version() == 5);
    scrub_step checked;
    for (int steps = 0; !checked.is_done && steps < 10; ++steps) {
      const auto step = store.scrub(1000);
      REQUIRE_MESSAGE(step, (step ? "" : step.error().message));
      checked = *step;
      CHECK(checked.mended == 0);
    }
    CHECK_FALSE(store.checkpoint(state));
    change("DROP TABLE blocks");
    const auto done = store.checkpoint(state);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
    CHECK_FALSE(f.has_old_table());
  }
  auto store = must_open(f.where);
  CHECK(store.load_checkpoint()->tree.hash() == state.tree.hash());
}

TEST_CASE("a damaged row of an old store is named, and the others are salvaged") {
  const old_store f;
  const auto rows = static_cast<std::uint64_t>(f.count("entries"));
  SUBCASE("its hash is wrong") {
    tamper(f.where, "UPDATE entries SET hash = 1 WHERE path = '/list/0'");
  }
  SUBCASE("it is another one") {
    tamper(f.where, "UPDATE entries SET path = '/list/9' WHERE path = '/list/0'");
  }
  check_error(must_open(f.where).load_checkpoint(), error_code::corrupt_data, "entry '/list/");
  const store_files files{f.where.path().native()};
  const auto saved = salvage_store(files);
  REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
  CHECK(saved->entries == rows - 1);
  CHECK(saved->lost_entries == 1);
  REQUIRE(files.take_salvaged());
  CHECK_FALSE(f.has_old_table());
}
