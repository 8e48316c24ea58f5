#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include <troupe/actors/context/store/checkpoint_table.hpp>
#include <troupe/actors/context/store/identity_file.hpp>
#include <troupe/actors/context/store/wal_check.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace fs = std::filesystem;

namespace {

/// What a start offers to a new store.
const store_identity other{cluster_id{node(200).id}, node(9)};

/// All files below a directory but its lock, and what is in them.
std::map<std::string, std::string> files_in(const fs::path& directory) {
  std::map<std::string, std::string> found;
  for (const auto& each : fs::recursive_directory_iterator{directory})
    if (each.path().filename() != "context.lock")
      found[each.path().native()] = each.is_regular_file() ? read_file(each.path()) : "";
  return found;
}

result<context_store> open_again(const temporary_directory& where) {
  return context_store::open(where.path().native(), other);
}

context_store must_open_again(const temporary_directory& where) {
  auto store = open_again(where);
  REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
  return std::move(*store);
}

/// Makes a store with changes of node 2.
void fill(const temporary_directory& where, std::uint64_t changes) {
  auto store = must_open(where);
  for (std::uint64_t seq = 1; seq <= changes; ++seq)
    REQUIRE(append(store, changes_of(2, seq, seq)));
}

/// The files that a store with changes of node 2 leaves when its process is killed: all changes are
/// in the write-ahead file.
void fill_and_crash(const temporary_directory& where, std::uint64_t changes) {
  temporary_directory live;
  auto store = must_open(live);
  for (std::uint64_t seq = 1; seq <= changes; ++seq)
    REQUIRE(append(store, changes_of(2, seq, seq)));
  for (const auto* name : {"context.db", "context.db-wal", "context.id"})
    fs::copy_file(live.path() / name, where.path() / name);
}

void flip(const fs::path& file, std::size_t at) {
  auto bytes = read_file(file);
  bytes.at(at) = static_cast<char>(bytes[at] ^ 1);
  write_file(file, bytes);
}

/// Refused with advice, and nothing is made or changed.
void check_refused(const temporary_directory& where, const std::string& why) {
  const auto before = files_in(where.path());
  for (int time = 0; time < 2; ++time) {
    const auto refused = open_again(where);
    check_error(refused, error_code::storage_failure, why);
    check_error(refused, error_code::storage_failure, "Put the file back");
    check_error(refused, error_code::storage_failure, "delete 'context.id'");
  }
  CHECK(files_in(where.path()) == before);
  CHECK_FALSE(context_store::is_in_use(where.path().native()));
}

}  // namespace

// -- the identity ---------------------------------------------------------------------------------

