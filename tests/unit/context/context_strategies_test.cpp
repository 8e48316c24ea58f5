#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/fixtures/tree_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Makes a pair of both. Not commutative on purpose: the left side comes first.
class left_wins final : public conflict_resolution {
public:
  std::string_view name() const noexcept override { return "left_wins/1"; }
  std::string_view reason() const noexcept override { return "the earlier counts, with a mark"; }
  change_record resolve(const change_record& local, const change_record& remote) const override {
    auto merged = local;
    merged.new_value = value::array({local.new_value, remote.new_value});
    return merged;
  }
};

}  // namespace

TEST_CASE("last writer wins orders by timestamp, then by dot") {
  const last_writer_wins strategy;
  const auto early = put({node(3), 1, 1}, "/a", 1, {}, 1),
             late = put({node(2), 1, 1}, "/a", 2, {}, 2);
  CHECK(strategy.resolve(early, late) == late);
  CHECK(strategy.resolve(late, early) == late);
  const auto same_time = put({node(4), 1, 1}, "/a", 3, {}, 2);
  CHECK(strategy.resolve(late, same_time) == same_time);
  CHECK(strategy.resolve(same_time, late) == same_time);
}

TEST_CASE("writes conflict when neither knew of the other") {
  const last_writer_wins strategy;
  const auto one = put({node(2), 1, 1}, "/a", 1), other = put({node(3), 1, 1}, "/a", 2);
  CHECK(strategy.conflicts(one, other));
  CHECK_FALSE(strategy.conflicts(one, one));
  CHECK_FALSE(strategy.conflicts(one, put({node(3), 1, 1}, "/b", 2)));
  CHECK_FALSE(strategy.conflicts(one, put({node(3), 1, 1}, "/a", 2, {seen(one)})));
  CHECK_FALSE(strategy.conflicts(put({node(3), 1, 1}, "/a", 2, {seen(one)}), one));
}

TEST_CASE("the winner that a strategy names is the write that folding gives, and readers see it") {
  std::mt19937 random{1};
  for (int round = 0; round < 2000; ++round) {
    auto held = random_siblings(random);
    const auto siblings = held.all();
    const last_writer_wins strategy;
    const path where{"/x"};
    auto folded = siblings.front().to_record(where);
    for (const auto& each : siblings.subspan(1))
      folded = strategy.resolve(folded, each.to_record(where));
    REQUIRE(strategy.winner(siblings));
    CHECK(siblings[*strategy.winner(siblings)].to_record(where) == folded);
    CHECK(resolve_siblings(strategy, where, siblings) == folded);
    const bool is_erased = folded.operation == operation::erase;
    CHECK(view_of(strategy, where, siblings) ==
          (is_erased ? std::nullopt : std::optional{folded.new_value}));
    CHECK(shows_value(strategy, where, siblings) == !is_erased);
    // One that makes another record names none.
    CHECK((siblings.size() == 1 || !winning_sibling(left_wins{}, siblings)));
  }
  CHECK_FALSE(winning_sibling(last_writer_wins{}, {}));
}

TEST_CASE("different strategies have different hashes") {
  CHECK(strategies_hash(last_writer_wins{}) == strategies_hash(last_writer_wins{}));
  CHECK(strategies_hash(last_writer_wins{}) != strategies_hash(left_wins{}));
}

TEST_CASE(
    "a strategy whose result depends on the order of its arguments still gives all replicas one "
    "view") {
  const auto strategy = std::make_shared<left_wins>();
  std::vector<change_record> concurrent;
  for (unsigned i = 2; i < 6; ++i) concurrent.push_back(put({node(i), 1, 1}, "/a", i, {}, 10 - i));
  std::set<std::string> views;
  std::mt19937 random{1};
  for (int round = 0; round < 10; ++round) {
    std::shuffle(concurrent.begin(), concurrent.end(), random);
    context_engine engine{node(1), 1, {}, {}, strategy};
    for (const auto& each : concurrent) engine.apply(each, noon);
    views.insert(engine.view(a)->to_json());
    CHECK(engine.explain(a).rule.find("left_wins/1") == 0);
  }
  CHECK(views == std::set<std::string>{"[[[5,4],3],2]"});
}
