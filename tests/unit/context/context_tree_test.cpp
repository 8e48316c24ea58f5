#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/tests/support/fixtures/tree_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

std::vector<std::string> paths_of(const context_tree& tree) {
  std::vector<std::string> paths;
  tree.visit_from({},
                  [&](const tree_entry& entry) { return paths.emplace_back(entry.path()), true; });
  return paths;
}

}  // namespace

TEST_CASE("a path is followed by its subtree before its neighbours") {
  std::vector<std::string> sorted{"",     "/a",   "/a/b", "/a/b/c", "/a/z", "/a!",
                                  "/a-b", "/a.b", "/a0",  "/aa",    "/é"};
  auto shuffled = sorted;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937{7});
  std::sort(shuffled.begin(), shuffled.end(), tree_order{});
  CHECK(shuffled == sorted);
  CHECK(compare_paths("/a/b", "/a/b") == 0);
}

TEST_CASE("a subtree is the path itself and what lies below it") {
  CHECK(is_within("", "/a"));
  CHECK(is_within("/a", "/a"));
  CHECK(is_within("/a", "/a/b"));
  CHECK_FALSE(is_within("/a", "/ab"));
  CHECK_FALSE(is_within("/a/b", "/a"));
}

TEST_CASE("an empty tree has no entries and the hash zero") {
  context_tree tree;
  CHECK(tree.empty());
  CHECK(tree.hash() == state_hash{});
  CHECK(tree.subtree({}) == tree_summary{});
  CHECK_FALSE(tree.find(path{"/a"}));
  CHECK_FALSE(tree.erase(path{"/a"}));
  CHECK(tree.verify());
  CHECK(paths_of(tree).empty());
}

TEST_CASE("a tree equals a sorted map after every one of many random changes") {
  for (unsigned seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    context_tree tree;
    model expected;
    for (std::uint64_t step = 1; step <= 1500; ++step) {
      const bool shrinking = step / 300 % 2 == 1;
      const auto where = random_path(random, 4);
      if (random() % 10 < (shrinking ? 7u : 2u)) {
        REQUIRE(tree.erase(path{where}) == (expected.erase(where) > 0));
      } else {
        const auto fresh = siblings_for(step, static_cast<int>(random() % 100));
        tree.put(path{where}, fresh.all());
        expected.insert_or_assign(where, fresh);
      }
      REQUIRE(tree.summary() == sum_of(expected, [](const auto&) { return true; }));
      if (step % 25 == 0) check_equal(tree, expected);
    }
    for (const auto& where : paths_of(tree)) REQUIRE(tree.erase(path{where}));
    CHECK(tree.empty());
    CHECK(tree.hash() == state_hash{});
    CHECK(tree.verify());
  }
}

