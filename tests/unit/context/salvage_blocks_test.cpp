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

namespace {

constexpr std::uint64_t entries = 400;

/// A store whose log lacks what its checkpoint has. Each block has some thirty entries.
void write_blocks(const temporary_directory& where) {
  processed_changes all;
  all.raise({node(2), 1, entries});
  {
    context_engine engine{node(50), 1};
    for (std::uint64_t seq = 1; seq <= entries; ++seq) {
      const auto record =
          put({node(2), 1, seq}, "/n/" + std::to_string(seq), random_text(seq, 1000));
      REQUIRE(engine.apply(record, noon).status == apply_status::applied);
    }
    auto store = must_open(where);
    REQUIRE(store.adopt(engine.state(), all));
  }
  tamper(where, "PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace

TEST_CASE("of a checkpoint without a whole log, what is in sound blocks is kept") {
  temporary_directory where;
  write_blocks(where);
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
      // A page on which a long row goes on begins with the number of the next one.
      SQLite::Statement begin{database,
                              "SELECT substr(entries, -9000, 16) FROM blocks WHERE number = ?"};
      begin.bind(1, number);
      REQUIRE(begin.executeStep());
      const std::string known{bytes_of(begin.getColumn(0))};
      const auto at = read_file(file).find(known);
      REQUIRE(at != std::string::npos);
      std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
      bytes.seekp(static_cast<std::streamoff>(at / 4096 * 4096));
      bytes << "xxxx";  // no page has this number
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

TEST_CASE("reading blocks goes on forward where pages are in the wrong place") {
  temporary_directory where;
  write_blocks(where);
  const auto file = where.path() / "context.db";
  const auto sound = read_file(file);
  constexpr std::size_t page_bytes = 4096;
  std::vector<std::size_t> leaves;  // of tables whose rows have numbers
  for (auto at = page_bytes; at < sound.size(); at += page_bytes)
    if (sound[at] == 0x0d && sound[at + 3] == 0 && sound[at + 4] > 0 && sound[at + 4] < 8)
      leaves.push_back(at);
  REQUIRE(leaves.size() > 5);
  for (const auto from : leaves)
    for (std::size_t i = 0; i + 1 < leaves.size(); ++i) {
      auto bytes = sound;
      bytes.replace(leaves[i], page_bytes, sound.substr(from, page_bytes));
      bytes.replace(leaves[i + 1], page_bytes, page_bytes, 'g');
      write_file(file, bytes);
      const store_files files{where.path().native()};
      const auto saved = salvage_store(files);
      REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
      CHECK(saved->entries + saved->lost_entries == entries);
      files.drop_salvage();
    }
}
