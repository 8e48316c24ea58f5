#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/context/store/unsent_file.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace fs = std::filesystem;

namespace {

context_tree tree_of(const std::vector<std::vector<change_record>>& entries) {
  context_tree tree;
  for (const auto& records : entries) {
    std::vector<sibling> all;
    for (const auto& each : records) all.push_back(sibling::of(each, content_hash(each)));
    tree.put(records.front().path, all);
  }
  return tree;
}

std::string must_write_unsent(const temporary_directory& where, std::uint64_t number,
                              const context_tree& entries) {
  const auto name = write_unsent(where.path().native(), number, entries);
  REQUIRE_MESSAGE(name, (name ? "" : name.error().message));
  return *name;
}

/// The lines of a file, each of which must be a JSON object.
std::vector<value> lines_in(const std::string& name) {
  std::vector<value> lines;
  const auto bytes = read_file(name);
  REQUIRE((bytes.empty() || bytes.back() == '\n'));
  std::istringstream text{bytes};
  for (std::string line; std::getline(text, line);) {
    auto read = value::from_json(line);
    REQUIRE_MESSAGE(read, line);
    lines.push_back(*read);
  }
  return lines;
}

std::vector<std::string> files_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& each : fs::directory_iterator{directory})
    names.push_back(each.path().filename());
  std::ranges::sort(names);
  return names;
}

fs::perms mode_of(const fs::path& file) { return fs::status(file).permissions() & fs::perms::mask; }

}  // namespace

TEST_CASE(
    "what was not sent is in a file of its own, a line for each write, in the order of paths") {
  temporary_directory where;
  const auto later = 5000 * (timestamp::from_parts(1, 0).ticks - timestamp::from_parts(0, 0).ticks);
  const auto name = must_write_unsent(
      where, 42,
      tree_of({{put({node(1), 1, 2}, "/b \"x\"\n", value::map({{"n", 1}}), {}, later)},
               {put({node(1), 1, 1}, "/a", "text")}}));
  CHECK(name == where.path().native() + "/context.unsent/42.ndjson");
  const auto lines = lines_in(name);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == value::map({{"path", "/a"},
                                {"value", "text"},
                                {"time_ms", static_cast<std::int64_t>(noon)},
                                {"principal", "tester"}}));
  CHECK(lines[1] == value::map({{"path", "/b \"x\"\n"},
                                {"value", value::map({{"n", 1}})},
                                {"time_ms", static_cast<std::int64_t>(noon + 5000)},
                                {"principal", "tester"}}));
}

TEST_CASE("an erasure is a line that says so") {
  temporary_directory where;
  const auto lines =
      lines_in(must_write_unsent(where, 1, tree_of({{erase({node(1), 1, 1}, "/a")}})));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == value::map({{"path", "/a"},
                                {"erased", true},
                                {"time_ms", static_cast<std::int64_t>(noon)},
                                {"principal", "tester"}}));
}

TEST_CASE("a value of nothing is no erasure") {
  temporary_directory where;
  const auto lines =
      lines_in(must_write_unsent(where, 1, tree_of({{put({node(1), 1, 1}, "/a", nullptr)}})));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("value") == value{nullptr});
  CHECK_FALSE(lines[0].find("erased"));
}

TEST_CASE("of writes that compete each has a line") {
  temporary_directory where;
  const auto lines = lines_in(must_write_unsent(
      where, 1,
      tree_of({{put({node(1), 1, 1}, "/a", 1), erase({node(2), 1, 1}, "/a", {}, 5),
                put({node(3), 1, 1}, "/a", 3, {}, 9)}})));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].find("value") == value{1});
  CHECK(lines[1].find("erased") == value{true});
  CHECK(lines[2].find("value") == value{3});
}

