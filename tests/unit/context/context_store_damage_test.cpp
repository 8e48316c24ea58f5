#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a damaged log row is named when it is read") {
  temporary_directory where;
  {
    auto store = must_open(where);
    for (std::uint64_t seq = 1; seq <= 5; ++seq) REQUIRE(append(store, changes_of(2, seq, seq)));
  }
  SUBCASE("changed bytes") {
    tamper(where,
           "UPDATE log SET batch = CAST(substr(batch, 1, length(batch) - 1) || 'x' AS BLOB) "
           "WHERE number = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, "log row 3");
    check_error(read_log(store, 2, 2), error_code::corrupt_data, "log row 3");
    CHECK(logged(store, 2, 4).size() == 2);
  }
  SUBCASE("a row moved to another place") {
    tamper(where,
           "UPDATE log SET batch = (SELECT batch FROM log WHERE number = 2), hash = (SELECT hash "
           "FROM log WHERE number = 2)"
           " WHERE number = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, "log row 3");
  }
  SUBCASE("an incarnation that became another one") {
    tamper(where, "UPDATE runs SET incarnation = 2");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, "log row 1");
  }
  SUBCASE("an incarnation without its node") {
    tamper(where, "UPDATE runs SET origin = x'00'");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, "log row 1");
  }
  SUBCASE("a row that says it is another one") {
    tamper(where, "UPDATE log SET last = 30, first = 30 WHERE number = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, "log row 3");
  }
  SUBCASE("a row of an incarnation that is not known") {
    tamper(where, "UPDATE log SET run = 7 WHERE number = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, "log row 3");
  }
  SUBCASE("a row that is gone") {
    tamper(where, "DELETE FROM log WHERE number = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, to_string(dot{node(2), 1, 4}));
  }
}

TEST_CASE("a row that is whole but holds no changes is damage too") {
  temporary_directory where;
  auto store = must_open(where);
  auto bytes = make_batches(changes_of(2, 1, 1)).front()->bytes();
  bytes[bytes.rfind("/a")] = 'x';  // no path
  const auto batch = change_batch::read(bytes);
  REQUIRE(batch);
  REQUIRE(store.append(std::vector{*batch}));
  check_error(restore(store, 1), error_code::corrupt_data, "log row 1");
}

TEST_CASE("damaged metadata is named") {
  temporary_directory where;
  {
    auto store = must_open(where);
    REQUIRE(store.begin_incarnation(0));
    REQUIRE(append(store, changes_of(2, 1, 1)));
    REQUIRE(store.checkpoint(*[&] { return restore(store, 1); }().map(
                                  [](const auto& engine) { return engine.state(); })));
  }
  const auto open = [&] { return context_store::open(where.path().native(), ours); };
  SUBCASE("identity") {
    tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'identity'");
    check_error(open(), error_code::corrupt_data, "'identity'");
  }
  SUBCASE("incarnation") {
    tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'incarnation'");
    auto store = open();
    REQUIRE(store);
    check_error(store->begin_incarnation(0), error_code::corrupt_data, "'incarnation'");
  }
  SUBCASE("checkpoint") {
    tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'checkpoint'");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::corrupt_data, "'checkpoint'");
  }
  SUBCASE("run") {
    tamper(where, "UPDATE runs SET hash = hash + 1");
    auto store = open();
    REQUIRE(store);
    check_error(store->last_logged({node(2), 1}), error_code::corrupt_data, "row 1 of 'runs'");
    check_error(append(*store, changes_of(2, 2, 2)), error_code::corrupt_data, "row 1 of 'runs'");
  }
  SUBCASE("table") {
    tamper(where, "DROP TABLE blocks");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::storage_failure, "blocks");
  }
  SUBCASE("entry") {
    tamper(where, "UPDATE blocks SET entries = x'90'");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::corrupt_data,
                "block 1 (entries from '/a' on)");
  }
  SUBCASE("entry that is gone") {
    tamper(where, "DELETE FROM blocks");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::corrupt_data, "add up");
  }
}
