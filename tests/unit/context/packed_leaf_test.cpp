// The packed leaves of a tree: sizes, prefixes, names and values outside.

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include <troupe/actors/context/state/tree/node_search.hpp>
#include <troupe/tests/support/fixtures/tree_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A change of the tree and of its model.
void set(context_tree& tree, model& expected, const std::string& where,
         const held_siblings& fresh) {
  tree.put(path{where}, fresh.all());
  expected.insert_or_assign(where, fresh);
}

}  // namespace

TEST_CASE("a tree keeps siblings of any number, size and origin") {
  for (unsigned seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    context_tree tree;
    model expected;
    for (int step = 1; step <= 1500; ++step) {
      const auto where = random_path(random, seed % 3 == 0 ? 2 : 5);
      if (random() % 10 < (step / 300 % 2 == 1 ? 6u : 1u)) {
        REQUIRE(tree.erase(path{where}) == (expected.erase(where) > 0));
      } else {
        const auto fresh = random_siblings(random);
        tree.put(path{where}, fresh.all());
        expected.insert_or_assign(where, fresh);
      }
      if (step % 50 == 0) check_equal(tree, expected);
      if (step % 500 == 0) {
        const auto snapshot = tree;
        tree.erase(path{where});
        check_equal(snapshot, expected);
        expected.erase(where);
      }
    }
    const auto sum = sum_of(expected, [](const auto&) { return true; });
    CHECK(tree.hash() == sum.lasting_hash());
  }
}

TEST_CASE("a path holds as many siblings as a tree allows, with large values, beside others") {
  context_tree tree;
  std::vector<change_record> records;
  for (unsigned i = 0; i < context_tree::max_siblings; ++i) {
    auto record = put({node(i + 1), ~std::uint64_t{0} - i, ~std::uint64_t{0} - i}, "/x",
                      std::string(i % 2 == 0 ? 120 : 5000, 'v'), {}, i);
    record.principal = std::string(200, 'p') + std::to_string(i);
    records.push_back(std::move(record));
  }
  const held_siblings many{std::move(records)};
  model expected;
  for (int i = 0; i < 300; ++i) {
    const auto where = "/some/where/" + std::to_string(i);
    const auto fresh = i % 50 == 49 ? many : siblings_for(static_cast<std::uint64_t>(i) + 1, i);
    tree.put(path{where}, fresh.all());
    expected.insert_or_assign(where, fresh);
  }
  check_equal(tree, expected);
  for (int i = 49; i < 300; i += 50) {
    const auto where = "/some/where/" + std::to_string(i);
    tree.put(path{where}, siblings_for(1000, i).all());
    expected.insert_or_assign(where, siblings_for(1000, i));
  }
  check_equal(tree, expected);
}

TEST_CASE("a key that has little in common with a leaf of long keys gets a leaf of its own") {
  const auto long_name = std::string(1000, 'm');
  for (const auto* foreign : {"/z", "/a", "/mm", "/m!"}) {
    CAPTURE(foreign);
    context_tree tree;
    model expected;
    for (int i = 0; i < 200; ++i)
      set(tree, expected, "/" + long_name + "/" + std::to_string(1000 + i), siblings_for(1, i));
    set(tree, expected, foreign, siblings_for(2, 1));
    check_equal(tree, expected);
    set(tree, expected, "/" + long_name, siblings_for(3, 1));
    tree.erase(path{foreign});
    expected.erase(foreign);
    check_equal(tree, expected);
  }
}

