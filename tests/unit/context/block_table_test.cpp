#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <troupe/actors/context/store/block_table.hpp>
#include <troupe/actors/context/store/checkpoint_table.hpp>
#include <troupe/actors/context/store/entry_block.hpp>
#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::size_t largest_entry = 3000;

/// The blocks of a store, and the tree that they are to be.
struct block_fixture {
  temporary_directory where;
  SQLite::Database database = make();
  block_table blocks{database};
  context_tree written, tree;

  SQLite::Database make() const {
    { const auto store = must_open(where); }
    return {(where.path() / "context.db").string(), SQLite::OPEN_READWRITE};
  }
  void put(std::uint32_t key, std::uint64_t seed, std::size_t length) {
    const auto record = test::put({node(2), 1, seed}, path_of(key), random_text(seed, length));
    const auto only = sibling::of(record, content_hash(record));
    tree.put(record.path, {&only, 1});
  }
  void erase(std::uint32_t key) { tree.erase(path{path_of(key)}); }
  static std::string path_of(std::uint32_t key) {
    return "/v/" + std::to_string(key % 10) + "/" + std::to_string(key);
  }

  void write() {
    block_table::layout now;
    REQUIRE(transact(database, [&]() -> result<void> {
      now = blocks.write(written, tree);
      return {};
    }));
    blocks.use(std::move(now));
    written = tree;
  }
  /// The bytes of the entries of each row, in tree order.
  std::vector<std::size_t> sizes() {
    std::map<std::string, std::size_t, block_table::path_less> sizes;
    SQLite::Statement rows{database, "SELECT number, first, entries, hash FROM blocks"};
    while (rows.executeStep()) {
      context_tree alone;
      REQUIRE(block_table::add_row(rows, alone));
      auto& size = sizes[rows.getColumn(1).getString()];
      alone.visit_subtree(path{}, [&](const tree_entry& entry) {
        size += entry_block_writer::bytes_of(entry);
        return true;
      });
    }
    std::vector<std::size_t> in_order;
    for (const auto& [first, size] : sizes) in_order.push_back(size);
    return in_order;
  }
  /// The hashes of the rows.
  std::vector<std::int64_t> hashes() {
    std::vector<std::int64_t> all;
    SQLite::Statement rows{database, "SELECT hash FROM blocks"};
    while (rows.executeStep()) all.push_back(rows.getColumn(0).getInt64());
    std::ranges::sort(all);
    return all;
  }
  void check() {
    context_tree read;
    block_table other{database};
    const auto loaded = other.load(read);
    REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
    CHECK(read.summary().hash == tree.summary().hash);
    CHECK(blocks.missing().empty());
    CHECK(blocks.check_rows(tree, INT64_MIN, SIZE_MAX)->wrong.empty());
    for (const auto size : sizes()) CHECK(size <= block_table::most_bytes + largest_entry);
  }
};

}  // namespace

TEST_CASE("the blocks are the tree, whatever changes") {
  block_fixture f;
  std::mt19937 random{5};
  std::uint64_t seed = 0;
  // It grows, and shrinks to nothing.
  for (const auto puts : {400U, 300U, 1U, 20U, 100U, 3U, 0U}) {
    for (auto left = puts; left > 0; --left)
      f.put(random() % 1000, ++seed, random() % largest_entry);
    if (puts < 400)
      for (int i = 0; i < 150; ++i) f.erase(random() % 1000);
    if (puts == 0) f.tree = {};
    f.write();
    f.check();
  }
  CHECK(f.sizes().empty());
  f.put(1, 1, 10);
  f.write();
  f.check();
}

TEST_CASE("a change writes the block into which it falls, and no other") {
  block_fixture f;
  for (std::uint32_t key = 0; key < 420; ++key) f.put(key, key, 1000);  // no block is full
  f.write();
  const auto before = f.hashes();
  REQUIRE(before.size() > 10);
  SUBCASE("another value") { f.put(250, 1000, 1000); }
  SUBCASE("a new path") { f.put(2500, 1000, 10); }
  SUBCASE("a path before all others") {
    const auto record = put({node(2), 1, 9}, "/a", 1);
    const auto only = sibling::of(record, content_hash(record));
    f.tree.put(record.path, {&only, 1});
  }
  SUBCASE("a path that is gone") { f.erase(250); }
  f.write();
  f.check();
  const auto after = f.hashes();
  CHECK(after.size() == before.size());
  std::vector<std::int64_t> fresh;
  std::ranges::set_difference(after, before, std::back_inserter(fresh));
  CHECK(fresh.size() == 1);
}

TEST_CASE("blocks that have become small are joined") {
  block_fixture f;
  for (std::uint32_t key = 0; key < 1000; ++key) f.put(key, key, 1000);
  f.write();
  REQUIRE(f.sizes().size() > 30);
  for (std::uint32_t key = 0; key < 1000; ++key)
    if (key % 20 != 0) f.erase(key);
  f.write();
  f.check();
  const auto sizes = f.sizes();
  CHECK(sizes.size() < 8);
  // Only the last one has no next one.
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i)
    CHECK(sizes[i] >= block_table::least_bytes / 2);
}