TEST_CASE("a tree stays healthy when thousands of entries come in order and go in any order") {
  for (const bool ascending : {true, false}) {
    context_tree tree;
    std::vector<path> paths;
    for (int i = 0; i < 5000; ++i)
      paths.emplace_back("/k/" + std::to_string(100'000 + (ascending ? i : -i)));
    for (const auto& each : paths) tree.put(each, siblings_for(1, 1).all());
    REQUIRE(tree.verify());
    std::shuffle(paths.begin(), paths.end(), std::mt19937{3});
    while (!paths.empty()) {
      REQUIRE(tree.erase(paths.back()));
      paths.pop_back();
      if (paths.size() % 500 == 0) REQUIRE(tree.verify());
    }
    CHECK(tree.empty());
  }
}

TEST_CASE("the hash and count of any subtree and range equal the sums over their entries") {
  std::mt19937 random{11};
  context_tree tree;
  model entries;
  for (std::uint64_t i = 1; i <= 800; ++i) {
    const auto where = random_path(random, 5);
    tree.put(path{where}, siblings_for(i, 1).all());
    entries.insert_or_assign(where, siblings_for(i, 1));
  }
  for (int i = 0; i < 500; ++i) {
    const auto top = random_path(random), first = random_path(random, 5),
               last = random_path(random, 5);
    CHECK(tree.subtree(path{top}) ==
          sum_of(entries, [&](const auto& each) { return is_within(top, each); }));
    CHECK(tree.range(path{first}, path{last}) == sum_of(entries, [&](const auto& each) {
            return compare_paths(each, first) >= 0 && compare_paths(each, last) < 0;
          }));
  }
}

TEST_CASE("visiting starts at the given path and ends when the visitor says so") {
  context_tree tree;
  for (const auto* text : {"/a", "/a/b", "/a/c", "/a!", "/b"})
    tree.put(path{text}, siblings_for(1, 1).all());
  std::vector<std::string> seen;
  tree.visit_from(path{"/a/bb"}, [&](const tree_entry& entry) {
    return seen.emplace_back(entry.path()), seen.size() < 2;
  });
  CHECK(seen == std::vector<std::string>{"/a/c", "/a!"});
  seen.clear();
  tree.visit_subtree(
      path{"/a"}, [&](const tree_entry& entry) { return seen.emplace_back(entry.path()), true; });
  CHECK(seen == std::vector<std::string>{"/a", "/a/b", "/a/c"});
}

TEST_CASE("visiting from any path finds what a sorted map finds") {
  std::mt19937 random{13};
  context_tree tree;
  model entries;
  for (std::uint64_t i = 1; i <= 600; ++i) {
    const auto where = random_path(random, 5);
    tree.put(path{where}, siblings_for(i, 1).all());
    entries.insert_or_assign(where, siblings_for(i, 1));
  }
  for (int i = 0; i < 300; ++i) {
    const auto from = random_path(random, 5);
    auto expected = entries.lower_bound(from);
    std::size_t limit = 40;
    tree.visit_from(path{from}, [&](const tree_entry& entry) {
      REQUIRE(expected != entries.end());
      CHECK(entry.path() == expected->first);
      ++expected;
      return --limit > 0;
    });
    CHECK((limit == 0 || expected == entries.end()));
  }
}

TEST_CASE("a snapshot keeps its state while the tree goes on, and the other way round") {
  std::mt19937 random{17};
  context_tree tree;
  model now;
  std::vector<std::pair<context_tree, model>> snapshots;
  for (std::uint64_t step = 1; step <= 2000; ++step) {
    const auto where = random_path(random, 4);
    if (random() % 3 == 0) {
      tree.erase(path{where});
      now.erase(where);
    } else {
      tree.put(path{where}, siblings_for(step, 1).all());
      now.insert_or_assign(where, siblings_for(step, 1));
    }
    if (step % 200 == 0) snapshots.emplace_back(tree, now);
  }
  for (auto& [snapshot, then] : snapshots) check_equal(snapshot, then);
  snapshots[3].first.put(path{"/only/here"}, siblings_for(1, 1).all());
  check_equal(tree, now);
  check_equal(snapshots[2].first, snapshots[2].second);
}

TEST_CASE("snapshots may be read and dropped on other threads while the owner writes") {
  context_tree tree;
  for (int i = 0; i < 2000; ++i)
    tree.put(path{"/k/" + std::to_string(i)}, siblings_for(1, i).all());
  std::vector<std::thread> readers;
  std::vector<int> sound(4, 0);
  for (std::size_t reader = 0; reader < sound.size(); ++reader) {
    readers.emplace_back([snapshot = tree, &result = sound[reader]] {
      result = snapshot.verify() && snapshot.size() == 2000;
    });
    for (int i = 0; i < 500; ++i)
      tree.put(path{"/k/" + std::to_string(i * 3)}, siblings_for(2 + reader, i).all());
    for (int i = 0; i < 50; ++i)
      tree.put(path{"/new/" + std::to_string(reader * 50 + static_cast<unsigned>(i))},
               siblings_for(1, 1).all());
    for (int i = 0; i < 50; ++i)
      tree.erase(path{"/new/" + std::to_string(reader * 50 + static_cast<unsigned>(i))});
  }
  for (auto& each : readers) each.join();
  for (const int each : sound) CHECK(each == 1);
  CHECK(tree.verify());
}

TEST_CASE("the difference of two trees equals the brute-force difference") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    context_tree before;
    model before_entries;
    const auto change = [&](context_tree& tree, model& entries, std::uint64_t seq) {
      const auto where = random_path(random, 4);
      if (random() % 3 == 0) {
        tree.erase(path{where});
        entries.erase(where);
      } else {
        tree.put(path{where}, siblings_for(seq, 1).all());
        entries.insert_or_assign(where, siblings_for(seq, 1));
      }
    };
    for (std::uint64_t i = 1, n = random() % 1200; i <= n; ++i) change(before, before_entries, i);
    // Half of the seeds compare unrelated trees, the others a tree and what became of it.
    context_tree after = seed % 2 ? before : context_tree{};
    model after_entries = seed % 2 ? before_entries : model{};
    for (std::uint64_t i = 1, n = random() % (seed % 4 < 2 ? 20 : 1200); i <= n; ++i)
      change(after, after_entries, 5000 + i);

    std::map<std::string, std::pair<const held_siblings*, const held_siblings*>, tree_order>
        expected;
    for (const auto& [where, siblings] : before_entries) expected[where].first = &siblings;
    for (const auto& [where, siblings] : after_entries) expected[where].second = &siblings;
    std::erase_if(expected, [](const auto& each) {
      return each.second.first && each.second.second && *each.second.first == *each.second.second;
    });
    auto next = expected.begin();
    context_tree::diff(before, after, [&](const tree_entry* a, const tree_entry* b) {
      REQUIRE(next != expected.end());
      REQUIRE((a ? a : b)->path() == next->first);
      REQUIRE((a != nullptr) == (next->second.first != nullptr));
      REQUIRE((b != nullptr) == (next->second.second != nullptr));
      if (a) REQUIRE(std::ranges::equal(a->siblings(), next->second.first->all()));
      if (b) REQUIRE(std::ranges::equal(b->siblings(), next->second.second->all()));
      ++next;
      return true;
    });
    CHECK(next == expected.end());
  }
}

