#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/context/queries/value_queries.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

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
    REQUIRE(
        engine
            .apply(test::put({test::node(2), 1, ++elsewhere_}, where, std::move(given)), test::noon)
            .status == apply_status::applied);
  }
  value_page page(const list_values& wanted) const {
    const auto made = list_page(engine.tree(), engine.strategy(), wanted, 1'000'000);
    REQUIRE(made);
    return *made;
  }
  values_verified verify(const path& prefix) const {
    return verify_subtree({engine.snapshot(), engine.vector(), engine.conflicts()},
                          engine.strategy(), prefix);
  }
  std::vector<std::string> paths(const list_values& wanted) const {
    std::vector<std::string> all;
    for (const auto& each : page(wanted).entries) all.push_back(each.path.text());
    return all;
  }

private:
  std::uint64_t elsewhere_ = 0;
};

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(fixture, "an empty tree is an empty page") {
  const auto found = page({});
  CHECK(found.entries.empty());
  CHECK_FALSE(found.more);
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
  CHECK(page({.prefix = path{"/b"}}).entries.front() == context_entry{path{"/b"}, 5});
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
    const auto found = page(wanted);
    CHECK(found.entries.size() <= 4);
    CHECK(found.hash == engine.subtree_hash(path{"/list"}));
    for (const auto& each : found.entries) got.push_back(each.path.text());
    more = found.more;
    wanted.after = found.entries.back().path;
  }
  CHECK(got == expected);
  CHECK(pages == 7);
}

TEST_CASE_FIXTURE(fixture, "the last page does not promise more, even when it is full") {
  set("/a", 1);
  set("/b", 2);
  CHECK_FALSE(page({.limit = 2}).more);
  CHECK(page({.limit = 1}).more);
  // What comes after is erased, so there is nothing more to read.
  erase("/b");
  CHECK_FALSE(page({.limit = 1}).more);
}

TEST_CASE_FIXTURE(fixture, "a list goes on after a path that is gone") {
  set("/a", 1);
  set("/c", 3);
  CHECK(paths({.after = path{"/b"}}) == strings{"/c"});
}

TEST_CASE_FIXTURE(fixture, "a page has at least one entry and at most ten thousand") {
  for (int i = 0; i < 10'002; ++i) set("/n/" + std::to_string(i), i);
  CHECK(page({.limit = 0}).entries.size() == 1);
  const auto found = page({.limit = 4'000'000'000});
  CHECK(found.entries.size() == 10'000);
  CHECK(found.more);
}

TEST_CASE_FIXTURE(fixture, "a page stays within some mebibytes") {
  for (int i = 0; i < 8; ++i)
    set("/big/" + std::to_string(i),
        std::string(std::size_t{1} << 19, 'x') + std::string(400'000, 'y'));
  const auto found = page({});
  CHECK(found.more);
  std::size_t bytes = 0;
  for (const auto& each : found.entries) bytes += each.value.msgpack().size();
  CHECK(bytes > std::size_t{3} << 20);
  CHECK(bytes < std::size_t{6} << 20);
}

TEST_CASE_FIXTURE(fixture, "pages of one state have one hash, and a change gives another") {
  set("/a/1", 1);
  set("/a/2", 2);
  const auto before = page({.prefix = path{"/a"}, .after = {}, .limit = 1}).hash;
  set("/b", 1);
  CHECK(page({.prefix = path{"/a"}, .after = path{"/a/1"}}).hash == before);
  set("/a/1", 7);
  CHECK(page({.prefix = path{"/a"}}).hash != before);
}

TEST_CASE_FIXTURE(fixture, "a sound tree verifies, with its entries, conflicts and vector") {
  set("/a/1", 1);
  set("/a/2", 2);
  set("/b", 3);
  erase("/a/2");
  set_elsewhere("/b", 4);
  const auto all = verify({});
  CHECK(all.sound);
  CHECK(all.hash == engine.root_hash());
  CHECK(all.entries == 2);
  CHECK(all.conflicts == 1);
  CHECK(all.vector == engine.vector());

  const auto part = verify(path{"/a"});
  CHECK(part.sound);
  CHECK(part.entries == 1);
  CHECK(part.hash == engine.subtree_hash(path{"/a"}));
  CHECK(verify(path{"/none"}).entries == 0);
}

TEST_CASE_FIXTURE(fixture,
                  "a page has no more parts than a frame may have, with any two values in it") {
  const value parts = value::array(std::vector<value>(500'000, 1));
  for (const auto* where : {"", "/a", "/b", "/c"}) set(where, parts);
  const auto first = page({});
  CHECK(decode<value_page>(encode(first)));
  CHECK(first.entries.size() == 2);
  CHECK(first.more);
  const auto second = page({.after = path{"/a"}});
  CHECK(second.entries.size() == 1);
  CHECK(second.more);
  set("/small", 1);
  CHECK(page({.after = path{"/b"}}).entries.size() == 2);
}

TEST_CASE_FIXTURE(fixture, "a value at the root does not keep a reader on the first page") {
  set("", 0);
  set("/a", 1);
  set("/b", 2);
  CHECK(paths({.limit = 1}) == strings{"", "/a"});
  CHECK(page({.limit = 1}).more);
  CHECK(paths({.after = path{"/a"}, .limit = 1}) == strings{"/b"});
  CHECK_FALSE(page({.after = path{"/a"}, .limit = 1}).more);
}

TEST_CASE_FIXTURE(fixture, "a page that needs to look at more entries than allowed is not made") {
  for (int i = 0; i < 20; ++i) set("/n/" + std::to_string(100 + i), i);
  for (int i = 0; i < 19; ++i) erase("/n/" + std::to_string(100 + i));
  CHECK_FALSE(list_page(engine.tree(), engine.strategy(), {}, 19));
  CHECK(list_page(engine.tree(), engine.strategy(), {}, 20)->entries.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "an explanation fits into a frame and says which values it leaves out") {
  const value parts = value::array(std::vector<value>(500'000, 1));
  for (unsigned origin = 2; origin < 6; ++origin)
    REQUIRE(engine.apply(test::put({test::node(origin), 1, 1}, "/a", parts), test::noon).status ==
            apply_status::applied);
  const auto told = engine.explain(path{"/a"});
  CHECK(decode<value_explained>(encode(told)));
  REQUIRE(told.writes.size() == 4);
  CHECK(told.writes[0].value == parts);
  CHECK(told.writes[3].value.is_nil());
  CHECK(told.rule.find("the values of 3 writes") != std::string::npos);
}
