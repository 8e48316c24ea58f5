#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <troupe/actors/context/sync/coded_symbols.hpp>

using namespace troupe;

namespace {

using numbers = std::vector<std::uint64_t>;

numbers drawn(std::mt19937_64& random, std::size_t count) {
  numbers made(count);
  for (auto& each : made) each = coded_symbols::checked_number(random());
  return made;
}

coded_symbols code(const numbers& set, std::size_t first, std::size_t count) {
  coded_symbols coded{first, count};
  for (const auto each : set) coded.add(each);
  return coded;
}

/// Two sets with this much in common, and what each has alone.
struct two_sets {
  numbers common, added, removed;

  two_sets(std::mt19937_64& random, std::size_t both, std::size_t more, std::size_t less)
      : common(drawn(random, both)), added(drawn(random, more)), removed(drawn(random, less)) {}

  /// The first symbols of the difference.
  coded_symbols difference(std::size_t count) const {
    auto theirs = code(common, 0, count), ours = code(common, 0, count);
    for (const auto each : added) theirs.add(each);
    for (const auto each : removed) ours.add(each);
    theirs.subtract(ours);
    return theirs;
  }
  bool is(set_difference found) const {
    auto more = added, less = removed;
    for (auto* each : {&more, &less, &found.added, &found.removed}) std::ranges::sort(*each);
    return found.added == more && found.removed == less;
  }
};

}  // namespace

TEST_CASE("equal sets differ in nothing, as one symbol tells") {
  std::mt19937_64 random{1};
  const two_sets sets{random, 1000, 0, 0};
  const auto found = sets.difference(1).numbers();
  REQUIRE(found);
  CHECK(sets.is(*found));
}

TEST_CASE("enough symbols tell the difference of two sets, and fewer never a wrong one") {
  CHECK(rc::check([](std::uint64_t seed) {
    std::mt19937_64 random{seed};
    const two_sets sets{random, random() % 500, random() % 60, random() % 60};
    const auto all = sets.added.size() + sets.removed.size();
    const auto found = sets.difference(random() % (3 * all + 40)).numbers();
    if (found) RC_ASSERT(sets.is(*found));
    const auto surely = sets.difference(4 * all + 40).numbers();
    RC_ASSERT(surely.has_value());
    RC_ASSERT(sets.is(*surely));
  }));
}

TEST_CASE("a large difference takes less than 1.5 times as many symbols as numbers") {
  std::mt19937_64 random{7};
  const two_sets sets{random, 20'000, 500, 500};
  std::size_t needed = 1000;
  while (!sets.difference(needed).numbers()) needed += 10;
  CHECK(needed > 1000);
  CHECK(needed < 1500);
}

TEST_CASE("too few symbols tell nothing") {
  std::mt19937_64 random{3};
  const two_sets sets{random, 100, 50, 50};
  CHECK_FALSE(sets.difference(1).numbers());
  CHECK_FALSE(sets.difference(60).numbers());
}

TEST_CASE("symbols that come one after the other are those that come at once") {
  std::mt19937_64 random{5};
  const auto set = drawn(random, 300);
  auto parts = code(set, 0, 10);
  parts.append(code(set, 10, 1));
  parts.append(code(set, 11, 89));
  const auto whole = code(set, 0, 100);
  CHECK(parts.sums() == whole.sums());
  CHECK(parts.counts() == whole.counts());
  CHECK(whole.counts()[0] == 300);
}

TEST_CASE("a few symbols tell about how many numbers differ") {
  for (const std::size_t differing : {0, 20, 200, 5000}) {
    double least = 1e9, most = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      std::mt19937_64 random{seed};
      const two_sets sets{random, 1000, differing / 2, differing / 2};
      const auto estimate = sets.difference(64).estimate();
      least = std::min(least, estimate);
      most = std::max(most, estimate);
    }
    CAPTURE(differing);
    CHECK(least >= 0.4 * static_cast<double>(differing));
    CHECK(most <= 2.5 * static_cast<double>(differing));
  }
  std::mt19937_64 random{1};
  CHECK(two_sets{random, 1000, 100, 0}.difference(64).estimate() >= 100);
}

TEST_CASE("what are no symbols of any set is found out") {
  std::mt19937_64 random{9};
  for (int i = 0; i < 200; ++i) {
    numbers sums(50);
    std::vector<std::int64_t> counts(50);
    for (std::size_t k = 0; k < sums.size(); ++k) {
      // Each looks like a sum over one number, and so it goes on for ever for who believes it.
      sums[k] = coded_symbols::checked_number(random() % 4);
      counts[k] = random() % 2 ? 1 : -1;
    }
    CHECK_FALSE(coded_symbols(0, sums, counts).numbers());
  }
}

TEST_CASE("numbers and their symbols are the same on every machine") {
  CHECK(coded_symbols::checked_number(0) == 0x5692160000000000u);
  CHECK(coded_symbols::checked_number(0xffffffffffffffffu) == 0x00ab4dffffffffffu);
  numbers set;
  for (std::uint64_t bits = 1; bits <= 4; ++bits)
    set.push_back(coded_symbols::checked_number(bits));
  const auto coded = code(set, 0, 12);
  CHECK(coded.counts() == std::vector<std::int64_t>{4, 1, 2, 1, 1, 2, 0, 1, 1, 2, 1, 1});
  CHECK(coded.sums()[1] == 0xb6bf610000000004u);
  CHECK(coded.sums()[2] == (0xdbd2380000000001u ^ 0x1e535e0000000002u));
}
