#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace fs = std::filesystem;

namespace {

/// Makes a store with changes of node 2.
void fill(const temporary_directory& where, std::uint64_t changes) {
  auto store = must_open(where);
  REQUIRE(append(store, changes_of(2, 1, changes)));
}

/// A directory with a damaged store of 2 changes and a salvaged one of 3.
struct salvaged_store {
  temporary_directory where;
  store_files files{where.path().native()};
  std::string damaged;

  salvaged_store() {
    fill(where, 2);
    damaged = read_file(files.database());
    write_file(files.wal(), "old wal");
    write_file(files.database() + "-shm", "old shm");
    temporary_directory salvaged;
    fill(salvaged, 3);
    REQUIRE(files.begin_salvage());
    fs::copy_file(salvaged.path() / "context.db", files.salvaged_database(),
                  fs::copy_options::overwrite_existing);
  }
  void mark() const { write_file(files.salvage() + "/complete", ""); }
  void move_old(const std::string& end) const {
    fs::create_directories(files.damaged());
    fs::rename(files.database() + end, files.damaged() + "/context.db" + end);
  }
  void check_taken() {
    auto store = must_open(where);
    CHECK(last_logged(store, 2) == 3);
    CHECK_FALSE(fs::exists(files.salvage()));
    CHECK(read_file(files.damaged() + "/context.db") == damaged);
    CHECK(read_file(files.damaged() + "/context.db-wal") == "old wal");
    CHECK(read_file(files.damaged() + "/context.db-shm") == "old shm");
  }
};

}  // namespace

TEST_CASE("a salvaged database takes the place of the damaged one, which is kept") {
  salvaged_store f;
  fs::create_directories(f.files.damaged());
  write_file(f.files.damaged() + "/context.db", "an older one");
  REQUIRE(f.files.take_salvaged());
  CHECK_FALSE(fs::exists(f.files.wal()));
  f.check_taken();
}

TEST_CASE("what is to be known of a swap is told by the start that ends it") {
  salvaged_store f;
  SUBCASE("nothing was in the way") {
    REQUIRE(f.files.take_salvaged("half of it is lost"));
    CHECK(must_open(f.where).notes().empty());  // who has done that tells
  }
  SUBCASE("it was interrupted") {
    write_file(f.files.damaged(), "in the way");
    CHECK_FALSE(f.files.take_salvaged("half of it is lost"));
    fs::remove(f.files.damaged());
    const auto store = must_open(f.where);
    REQUIRE(store.notes().size() == 1);
    CHECK(store.notes()[0].event == "context.damaged");
    CHECK(store.notes()[0].text == "half of it is lost");
  }
  CHECK(must_open(f.where).notes().empty());
}

TEST_CASE("a swap that was interrupted is finished at the next open") {
  salvaged_store f;
  f.mark();
  SUBCASE("nothing was moved") {}
  SUBCASE("the write-ahead file was moved") { f.move_old("-wal"); }
  SUBCASE("its index was moved too") {
    for (const auto* end : {"-wal", "-shm"}) f.move_old(end);
  }
  SUBCASE("the damaged database was moved too") {
    for (const auto* end : {"-wal", "-shm", ""}) f.move_old(end);
  }
  SUBCASE("the salvaged database was moved too") {
    for (const auto* end : {"-wal", "-shm", ""}) f.move_old(end);
    fs::rename(f.files.salvaged_database(), f.files.database());
  }
  SUBCASE("the mark was removed too") {
    for (const auto* end : {"-wal", "-shm", ""}) f.move_old(end);
    fs::rename(f.files.salvaged_database(), f.files.database());
    fs::remove(f.files.salvage() + "/complete");
  }
  f.check_taken();
}

TEST_CASE("a salvage that was not completed is dropped") {
  salvaged_store f;
  fs::remove(f.files.wal());
  auto store = must_open(f.where);
  CHECK(last_logged(store, 2) == 2);
  CHECK_FALSE(fs::exists(f.files.salvage()));
  CHECK_FALSE(fs::exists(f.files.damaged()));
}

TEST_CASE("a salvage begins without what an earlier one has left") {
  salvaged_store f;
  f.mark();
  REQUIRE(f.files.begin_salvage());
  CHECK(fs::is_empty(f.files.salvaged_database()));
  CHECK_FALSE(fs::exists(f.files.salvage() + "/complete"));
  const auto mode = [](const fs::path& file) { return fs::status(file).permissions(); };
  CHECK((mode(f.files.salvage()) & fs::perms::others_all) == fs::perms::none);
  CHECK((mode(f.files.salvaged_database()) & (fs::perms::group_all | fs::perms::others_all)) ==
        fs::perms::none);
}