TEST_CASE("a counter has the number that was read there") {
  temporary_directory where;
  context_engine one{node(1), 1}, two{node(2), 1};
  REQUIRE(one.write(operation::increment, a, 3, "tester", {}, noon));
  const auto other = two.write(operation::increment, a, 4, "tester", {}, noon);
  REQUIRE(other);
  REQUIRE(status_of(one, *other) == apply_status::applied);
  REQUIRE(one.tree().find(a)->siblings().size() == 2);
  const auto lines = lines_in(must_write_unsent(where, 1, one.tree()));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("value") == value{7});
}

TEST_CASE("nobody else can read the file") {
  temporary_directory where;
  const fs::path name = must_write_unsent(where, 1, tree_of({{put({node(1), 1, 1}, "/a", 1)}}));
  CHECK(mode_of(name) == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(mode_of(name.parent_path()) == fs::perms::owner_all);
}

TEST_CASE("a file with the same number is replaced, and others stay") {
  temporary_directory where;
  const auto first = must_write_unsent(where, 1, tree_of({{put({node(1), 1, 1}, "/a", 1)}}));
  const auto other = must_write_unsent(where, 2, tree_of({{put({node(1), 1, 1}, "/b", 2)}}));
  CHECK(must_write_unsent(where, 1, tree_of({{put({node(1), 1, 1}, "/c", 3)}})) == first);
  REQUIRE(lines_in(first).size() == 1);
  CHECK(lines_in(first)[0].find("path") == value{"/c"});
  CHECK(lines_in(other)[0].find("path") == value{"/b"});
  CHECK(files_in(where.path() / "context.unsent") ==
        std::vector<std::string>{"1.ndjson", "2.ndjson"});
}

TEST_CASE("what an earlier attempt has left does not matter") {
  temporary_directory where;
  const auto directory = where.path() / "context.unsent";
  fs::create_directory(directory);
  const auto elsewhere = where.path() / "elsewhere";
  write_file(elsewhere, "keep");
  SUBCASE("a part of a file") { write_file(directory / "1.ndjson.new", "{\"pa"); }
  SUBCASE("a link to another one") { fs::create_symlink(elsewhere, directory / "1.ndjson.new"); }
  const auto name = must_write_unsent(where, 1, tree_of({{put({node(1), 1, 1}, "/a", 1)}}));
  CHECK(lines_in(name).size() == 1);
  CHECK(files_in(directory) == std::vector<std::string>{"1.ndjson"});
  CHECK(read_file(elsewhere) == "keep");
}

TEST_CASE("more than is written at once is there to the last line") {
  temporary_directory where;
  std::vector<std::vector<change_record>> entries;
  for (std::uint64_t n = 0; n < 50; ++n)
    entries.push_back({put({node(1), 1, n + 1}, "/" + std::to_string(100 + n),
                           std::string(50'000, static_cast<char>('a' + n % 26)))});
  const auto lines = lines_in(must_write_unsent(where, 1, tree_of(entries)));
  REQUIRE(lines.size() == 50);
  for (std::size_t n = 0; n < 50; ++n)
    CHECK(lines[n].find("value") == entries[n].front().new_value);
}

TEST_CASE("where the file cannot be written the reason names it, and nothing is left") {
  temporary_directory where;
  const auto directory = where.path() / "context.unsent";
  std::string named = directory.native();
  SUBCASE("its directory cannot be made") { write_file(directory, ""); }
  SUBCASE("another directory is in its place") {
    fs::create_directories(directory / "1.ndjson" / "full");
    named += "/1.ndjson";
  }
  SUBCASE("a directory is in the place of the new one") {
    fs::create_directories(directory / "1.ndjson.new");
    named += "/1.ndjson";
  }
  const auto refused =
      write_unsent(where.path().native(), 1, tree_of({{put({node(1), 1, 1}, "/a", 1)}}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::storage_failure);
  CHECK_MESSAGE(refused.error().message.find("'" + named) != std::string::npos,
                refused.error().message);
  CHECK_FALSE(fs::is_regular_file(directory / "1.ndjson.new"));
  CHECK_FALSE(fs::is_regular_file(directory / "1.ndjson"));
}
