#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/context/value_queries.hpp>
#include <troupe/tests/support/context_fixture.hpp>

using namespace troupe;

namespace {

struct fixture {
  context_engine engine{test::node(1), 1};

  void set(std::string_view where, value given) {
    REQUIRE(engine.write(operation::put, path{where}, std::move(given), "tester", {}, test::noon));
  }
  void erase(std::string_view where) {
    REQUIRE(engine.write(operation::erase, path{where}, {}, "tester", {}, test::noon));
  }
  /// A change of another node that has seen nothing of this one.
  void set_elsewhere(std::string_view where, value given) {
    REQUIRE(engine.apply(test::put({test::node(2), 1, ++elsewhere_}, where, std::move(given)), test::noon).status ==
            apply_status::applied);
  }
  std::vector<std::string> paths(const list_values& wanted) const {
    std::vector<std::string> all;
    for (const auto& each : list_page(engine, wanted).entries) all.push_back(each.path.text());
    return all;
  }

private:
  std::uint64_t elsewhere_ = 0;
};

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(fixture, "an empty tree is an empty page") {
  const auto page = list_page(engine, {});
  CHECK(page.entries.empty());
  CHECK_FALSE(page.more);
}

TEST_CASE_FIXTURE(fixture, "a page has the values at and below a path, in the order of the tree") {
  set("/a", 1);
  set("/a/b", 2);
  set("/a/b/c", 3);
  set("/a-b", 4);
  set("/b", 5);
  CHECK(paths({}) == strings{"/a", "/a/b", "/a/b/c", "/a-b", "/b"});
  CHECK(paths({.prefix = path{"/a"}}) == strings{"/a", "/a/b", "/a/b/c"});
  CHECK(paths({.prefix = path{"/a/b/c"}}) == strings{"/a/b/c"});
  CHECK(paths({.prefix = path{"/none"}}).empty());
  CHECK(list_page(engine, {.prefix = path{"/b"}}).entries.front() == context_entry{path{"/b"}, 5});
}

TEST_CASE_FIXTURE(fixture, "what was erased is not listed") {
  set("/a", 1);
  set("/b", 2);
  erase("/a");
  CHECK(paths({}) == strings{"/b"});
}

TEST_CASE_FIXTURE(fixture, "a list is read page by page, without gaps or repetitions") {
  strings expected;
  for (int i = 100; i < 125; ++i) {
    expected.push_back("/list/" + std::to_string(i));
    set(expected.back(), i);
  }
  set("/list/110/below", true);
  expected.insert(expected.begin() + 11, "/list/110/below");
  erase("/list/105");
  expected.erase(expected.begin() + 5);
  set("/other", 1);

  strings got;
  list_values wanted{.prefix = path{"/list"}, .after = {}, .limit = 4};
  int pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = list_page(engine, wanted);
    CHECK(page.entries.size() <= 4);
    CHECK(page.hash == engine.subtree_hash(path{"/list"}));
    for (const auto& each : page.entries) got.push_back(each.path.text());
    more = page.more;
    wanted.after = page.entries.back().path;
  }
  CHECK(got == expected);
  CHECK(pages == 7);
}

TEST_CASE_FIXTURE(fixture, "the last page does not promise more, even when it is full") {
  set("/a", 1);
  set("/b", 2);
  CHECK_FALSE(list_page(engine, {.limit = 2}).more);
  CHECK(list_page(engine, {.limit = 1}).more);
  // What comes after is erased, so there is nothing more to read.
  erase("/b");
  CHECK_FALSE(list_page(engine, {.limit = 1}).more);
}

TEST_CASE_FIXTURE(fixture, "a list goes on after a path that is gone") {
  set("/a", 1);
  set("/c", 3);
  CHECK(paths({.after = path{"/b"}}) == strings{"/c"});
}

TEST_CASE_FIXTURE(fixture, "a page has at least one entry and at most ten thousand") {
  for (int i = 0; i < 10'002; ++i) set("/n/" + std::to_string(i), i);
  CHECK(list_page(engine, {.limit = 0}).entries.size() == 1);
  const auto page = list_page(engine, {.limit = 4'000'000'000});
  CHECK(page.entries.size() == 10'000);
  CHECK(page.more);
}

TEST_CASE_FIXTURE(fixture, "a page stays within some mebibytes") {
  for (int i = 0; i < 8; ++i) set("/big/" + std::to_string(i), std::string(std::size_t{1} << 19, 'x') + std::string(400'000, 'y'));
  const auto page = list_page(engine, {});
  CHECK(page.more);
  std::size_t bytes = 0;
  for (const auto& each : page.entries) bytes += each.value.msgpack().size();
  CHECK(bytes > std::size_t{3} << 20);
  CHECK(bytes < std::size_t{6} << 20);
}

TEST_CASE_FIXTURE(fixture, "pages of one state have one hash, and a change gives another") {
  set("/a/1", 1);
  set("/a/2", 2);
  const auto before = list_page(engine, {.prefix = path{"/a"}, .after = {}, .limit = 1}).hash;
  set("/b", 1);
  CHECK(list_page(engine, {.prefix = path{"/a"}, .after = path{"/a/1"}}).hash == before);
  set("/a/1", 7);
  CHECK(list_page(engine, {.prefix = path{"/a"}}).hash != before);
}

TEST_CASE_FIXTURE(fixture, "a sound tree verifies, with its entries, conflicts and vector") {
  set("/a/1", 1);
  set("/a/2", 2);
  set("/b", 3);
  erase("/a/2");
  set_elsewhere("/b", 4);
  const auto all = verify_subtree(engine, {});
  CHECK(all.sound);
  CHECK(all.hash == engine.root_hash());
  CHECK(all.entries == 2);
  CHECK(all.conflicts == 1);
  CHECK(all.vector == engine.vector());

  const auto part = verify_subtree(engine, path{"/a"});
  CHECK(part.sound);
  CHECK(part.entries == 1);
  CHECK(part.hash == engine.subtree_hash(path{"/a"}));
  CHECK(verify_subtree(engine, path{"/none"}).entries == 0);
}