TEST_CASE("a file beside the store says which cluster and node it belongs to") {
  temporary_directory where;
  fill(where, 1);
  const identity_file id{where.path().native()};
  const auto text = read_file(id.name());
  CHECK(text.find("cluster " + to_string(ours.cluster)) != std::string::npos);
  CHECK(text.find("node " + to_string(ours.node)) != std::string::npos);
  CHECK((fs::status(id.name()).permissions() & fs::perms::mask) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(id.read() == ours);
  write_file(id.name(), "node " + to_string(ours.node) + "\ncluster nonsense\n");
  CHECK_FALSE(id.read());
  CHECK(id.exists());
  fs::remove(id.name());
  CHECK_FALSE(id.read());
  CHECK_FALSE(id.exists());
}

TEST_CASE("the identity beside the store is what the store says") {
  temporary_directory where;
  fill(where, 1);
  const identity_file id{where.path().native()};
  SUBCASE("it was deleted") { fs::remove(id.name()); }
  SUBCASE("it cannot be read") { write_file(id.name(), "?"); }
  SUBCASE("it says something else") { REQUIRE(id.write(other)); }
  CHECK(must_open_again(where).identity() == ours);
  CHECK(id.read() == ours);
  CHECK_FALSE(fs::exists(id.name() + ".new"));
}

// -- a lost database ------------------------------------------------------------------------------

TEST_CASE("a store whose database is gone is refused, with advice, and nothing is made") {
  temporary_directory where;
  const auto database = where.path() / "context.db";
  SUBCASE("deleted") {
    fill(where, 1);
    fs::remove(database);
    check_refused(where, "is missing");
    check_refused(where, to_string(ours.node));
  }
  SUBCASE("emptied") {
    fill(where, 1);
    fs::resize_file(database, 0);
    check_refused(where, "is empty");
  }
  SUBCASE("deleted, and its identity cannot be read") {
    fill(where, 1);
    fs::remove(database);
    write_file(where.path() / "context.id", "");
    check_refused(where, "is missing");
  }
  SUBCASE("deleted with its identity, beside its write-ahead file") {
    fill_and_crash(where, 3);
    fs::remove(database);
    fs::remove(where.path() / "context.id");
    check_refused(where, "is missing");
  }
}

TEST_CASE("a database that was put back is opened") {
  temporary_directory where;
  fill(where, 4);
  fs::rename(where.path() / "context.db", where.path() / "away");
  CHECK_FALSE(open_again(where));
  fs::rename(where.path() / "away", where.path() / "context.db");
  auto store = must_open_again(where);
  CHECK(last_logged(store, 2) == 4);
}

TEST_CASE("a store begins anew when the identity was deleted with the database") {
  temporary_directory where;
  fill(where, 4);
  fs::remove(where.path() / "context.db");
  fs::remove(where.path() / "context.id");
  auto store = must_open_again(where);
  CHECK(store.identity() == other);
  CHECK(last_logged(store, 2) == 0);
  CHECK(identity_file{where.path().native()}.read() == other);
}

TEST_CASE("a store that lost its write-ahead file does not become another node") {
  temporary_directory where;
  fill_and_crash(where, 4);
  SUBCASE("it was deleted") { fs::remove(where.path() / "context.db-wal"); }
  SUBCASE("its header is damaged") { flip(where.path() / "context.db-wal", 20); }
  const auto store = open_again(where);
  CHECK((!store || store->identity() == ours));
  CHECK(identity_file{where.path().native()}.read() == ours);
}

// -- the write-ahead file -------------------------------------------------------------------------

TEST_CASE("what was before the damage of a write-ahead file is there, and the file is kept") {
  temporary_directory where;
  fill_and_crash(where, 10);
  const auto wal = where.path() / "context.db-wal";
  const auto size = read_file(wal).size();
  flip(wal, size / 2);
  flip(wal, size / 2 + 1);  // two in one frame are more than checksums can tell
  const auto damaged = read_file(wal);
  {
    auto store = must_open_again(where);
    REQUIRE(store.notes().size() == 1);
    CHECK(store.notes()[0].event == "context.wal_damaged");
    CHECK(store.notes()[0].text.find("are lost") != std::string::npos);
    CHECK(store.notes()[0].text.find(where.path().native() + "/context.damaged") !=
          std::string::npos);
    CHECK(read_file(where.path() / "context.damaged" / "copied-wal") == damaged);
    const auto last = last_logged(store, 2);
    CHECK(last > 1);
    CHECK(last < 10);
    CHECK(logged(store, 2, 1) == changes_of(2, 1, last));
    REQUIRE(append(store, changes_of(2, last + 1, 10)));
  }
  auto store = must_open_again(where);
  CHECK(store.notes().empty());
  CHECK(last_logged(store, 2) == 10);
}

TEST_CASE("a single wrong bit of a write-ahead file is put right where the checksums tell it") {
  temporary_directory where;
  fill_and_crash(where, 10);
  const auto whole = read_file(where.path() / "context.db-wal");
  const auto wal = (where.path() / "context.db-wal"), database = where.path() / "context.db";
  std::mt19937 random{3};
  unsigned right = 0;
  constexpr unsigned times = 60;
  for (unsigned i = 0; i < times; ++i) {
    auto damaged = whole;
    const auto last_commit = whole.size() - 3 * 4120;
    const auto at = i < 8 ? std::size_t{i} * 4 : random() % last_commit;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    CAPTURE(at);
    write_file(wal, damaged);
    const auto repaired = repair_wal(database.native());
    REQUIRE(repaired);
    right += *repaired;
    CHECK(read_file(wal) == (*repaired == 1 ? whole : damaged));
  }
  CHECK(right > times / 2);
}

TEST_CASE("several wrong bits are put right when they are not in one frame or in the next") {
  temporary_directory where;
  fill_and_crash(where, 10);
  const auto wal = where.path() / "context.db-wal";
  const auto whole = read_file(wal), database = (where.path() / "context.db").native();
  auto damaged = whole;
  for (const std::size_t at : {40UL, 9400UL, 17640UL})
    damaged[at] = static_cast<char>(damaged[at] ^ 16);
  write_file(wal, damaged);
  CHECK(repair_wal(database) == 3u);
  CHECK(read_file(wal) == whole);
  damaged = whole;
  damaged[5000] = static_cast<char>(damaged[5000] ^ 16);
  damaged[5001] = static_cast<char>(damaged[5001] ^ 1);
  write_file(wal, damaged);
  CHECK(repair_wal(database) == 0u);
  CHECK(read_file(wal) == damaged);
  // What was cut off or never written is no wrong bit.
  write_file(wal, whole.substr(0, whole.size() - 3000));
  CHECK(repair_wal(database) == 0u);
}

TEST_CASE("a wrong bit in the checksum of a frame is not blamed on its page") {
  temporary_directory where;
  fill_and_crash(where, 10);
  const auto wal = where.path() / "context.db-wal";
  const auto whole = read_file(wal), database = (where.path() / "context.db").native();
  constexpr std::size_t header = 32, frame = 4096 + 24, second_sum = 20;
  for (std::size_t bit = 0; bit < 32; ++bit) {
    auto damaged = whole;
    auto& byte = damaged[header + 4 * frame + second_sum + bit / 8];
    byte = static_cast<char>(byte ^ (1 << bit % 8));
    CAPTURE(bit);
    write_file(wal, damaged);
    CHECK(repair_wal(database) == 1u);
    CHECK(read_file(wal) == whole);
  }
}

TEST_CASE("so many wrong bits are put right in one write-ahead file, and no more") {
  temporary_directory where;
  fill_and_crash(where, 150);
  const auto wal = where.path() / "context.db-wal";
  auto damaged = read_file(wal);
  constexpr std::size_t header = 32, frame = 4096 + 24;
  const auto frames = (damaged.size() - header) / frame;
  constexpr unsigned most = 64;
  REQUIRE(frames > 2 * (most + 5));
  for (std::size_t i = 1; i < 2 * (most + 5); i += 2) {
    auto& byte = damaged[header + i * frame + 1000];
    byte = static_cast<char>(byte ^ 1);
  }
  write_file(wal, damaged);
  CHECK(repair_wal((where.path() / "context.db").native()) == most);
}

TEST_CASE("a store whose write-ahead file has a wrong bit has all of its commits") {
  temporary_directory where;
  fill_and_crash(where, 10);
  const auto wal = where.path() / "context.db-wal";
  flip(wal, 5000);
  const auto store = must_open_again(where);
  REQUIRE(store.notes().size() == 1);
  CHECK(store.notes()[0].event == "context.wal_repaired");
}

TEST_CASE("a sound write-ahead file needs no note") {
  temporary_directory where;
  fill_and_crash(where, 10);
  auto store = must_open_again(where);
  CHECK(store.notes().empty());
  CHECK(last_logged(store, 2) == 10);
  CHECK_FALSE(fs::exists(where.path() / "context.damaged"));
}

// -- a lost checkpoint ----------------------------------------------------------------------------

TEST_CASE("a store without its checkpoint keeps what could be read until a state has come") {
  temporary_directory where;
  const processed_changes base{version_vector{{{node(2), 1, 3}}}};
  context_engine engine{node(50), 1};
  for (const auto& each : changes_of(2, 1, 5)) engine.apply(each, noon);
  {
    auto store = must_open(where);
    CHECK_FALSE(store.needs_state());
    CHECK(store.logged() == processed_changes{});
    context_engine three{node(50), 1};
    for (const auto& each : changes_of(2, 1, 3)) three.apply(each, noon);
    REQUIRE(store.adopt(three.state(), base));
    REQUIRE(append(store, changes_of(2, 4, 5)));
    CHECK(store.logged() == engine.processed());
  }
  context_tree parts;
  const auto record = put({node(3), 1, 1}, "/part", 7);
  const auto only = sibling::of(record, content_hash(record));
  parts.put(record.path, {&only, 1});
  tamper(where, "DELETE FROM blocks; DELETE FROM meta WHERE key = 'checkpoint'");
  {
    SQLite::Database database{(where.path() / "context.db").string(), SQLite::OPEN_READWRITE};
    meta_table meta{database};
    REQUIRE(checkpoint_table{database, meta}.write_salvaged(parts, {}));
  }
  for (int time = 0; time < 2; ++time) {
    auto store = must_open_again(where);
    CHECK(store.needs_state());
    CHECK(store.load_checkpoint()->processed == processed_changes{});
    CHECK(store.load_salvaged()->entries.hash() == parts.hash());
    CHECK(store.logged() == engine.processed());
    CHECK(store.log_base() == base);
    check_error(store.checkpoint({}), error_code::internal, "");
    CHECK(store.needs_state());
  }
  {
    auto store = must_open_again(where);
    REQUIRE(store.adopt(engine.state(), base));
    CHECK_FALSE(store.needs_state());
  }
  auto store = must_open_again(where);
  CHECK_FALSE(store.needs_state());
  CHECK(store.log_base() == base);
  CHECK(restore(store, 1)->root_hash() == engine.root_hash());
}