TEST_CASE("comparing trees ends when the visitor says so") {
  context_tree a, b;
  for (int i = 0; i < 100; ++i) b.put(path{"/" + std::to_string(i)}, siblings_for(1, 1).all());
  int seen = 0;
  context_tree::diff(a, b, [&](const tree_entry*, const tree_entry*) { return ++seen < 3; });
  CHECK(seen == 3);
  context_tree::diff(b, a, [&](const tree_entry*, const tree_entry*) { return ++seen < 6; });
  CHECK(seen == 6);
}

TEST_CASE("a sibling shows what the state needs of its record") {
  auto record = test::put({node(1), 2, 3}, "/a", "text", {{{node(2), 1, 1}, 5}}, 5);
  record.principal = std::string(300, 'p');
  const auto one = sibling::of(record, content_hash(record));
  CHECK(one.principal == record.principal);
  CHECK(one.copy_value() == value{"text"});
  auto kept = record;
  kept.observed.clear();
  CHECK(one.to_record(record.path) == kept);
  const auto erased = test::erase({node(1), 2, 4}, "/a");
  const auto tombstone = sibling::of(erased, 1);
  CHECK(tombstone.is_tombstone());
  CHECK(tombstone.copy_value() == value{});
  CHECK(tombstone.value_bytes.empty());
}

TEST_CASE("everything that siblings carry is part of the hash") {
  const auto record = test::put({node(1), 1, 1}, "/a", 1);
  const auto hash = [](const change_record& each) {
    const auto one = sibling::of(each, 0);
    return entry_hash(each.path.text(), {&one, 1});
  };
  auto changed = record;
  changed.dot.seq = 2;
  CHECK_FALSE(hash(changed) == hash(record));
  changed = record;
  changed.timestamp.ticks += 1;
  CHECK_FALSE(hash(changed) == hash(record));
  changed = record;
  changed.principal = "other";
  CHECK_FALSE(hash(changed) == hash(record));
  changed = record;
  changed.new_value = 2;
  CHECK_FALSE(hash(changed) == hash(record));
  changed = record;
  changed.path = path{"/b"};
  CHECK_FALSE(hash(changed) == hash(record));
}

TEST_CASE("the hash of an entry is the same in every build and on every machine") {
  const auto record = test::put({node(1), 1, 1}, "/a", 1);
  const auto one = sibling::of(record, 0);
  CHECK(to_string(entry_hash("/a", {&one, 1})) == "3af45b94f7b457cfe2c07efaf4fa4c8b");
  const auto other = sibling::of(record, 1);
  CHECK(entry_hash("/a", {&other, 1}) != entry_hash("/a", {&one, 1}));
  CHECK(content_hash(record) == 7475759256584275780u);
}

TEST_CASE("sums of hashes carry and can be taken back") {
  CHECK(rc::check([](std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    const state_hash x{a, b}, y{c, d};
    RC_ASSERT(add(x, y) == add(y, x));
    RC_ASSERT(subtract(add(x, y), y) == x);
  }));
  CHECK(add({0, ~0ull}, {0, 1}) == state_hash{1, 0});
  CHECK(subtract({1, 0}, {0, 1}) == state_hash{0, ~0ull});
}