TEST_CASE("a node that is full of children takes a leaf that falls into three") {
  std::vector<change_record> records;
  for (unsigned i = 0; i < context_tree::max_siblings; ++i)
    records.push_back(put({node(i + 1), ~std::uint64_t{0} - i, ~std::uint64_t{0} - i}, "/x",
                          std::string(120, 'v'), {}, i));
  const held_siblings many{std::move(records)};
  const auto key = [](int i) { return "/k/" + std::to_string(100'000 + i); };
  // In order, leaves and nodes are left full. The large entry comes into the middle of the last
  // leaf.
  constexpr int in_leaf = packed_leaf::max_entries, leaves = inner_node::max_children;
  for (int size = leaves * in_leaf - 12; size <= leaves * in_leaf; size += 4) {
    CAPTURE(size);
    context_tree tree;
    model expected;
    for (int i = 0; i < size; ++i) set(tree, expected, key(i), siblings_for(1, 1));
    set(tree, expected, key(size - 30) + "5", many);
    check_equal(tree, expected);
  }
}

TEST_CASE("trees of long and short keys stay sound in any order of changes") {
  for (unsigned seed = 0; seed < 10; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    context_tree tree;
    model expected;
    const auto some_key = [&] {
      std::string text;
      for (unsigned depth = 1 + random() % 3; depth > 0; --depth)
        text += "/" + std::string(random() % 3 == 0 ? 1 + random() % 300 : 1,
                                  static_cast<char>('a' + random() % 3));
      return text + "/" + std::to_string(random() % 40);
    };
    for (int step = 1; step <= 2000; ++step) {
      if (random() % 10 < (step / 400 % 2 == 1 ? 7u : 2u) && !expected.empty()) {
        const auto at = std::next(expected.begin(), static_cast<long>(random() % expected.size()));
        REQUIRE(tree.erase(path{at->first}));
        expected.erase(at);
      } else {
        set(tree, expected, some_key(), random_siblings(random));
      }
      if (step % 50 == 0) check_equal(tree, expected);
    }
  }
}

TEST_CASE("leaves with more principals than they name at once drop those that are gone") {
  const auto long_name = std::string(900, 'p');
  context_tree tree;
  model expected;
  for (int round = 0; round < 4; ++round)
    for (int i = 0; i < 60; ++i) {
      auto record = put({node(1), 1, 1}, "/x", i);
      record.principal = "principal " + std::to_string(round * 60 + i);
      set(tree, expected, "/" + long_name + "/" + std::to_string(100 + i),
          held_siblings{{std::move(record)}});
    }
  check_equal(tree, expected);
}

TEST_CASE("the names of leaves stay bounded, and an entry may need more than they keep") {
  context_tree tree;
  model expected;
  std::vector<change_record> records;
  for (unsigned i = 0; i < 200; ++i) {
    auto record = put({node(i + 1), 1, 1}, "/x", "value", {}, i);
    record.principal = "principal " + std::to_string(i);
    records.push_back(std::move(record));
  }
  const held_siblings many{std::move(records)};
  for (int i = 0; i < 20; ++i) {
    set(tree, expected, "/k/" + std::to_string(i), many);
    set(tree, expected, "/k/" + std::to_string(i) + "/below", siblings_for(1, i));
  }
  check_equal(tree, expected);
}

TEST_CASE("the index of children finds what comparing all bounds finds") {
  std::mt19937 random{5};
  const std::string bytes{"/!-.0a\x01\xc3"};
  for (int round = 0; round < 300; ++round) {
    const std::string common(random() % 12, 'c');
    std::set<std::string, tree_order> bounds;
    for (unsigned i = 0, count = 1 + random() % 40; i < count; ++i) {
      auto low = common;
      for (unsigned size = 1 + random() % 12; size > 0; --size)
        low += bytes[random() % bytes.size()];
      bounds.insert(low);
    }
    inner_node node{1};
    node.children.push_back({{}, {}, {}});
    for (const auto& low : bounds) node.children.push_back({low, {}, {}});
    node.index = child_index{node.children};
    for (int i = 0; i < 60; ++i) {
      auto key = random() % 4 == 0 ? std::string{"c"} : common;
      for (unsigned size = random() % 14; size > 0; --size) key += bytes[random() % bytes.size()];
      if (random() % 3 == 0)
        key = *std::next(bounds.begin(), static_cast<long>(random() % bounds.size()));
      std::size_t expected = 0;
      for (const auto& low : bounds) expected += compare_paths(low, key) <= 0 ? 1 : 0;
      REQUIRE(child_for(node, key) == expected);
    }
  }
}
