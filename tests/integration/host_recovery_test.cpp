#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include <troupe/runtime/recovery.hpp>
#include <troupe/tests/support/fixtures/host_fixture.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

namespace fs = std::filesystem;

/// A data directory whose log has lost a row that no checkpoint holds, and a backup of it.
struct damaged_directory {
  temporary_directory place;
  fs::path backup = place.path() / "backup.db";

  damaged_directory() {
    { host made{in(place)}; }
    {
      auto store = context_store::open(data().native(), {});
      REQUIRE(store);
      const auto node = store->identity().node;
      context_engine engine{node, 1};
      for (int i = 0; i < 3; ++i) {
        auto record =
            engine.write(operation::put, path{"/v" + std::to_string(i)}, i, "t", {}, noon);
        REQUIRE(record);
        REQUIRE(append(*store, {*record}));
      }
    }
    fs::copy_file(data() / "context.db", backup);
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open((data() / "context.db").c_str(), &database) == SQLITE_OK);
    REQUIRE(sqlite3_exec(database, "UPDATE log SET hash = 1 WHERE number = 2", nullptr, nullptr,
                         nullptr) == SQLITE_OK);
    sqlite3_close(database);
  }
  fs::path data() const { return in(place).data_dir; }
  recovery_step take_backup() const {
    return {"backup", [from = backup](const store_damage& found) -> result<void> {
              fs::copy_file(from, found.data_dir / "context.db",
                            fs::copy_options::overwrite_existing);
              return {};
            }};
  }
};

}  // namespace

TEST_CASE("without a step of the host, what follows a damaged change is missing") {
  damaged_directory f;
  host made{in(f.place)};
  CHECK(made.context().get("/v0") == value{0});
  CHECK_FALSE(made.context().get("/v1"));
  CHECK(made.context().set("/v1", 7));
}

TEST_CASE("a step of the host mends a damaged context before anything is given up") {
  damaged_directory f;
  auto settings = in(f.place);
  std::string problem;
  settings.recovery = {{"none",
                        [&](const store_damage& found) -> result<void> {
                          problem = found.problem.message;
                          return fail(error_code::not_found, "there is no backup here");
                        }},
                       f.take_backup()};
  host made{settings};
  CHECK(problem.find("log row 2") != std::string::npos);
  CHECK(made.context().get("/v2") == value{2});
}

TEST_CASE("a step that does not help is followed by the next, and by what can be saved") {
  damaged_directory f;
  auto settings = in(f.place);
  int asked = 0;
  settings.recovery = {{"useless", [&](const store_damage&) -> result<void> {
                          ++asked;
                          return {};
                        }}};
  host made{settings};
  CHECK(asked == 1);
  CHECK(made.context().get("/v0") == value{0});
}

TEST_CASE("what the steps of the host have not done is said") {
  damaged_directory f;
  auto settings = in(f.place);
  settings.recovery = {{"failing",
                        [](const store_damage&) -> result<void> {
                          return fail(error_code::not_found, "there is no backup here");
                        }},
                       {"useless", [](const store_damage&) -> result<void> { return {}; }}};
  const auto notes_of = [&](const char* event) {
    auto recovered = recover_context(settings);
    REQUIRE(recovered);
    std::string all;
    for (const auto& each : recovered->notes)
      if (each.event == event) all += each.text + "\n";
    return all;
  };
  SUBCASE("each that was tried") {
    const auto said = notes_of("context.recovery_failed");
    CHECK(said.find("the recovery step 'failing' has failed: there is no backup here") !=
          std::string::npos);
    CHECK(said.find("the recovery step 'useless' has not helped: ") != std::string::npos);
  }
  SUBCASE("none was tried, because nothing could be kept of what it may replace") {
    fs::create_directories(f.data() / "context.damaged/copied.db");
    CHECK(notes_of("context.recovery_failed").find("the recovery steps were left out") !=
          std::string::npos);
  }
  SUBCASE("none was tried, and nothing else helps") {
    write_file(f.data() / "context.damaged", "in the way");
    check_error(recover_context(settings), error_code::storage_failure,
                "the recovery steps were left out");
  }
}

// -- the order ------------------------------------------------------------------------------------

namespace {

/// A data directory with a checkpoint, and behind it changes in a write-ahead file of which commits
/// in the middle are lost for certain.
struct crashed_directory {
  temporary_directory place;
  std::string sound_wal, damaged_wal;

  crashed_directory() {
    {
      host made{in(place)};
      REQUIRE(made.context().set("/old", 1));
    }
    std::string database;
    {
      auto store = context_store::open(data().native(), {});
      REQUIRE(store);
      context_engine engine{store->identity().node, 50};
      for (int i = 0; i < 20; ++i) {
        auto record =
            engine.write(operation::put, path{"/v" + std::to_string(i)}, i, "t", {}, noon);
        REQUIRE(record);
        REQUIRE(append(*store, {*record}));
      }
      database = read_file(data() / "context.db");
      sound_wal = damaged_wal = read_file(wal());
    }
    // More than checksums can put right.
    const auto half = damaged_wal.size() / 2;
    for (const auto at : {half, half + 1}) damaged_wal[at] = static_cast<char>(damaged_wal[at] ^ 1);
    write_file(data() / "context.db", database);
    write_file(wal(), damaged_wal);
  }
  fs::path data() const { return in(place).data_dir; }
  fs::path wal() const { return data() / "context.db-wal"; }
};

/// Makes the checkpoint of a store unusable.
void damage_checkpoint(const fs::path& data) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((data / "context.db").c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, "UPDATE blocks SET hash = 1", nullptr, nullptr, nullptr) ==
          SQLITE_OK);
  REQUIRE(sqlite3_changes(database) > 0);
  sqlite3_close(database);
}

bool has_note(const config& settings, const std::string& event) {
  auto recovered = recover_context(settings);
  REQUIRE(recovered);
  for (const auto& each : recovered->notes)
    if (each.event == event) return true;
  return false;
}

}  // namespace

TEST_CASE("what lacks nothing is written anew before any step of the host is tried") {
  temporary_directory place;
  {
    host made{in(place)};
    REQUIRE(made.context().set("/a", 1));
    REQUIRE(made.context().set("/b", 2));
  }
  auto settings = in(place);
  damage_checkpoint(settings.data_dir);
  int asked = 0;
  settings.recovery = {{"counting", [&](const store_damage&) -> result<void> {
                          ++asked;
                          return {};
                        }}};
  CHECK(has_note(settings, "context.repaired"));
  CHECK(asked == 0);
  host made{settings};
  CHECK(made.context().get("/a") == value{1});
  CHECK(made.context().get("/b") == value{2});
}

TEST_CASE("where commits are lost the steps of the host find the write-ahead file as it was") {
  crashed_directory f;
  auto settings = in(f.place);
  std::string found;
  settings.recovery = {{"backup", [&](const store_damage& damage) -> result<void> {
                          found = read_file(damage.data_dir / "context.db-wal");
                          write_file(damage.data_dir / "context.db-wal", f.sound_wal);
                          return {};
                        }}};
  host made{settings};
  CHECK(found == f.damaged_wal);
  CHECK(made.context().get("/v19") == value{19});
}

TEST_CASE("a store that has lost commits is not called whole") {
  crashed_directory f;
  damage_checkpoint(f.data());  // SQLite takes what is before the damage
  write_file(f.wal(), f.damaged_wal);
  const auto settings = in(f.place);
  CHECK(has_note(settings, "context.damaged"));
}
