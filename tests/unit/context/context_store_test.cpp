#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

unsigned mode_of(const std::string& file) {
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  return info.st_mode & 0777u;
}

}  // namespace

TEST_CASE("a new store is private and takes the identity it is given; an old one keeps its own") {
  temporary_directory where;
  std::filesystem::permissions(where.path().native(), std::filesystem::perms::all);
  {
    auto store = must_open(where);
    CHECK(store.identity() == ours);
    CHECK(append(store, changes_of(2, 1, 3)));
    // The directory was there, and may serve others too.
    CHECK(mode_of(where.path().native()) == 0777);
    CHECK(mode_of(where.path().native() + "/context.db") == 0600);
    CHECK(mode_of(where.path().native() + "/context.db-wal") == 0600);
    CHECK(mode_of(where.path().native() + "/context.lock") == 0600);
  }
  const auto again = context_store::open(where.path().native(), {cluster_id{node(7).id}, node(7)});
  REQUIRE(again);
  CHECK(again->identity() == ours);
}

TEST_CASE("a store makes the directories it needs") {
  temporary_directory where;
  CHECK(context_store::open(where.path().native() + "/deep/er", ours));
  CHECK(mode_of(where.path().native() + "/deep/er") == 0700);
}

TEST_CASE("a directory serves one store at a time and the error names the process") {
  temporary_directory where;
  {
    const auto store = must_open(where);
    check_error(context_store::open(where.path().native(), ours), error_code::already_exists,
                std::to_string(::getpid()));
    CHECK(context_store::is_in_use(where.path().native()));
  }
  CHECK_FALSE(context_store::is_in_use(where.path().native()));
  CHECK(context_store::open(where.path().native(), ours));
}

TEST_CASE("a directory that cannot be used is named") {
  temporary_directory where;
  std::ofstream{where.path().native() + "/file"} << "x";
  check_error(context_store::open(where.path().native() + "/file/below", ours),
              error_code::storage_failure, "/file/below");
  std::filesystem::create_directory(where.path().native() + "/taken");
  std::filesystem::create_directory(where.path().native() + "/taken/context.lock");
  check_error(context_store::open(where.path().native() + "/taken", ours),
              error_code::storage_failure, "context.lock");
  std::filesystem::create_directory(where.path().native() + "/odd");
  std::filesystem::create_directory(where.path().native() + "/odd/context.db");
  check_error(context_store::open(where.path().native() + "/odd", ours),
              error_code::storage_failure, "context.db");
}

TEST_CASE("a file that is no database, of another program, or of a newer build is refused") {
  temporary_directory where;
  SUBCASE("no database") {
    std::ofstream{where.path().native() + "/context.db"} << std::string(8192, 'x');
    check_error(context_store::open(where.path().native(), ours), error_code::corrupt_data,
                "context.db");
  }
  SUBCASE("another program's") {
    tamper(where, "CREATE TABLE something (x)");
    check_error(context_store::open(where.path().native(), ours), error_code::invalid_argument,
                "another program");
  }
  SUBCASE("a newer build's") {
    { const auto store = must_open(where); }
    tamper(where, "PRAGMA user_version = 7");
    check_error(context_store::open(where.path().native(), ours), error_code::version_mismatch,
                "format 7");
  }
  SUBCASE("of a format that no release wrote") {
    { const auto store = must_open(where); }
    tamper(where, "PRAGMA user_version = 1");
    check_error(context_store::open(where.path().native(), ours), error_code::version_mismatch,
                "use a new data directory");
  }
}

TEST_CASE("torn pages are found when a store opens") {
  temporary_directory where;
  {
    auto store = must_open(where);
    for (std::uint64_t i = 0; i < 20; ++i)
      REQUIRE(append(store, changes_of(2, i * 100 + 1, i * 100 + 100)));
  }
  tamper(where, "PRAGMA wal_checkpoint(TRUNCATE)");
  const auto size = std::filesystem::file_size(where.path().native() + "/context.db");
  std::fstream file{where.path().native() + "/context.db",
                    std::ios::in | std::ios::out | std::ios::binary};
  file.seekp(static_cast<std::streamoff>(size / 2 / 4096 * 4096));
  file << std::string(4096, '\x55');
  file.close();
  check_error(context_store::open(where.path().native(), ours), error_code::corrupt_data,
              "damaged");
}

TEST_CASE("every incarnation gets a number that none had before") {
  temporary_directory where;
  {
    auto store = must_open(where);
    CHECK(store.begin_incarnation(0) == 1u);
    CHECK(store.begin_incarnation(0) == 2u);
  }
  {
    auto store = must_open(where);
    CHECK(store.begin_incarnation(0) == 3u);
    CHECK(store.begin_incarnation(1000) == 1000u);
    CHECK(store.begin_incarnation(500) == 1001u);
    REQUIRE(append(store, {put({ours.node, 5000, 1}, "/a", 1)}));
  }
  CHECK(must_open(where).begin_incarnation(0) == 5001u);
}

TEST_CASE("a store that is moved goes on") {
  temporary_directory where;
  auto first = must_open(where);
  auto second = std::move(first);
  CHECK(append(second, changes_of(2, 1, 2)));
  temporary_directory elsewhere;
  second = must_open(elsewhere);
  CHECK(append(second, changes_of(2, 1, 1)));
  first = must_open(where);
  CHECK(last_logged(first, 2) == 2);
}
