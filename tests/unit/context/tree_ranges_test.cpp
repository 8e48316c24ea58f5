#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/context/sync/tree_ranges.hpp>
#include <troupe/tests/support/fixtures/tree_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

context_tree small_tree(model* entries = nullptr) {
  context_tree tree;
  std::uint64_t seq = 0;
  for (const auto* text : {"", "/a", "/a/b", "/a!", "/b", "/c"}) {
    const auto siblings = siblings_for(++seq, 1);
    tree.put(path{text}, siblings.all());
    if (entries) entries->insert_or_assign(text, siblings);
  }
  return tree;
}

range_sum whole(const tree_summary& sum) { return {sum.count, sum.hash}; }

std::vector<std::string> visited(const context_tree& tree, const path& from, const path& to) {
  std::vector<std::string> paths;
  visit_range(tree, from, to, [&](const tree_entry& entry) {
    paths.emplace_back(entry.path());
    return true;
  });
  return paths;
}

}  // namespace

TEST_CASE("a range without an end goes on to the last path") {
  model entries;
  const auto tree = small_tree(&entries);
  CHECK(sum_of(tree, {}, {}) == whole(tree.summary()));
  CHECK(sum_of(tree, path{"/a!"}, {}) ==
        whole(sum_of(entries, [](const auto& each) { return compare_paths(each, "/a!") >= 0; })));
  CHECK(sum_of(tree, path{"/d"}, {}) == range_sum{});
  CHECK(visited(tree, path{"/a!"}, {}) == std::vector<std::string>{"/a!", "/b", "/c"});
}

TEST_CASE("a range has its first path and not its last one") {
  model entries;
  const auto tree = small_tree(&entries);
  CHECK(sum_of(tree, path{"/a"}, path{"/b"}) == whole(sum_of(entries, [](const auto& each) {
          return each == "/a" || each == "/a/b" || each == "/a!";
        })));
  CHECK(visited(tree, path{"/a"}, path{"/b"}) == std::vector<std::string>{"/a", "/a/b", "/a!"});
  CHECK(visited(tree, {}, path{"/a"}) == std::vector<std::string>{""});
  CHECK(sum_of(tree, path{"/a/c"}, path{"/a/d"}) == range_sum{});
  CHECK(visited(tree, path{"/a/c"}, path{"/a/d"}).empty());
}

TEST_CASE("ranges next to each other add up to the whole") {
  const auto tree = small_tree();
  range_sum all;
  for (const auto& each : {sum_of(tree, {}, path{"/a/b"}), sum_of(tree, path{"/a/b"}, path{"/b!"}),
                           sum_of(tree, path{"/b!"}, {})})
    all = {all.count + each.count, add(all.hash, each.hash)};
  CHECK(all == whole(tree.summary()));
}

TEST_CASE("an empty tree has nothing in any range") {
  const context_tree tree;
  CHECK(sum_of(tree, {}, {}) == range_sum{});
  CHECK(range_in(tree, path{"/a"}, {}) == tree_range{"/a", "", 0, {}});
  CHECK(visited(tree, {}, {}).empty());
}

TEST_CASE("a range names its paths, how many there are and what they add up to") {
  const auto tree = small_tree();
  const auto sum = tree.range(path{"/a"}, path{"/b"});
  CHECK(range_in(tree, path{"/a"}, path{"/b"}) == tree_range{"/a", "/b", 3, sum.hash});
}

TEST_CASE("visiting a range ends when the visitor says so") {
  const auto tree = small_tree();
  int seen = 0;
  visit_range(tree, {}, {}, [&](const tree_entry&) { return ++seen < 2; });
  CHECK(seen == 2);
}
