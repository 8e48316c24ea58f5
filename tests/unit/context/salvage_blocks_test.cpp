#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <troupe/actors/context/store/block_table.hpp>
#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("of a checkpoint without a whole log, what is in sound blocks is kept") {
  temporary_directory where;
  constexpr std::uint64_t entries = 400;
  processed_changes all;
  all.raise({node(2), 1, entries});
  {
    auto store = must_open(where);
    std::vector<change_record> records;
    for (std::uint64_t seq = 1; seq <= entries; ++seq)
      records.push_back(
          put({node(2), 1, seq}, "/n/" + std::to_string(seq), random_text(seq, 1000)));
    context_engine engine{node(50), 1};
    for (const auto& each : records)
      REQUIRE(engine.apply(each, noon).status == apply_status::applied);
    REQUIRE(store.adopt(engine.state(), all));
  }
  tamper(where, "PRAGMA wal_checkpoint(TRUNCATE)");
  const auto file = (where.path() / "context.db").string();
  const auto in_two_blocks = [&] {
    SQLite::Database database{file, SQLite::OPEN_READWRITE};
    context_tree lost;
    SQLite::Statement rows{
        database, "SELECT number, first, entries, hash FROM blocks WHERE number IN (3, 7)"};
    while (rows.executeStep()) REQUIRE(block_table::add_row(rows, lost));
    return lost.size();
  }();
  REQUIRE(in_two_blocks > 0);
  REQUIRE(in_two_blocks < entries / 2);
  SUBCASE("rows that are wrong") {
    tamper(where, "UPDATE blocks SET hash = 1 WHERE number IN (3, 7)");
  }
  SUBCASE("rows whose pages cannot be read") {
    SQLite::Database database{file, SQLite::OPEN_READWRITE};
    for (const auto number : {3, 7}) {
      // The first of the pages on which a long row goes on names the next one.
      SQLite::Statement begin{database,
                              "SELECT substr(entries, -3000, 16) FROM blocks WHERE number = ?"};
      begin.bind(1, number);
      REQUIRE(begin.executeStep());
      const std::string known{bytes_of(begin.getColumn(0))};
      const auto at = read_file(file).find(known);
      REQUIRE(at != std::string::npos);
      std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes << std::string(16, 'x');
    }
  }
  const store_files files{where.path().native()};
  const auto saved = salvage_store(files);
  REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
  CHECK(saved->needs_state);
  CHECK(saved->entries == entries - in_two_blocks);
  CHECK(saved->lost_entries == in_two_blocks);
  REQUIRE(files.take_salvaged());
  CHECK(must_open(where).load_salvaged()->entries.size() == entries - in_two_blocks);
}