TEST_CASE("a block that has become small, and no other, is joined with the next one") {
  block_fixture f;
  for (std::uint32_t key = 0; key < 420; ++key) f.put(key, key, 1000);
  f.write();
  // The third block in tree order is left with one entry.
  std::vector<std::string> firsts;
  SQLite::Statement rows{f.database, "SELECT first FROM blocks"};
  while (rows.executeStep()) firsts.push_back(rows.getColumn(0).getString());
  std::ranges::sort(firsts, block_table::path_less{});
  std::vector<path> gone;
  f.tree.visit_from(path{firsts[2]}, [&](const tree_entry& entry) {
    gone.push_back(path::from_checked(std::string{entry.path()}));
    return entry.path() != firsts[3];
  });
  gone.pop_back();
  gone.pop_back();
  for (const auto& each : gone) f.tree.erase(each);
  f.write();
  f.check();
  for (const auto size : f.sizes()) CHECK(size >= block_table::least_bytes);
}

TEST_CASE("what grows is divided into equal parts") {
  block_fixture f;
  for (std::uint32_t key = 0; key < 30; ++key) f.put(key, key, 1000);
  f.write();
  REQUIRE(f.sizes().size() == 1);
  for (std::uint32_t key = 100; key < 104; ++key) f.put(key, key, 1000);
  f.write();
  f.check();
  const auto sizes = f.sizes();
  REQUIRE(sizes.size() == 2);
  CHECK(std::max(sizes[0], sizes[1]) - std::min(sizes[0], sizes[1]) < 3000);
}

TEST_CASE("blocks that overlap are damage") {
  block_fixture f;
  for (std::uint32_t key = 0; key < 100; ++key) f.put(key, key, 1000);
  f.write();
  // A row that was right once, under a number that it had.
  f.database.exec("CREATE TABLE old AS SELECT * FROM blocks WHERE number = 3");
  f.tree = {};
  f.put(1, 1, 10);
  f.put(99, 2, 40'000);
  f.write();
  f.database.exec("INSERT OR REPLACE INTO blocks SELECT * FROM old");
  context_tree read;
  check_error(block_table{f.database}.load(read), error_code::corrupt_data, "overlaps");
}

TEST_CASE("a checkpoint that is not written leaves the next one as much to write") {
  temporary_directory where;
  { const auto store = must_open(where); }
  SQLite::Database database{(where.path() / "context.db").string(), SQLite::OPEN_READWRITE};
  meta_table meta{database};
  checkpoint_table checkpoints{database, meta};
  engine_state state;
  const auto add = [&](const std::string& below, std::uint64_t first, std::uint64_t last) {
    for (auto seq = first; seq <= last; ++seq) {
      const auto record =
          put({node(2), 1, seq}, below + std::to_string(seq), random_text(seq, 1000));
      const auto only = sibling::of(record, content_hash(record));
      state.tree.put(record.path, {&only, 1});
    }
  };
  add("/later/", 1, 30);
  REQUIRE(checkpoints.write(state, 1));
  // What is new divides the block, and lies in its first part only.
  add("/earlier/", 31, 35);
  const auto refused = [] { return result<void>{fail(error_code::storage_failure, "refused")}; };
  CHECK_FALSE(checkpoints.write(state, 1, refused));
  REQUIRE(checkpoints.write(state, 1));
  checkpoint_table next{database, meta};
  const auto loaded = next.load();
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
  CHECK(loaded->tree.hash() == state.tree.hash());
}

TEST_CASE("two rows of one block are damage") {
  block_fixture f;
  for (std::uint32_t key = 0; key < 100; ++key) f.put(key, key, 1000);
  f.write();
  SQLite::Statement first{f.database, "SELECT first, entries FROM blocks WHERE number = 2"};
  REQUIRE(first.executeStep());
  const std::string where{bytes_of(first.getColumn(0))}, block{bytes_of(first.getColumn(1))};
  SQLite::Statement again{f.database, "INSERT INTO blocks VALUES (50, ?, ?, ?)"};
  again.bind(1, where);
  bind_blob(again, 2, block);
  again.bind(3, row_hash("50 " + where, block));
  again.exec();
  context_tree read;
  check_error(block_table{f.database}.load(read), error_code::corrupt_data, "overlaps");
}

TEST_CASE("a row with a number that none has is damage, and a check finds it") {
  block_fixture f;
  f.put(1, 1, 10);
  f.write();
  std::int64_t number = 0;
  SUBCASE("too small") { number = 0; }
  SUBCASE("negative") { number = -5; }
  SUBCASE("too large") { number = INT64_MAX; }
  SQLite::Statement change{f.database, "UPDATE blocks SET number = ?, hash = ?"};
  change.bind(1, number);
  SQLite::Statement now{f.database, "SELECT first, entries FROM blocks"};
  REQUIRE(now.executeStep());
  change.bind(2, row_hash(std::to_string(number) + ' ' + std::string{bytes_of(now.getColumn(0))},
                          bytes_of(now.getColumn(1))));
  now.reset();
  change.exec();
  context_tree read;
  check_error(block_table{f.database}.load(read), error_code::corrupt_data, "number");
  const auto checked = f.blocks.check_rows(f.tree, INT64_MIN, SIZE_MAX);
  REQUIRE(checked);
  CHECK(checked->wrong == std::vector{number});
  CHECK(checked->is_end);
  CHECK(f.blocks.missing() == std::vector<std::int64_t>{1});
}
