#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/store/entry_block.hpp>
#include <troupe/actors/context/sync/zstd_frame.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

std::string block_of(const context_tree& tree) {
  entry_block_writer writer;
  tree.visit_subtree(path{}, [&](const tree_entry& entry) {
    writer.add(entry);
    return true;
  });
  return writer.finish();
}

context_tree tree_in(const std::string& block) {
  context_tree tree;
  const auto read =
      read_entry_block(block, [&](const path& where, auto siblings) { tree.put(where, siblings); });
  REQUIRE_MESSAGE(read, (read ? "" : read.error().message));
  return tree;
}

/// Two paths; the second one has two writes.
entry_columns small_columns() {
  entry_columns columns;
  columns.sources = {{node(1), 1}};
  columns.principals = {"tester"};
  columns.shared = {0, 1};
  columns.rest = {2, 2};
  columns.siblings = {1, 2};
  columns.paths.bytes = "/abc";
  columns.source = {0, 0, 0};
  columns.seq = {1, 1, 1};
  columns.ms = {5, 0, 0};
  columns.tick = {0, 1, 2};
  columns.operation = {0, 1, 0};
  columns.principal = {0, 0, 0};
  columns.contents.bytes = std::string(24, '\x01');
  columns.values = {value{1}, value{2}};
  return columns;
}

}  // namespace

TEST_CASE("a block has all that its entries have") {
  context_engine one{node(1), 1}, two{node(2), 7};
  const auto write = [](context_engine& engine, operation what, const char* where, value given) {
    const auto made = engine.write(what, path{where}, std::move(given), "tester", {}, noon);
    REQUIRE(made);
    return *made;
  };
  write(one, operation::put, "/a", "x");
  write(one, operation::put, "/a/b", value::map({{"k", 1.5}}));
  write(one, operation::put, "/a-b", std::string(5000, 'y'));
  write(one, operation::put, "/\xc3\xa4/1", nullptr);
  write(one, operation::put, "/\xc3\xb6/1", -3);  // differs in the middle of a character
  write(one, operation::put, "/gone", 1);
  write(one, operation::erase, "/gone", {});
  write(one, operation::increment, "/count", 5);
  for (const auto& each :
       {write(two, operation::put, "/a", "z"), write(two, operation::increment, "/count", -7)})
    REQUIRE(status_of(one, each) == apply_status::applied);
  const auto& tree = one.tree();
  const auto read = tree_in(block_of(tree));
  CHECK(read.size() == tree.size());
  CHECK(read.summary().hash == tree.summary().hash);
  CHECK(read.verify());
}

TEST_CASE("a writer begins anew after each block") {
  context_engine engine{node(1), 1};
  REQUIRE(engine.write(operation::put, path{"/a"}, 1, "tester", {}, noon));
  const path where{"/a"};
  const auto entry = engine.tree().find(where);
  entry_block_writer writer;
  CHECK(writer.is_empty());
  writer.add(*entry);
  CHECK_FALSE(writer.is_empty());
  const auto first = writer.finish();
  CHECK(writer.is_empty());
  writer.add(*entry);
  CHECK(writer.finish() == first);
}

TEST_CASE("numbers of any size survive a block") {
  context_tree tree;
  const auto add = [&](const char* where, std::uint64_t seq, std::uint64_t ticks) {
    auto record = put({node(3), UINT64_MAX, seq}, where, 1);
    record.timestamp.ticks = ticks;
    const auto only = sibling::of(record, UINT64_MAX - seq);
    tree.put(record.path, {&only, 1});
  };
  add("/1", UINT64_MAX, 0);
  add("/2", 1, UINT64_MAX);
  add("/3", UINT64_MAX / 2, 65'536);
  CHECK(tree_in(block_of(tree)).summary().hash == tree.summary().hash);
}

TEST_CASE("columns that cannot be those of entries are refused") {
  auto columns = small_columns();
  std::string why;
  SUBCASE("a column that is too short") {
    columns.tick.pop_back();
    why = "different lengths";
  }
  SUBCASE("entries that lack a number") {
    columns.rest.pop_back();
    why = "different lengths";
  }
  SUBCASE("half a content hash") {
    columns.contents.bytes.pop_back();
    why = "different lengths";
  }
  SUBCASE("counts of some siblings only") {
    columns.counts = {{""}};
    why = "different lengths";
  }
  SUBCASE("a value too few") {
    columns.values.pop_back();
    why = "lacks values";
  }
  SUBCASE("a value too many") {
    columns.values.emplace_back(3);
    why = "lacks values";
  }
  SUBCASE("more of the path before than it has") {
    columns.shared[1] = 3;
    why = "path";
  }
  SUBCASE("more path than there is") {
    columns.rest[1] = UINT64_MAX;
    why = "path";
  }
  SUBCASE("no path") {
    columns.paths.bytes = "/abc~";
    columns.rest[1] = 3;
    why = "path";
  }
  SUBCASE("a path twice") {
    columns.shared[1] = 2;
    columns.rest[1] = 0;
    why = "path";
  }
  SUBCASE("no write") {
    columns.siblings[0] = 0;
    why = "no write";
  }
  SUBCASE("more concurrent writes than a path may have") {
    columns.siblings[0] = 257;
    why = "257 concurrent writes";
  }
  SUBCASE("more writes than there are") {
    columns.siblings[1] = 3;
    why = "lacks writes";
  }
  SUBCASE("fewer writes than there are") {
    columns.siblings[1] = 1;
    why = "more than its entries";
  }
  SUBCASE("more path than its entries have") {
    columns.paths.bytes += "d";
    why = "more than its entries";
  }
  SUBCASE("a source that it does not name") {
    columns.source[0] = 1;
    why = "names what it does not have";
  }
  SUBCASE("a principal that it does not name") {
    columns.principal[2] = 1;
    why = "names what it does not have";
  }
  SUBCASE("an operation that there is not") {
    columns.operation[1] = 4;
    why = "names what it does not have";
  }
  SUBCASE("counts that are malformed") {
    columns.counts = {{"\xc1"}, {""}, {""}};
    why = "counts is malformed";
  }
  int taken = 0;
  const auto take = [&](const path&, auto) { ++taken; };
  const auto read = read_entry_block(compress(encode(columns)), take);
  if (why.empty()) {
    CHECK(read);
    CHECK(taken == 2);
  } else {
    check_error(read, error_code::corrupt_data, why);
    CHECK(taken == 0);
  }
}

TEST_CASE("bytes that are no block are refused") {
  const auto take = [](const path&, auto) {};
  check_error(read_entry_block("", take), error_code::corrupt_data, "zstd frame");
  check_error(read_entry_block(compress("\x90"), take), error_code::corrupt_data, "");
}
