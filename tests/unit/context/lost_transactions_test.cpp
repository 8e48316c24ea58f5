#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const incarnation_id source{node(2), 1};
const dot end{node(2), 1, 3};

/// A transaction of three changes.
std::vector<change_record> three() {
  return together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2),
                   put({node(2), 1, 3}, "/a", 3)});
}

/// The change with which a node says that a transaction is lost.
change_record says_lost(std::uint64_t last, unsigned writer = 3) {
  auto record = put({node(writer), 1, 1}, lost_transactions::place_of({node(2), 1, last}).text(),
                    lost_transactions::lost(1, noon));
  record.principal = system_principal;
  return record;
}

}  // namespace

TEST_CASE("the place of a lost transaction names its last change") {
  const dot large{node(7), UINT64_MAX, UINT64_MAX};
  CHECK(lost_transactions::last_at(lost_transactions::place_of(large)) == large);
  const auto id = to_string(node(7));
  for (const auto& other : {"/_sys/transactions", "/_sys/transactions/1", "/_sys/transactions/1/1",
                            "/_sys/members/x/1/1", "/_sys/transactions/nobody/1/1"})
    CHECK_FALSE(lost_transactions::last_at(path{other}));
  CHECK_FALSE(lost_transactions::last_at(path{"/_sys/transactionsX" + id + "/1/1"}));
  for (const auto& number : {"x", "1x", "-1", "18446744073709551616", "0", "01"}) {
    CHECK_FALSE(lost_transactions::last_at(path{"/_sys/transactions/" + id + "/1/" + number}));
    CHECK_FALSE(lost_transactions::last_at(path{"/_sys/transactions/" + id + "/" + number + "/1"}));
  }
}

TEST_CASE("what a lost transaction covers are its changes") {
  context_engine engine{node(1), 1};
  auto lost = says_lost(8);
  lost.new_value = lost_transactions::lost(6, noon);
  auto sought = says_lost(20, 4);
  sought.new_value = lost_transactions::sought(noon);
  for (const auto& each : {lost, sought}) REQUIRE(status_of(engine, each) == apply_status::applied);
  const auto all = lost_transactions::all(engine.tree());
  for (std::uint64_t seq = 1; seq < 25; ++seq)
    CHECK((lost_transactions::find(all, {node(2), 1, seq}) != nullptr) == (seq >= 6 && seq <= 8));
  CHECK_FALSE(lost_transactions::find(all, {node(2), 2, 7}));
  CHECK_FALSE(lost_transactions::find(all, {node(1), 1, 7}));
}

TEST_CASE("what is open of a transaction is let go when it is lost, and counts as processed") {
  context_engine engine{node(1), 1};
  const auto all = three();
  const auto after = put({node(4), 1, 1}, "/b", "after", {seen(all[1])});
  for (const auto& each : {all[0], all[1]})
    REQUIRE(status_of(engine, each) == apply_status::applied);
  REQUIRE(status_of(engine, after) == apply_status::buffered);
  REQUIRE(engine.open_ends() == std::vector{open_transactions::ends{all[0].dot, end}});
  SUBCASE("another transaction is meant") {
    CHECK(status_of(engine, says_lost(7)) == apply_status::applied);
    CHECK(engine.open() == 2);
    CHECK(status_of(engine, all[2]) == apply_status::applied);
    CHECK(engine.view(a) == value{3});
  }
  SUBCASE("it is this one") {
    const auto outcome = engine.apply(says_lost(3), noon);
    CHECK(outcome.released == std::vector{after});
    CHECK(engine.open() == 0);
    CHECK(engine.applied().at(source) == 2);
    CHECK_FALSE(engine.view(a));
    CHECK(engine.view(b) == value{"after"});
    // More of it may come from other members, and it may be said again.
    CHECK(status_of(engine, all[2]) == apply_status::applied);
    CHECK(status_of(engine, says_lost(3, 5)) == apply_status::applied);
    CHECK(engine.applied().at(source) == 3);
    CHECK_FALSE(engine.view(a));
    CHECK(status_of(engine, put({node(2), 1, 4}, "/a", 4)) == apply_status::applied);
    CHECK(engine.view(a) == value{4});
  }
}

TEST_CASE("no change of a lost transaction counts, wherever it comes from") {
  const auto all = three();
  SUBCASE("it comes later than what says so") {
    context_engine engine{node(1), 1};
    REQUIRE(status_of(engine, says_lost(3)) == apply_status::applied);
    for (const auto& each : all) CHECK(status_of(engine, each) == apply_status::applied);
    CHECK(engine.open() == 0);
    CHECK_FALSE(engine.view(a));
  }
  SUBCASE("it comes after a start, out of the log") {
    context_engine before{node(1), 1};
    for (const auto& each : {all[0], says_lost(3)})
      REQUIRE(status_of(before, each) == apply_status::applied);
    context_engine engine{node(1), 2, before.state()};
    CHECK(engine.replay(all[1], noon));
    CHECK(engine.vector().at(node(2), 1) == 2);
    CHECK(engine.open() == 0);
  }
  SUBCASE("it is open where a state is joined that says so") {
    context_engine with{node(1), 1}, engine{node(3), 1};
    for (const auto& each : {all[0], says_lost(3, 5)})
      REQUIRE(status_of(with, each) == apply_status::applied);
    for (const auto& each : {all[0], all[1]})
      REQUIRE(status_of(engine, each) == apply_status::applied);
    REQUIRE(engine.join(with.state(), noon, {}));
    CHECK(engine.open() == 0);
    CHECK(engine.applied().at(source) == 2);
    CHECK(status_of(engine, all[2]) == apply_status::applied);
    CHECK_FALSE(engine.view(a));
  }
  SUBCASE("it is open where a state is joined that says so and has nothing of it") {
    context_engine with{node(1), 1}, engine{node(3), 1};
    REQUIRE(status_of(with, says_lost(3, 5)) == apply_status::applied);
    REQUIRE(status_of(engine, all[0]) == apply_status::applied);
    REQUIRE(engine.join(with.state(), noon, {}));
    CHECK(engine.open() == 0);
  }
}

TEST_CASE("what waits of a transaction is dropped when a state is joined in which it is sought") {
  context_engine with{node(1), 1}, engine{node(3), 1};
  const auto all = three();
  auto sought = says_lost(3, 5);
  sought.new_value = lost_transactions::sought(noon);
  const auto cause = put({node(6), 1, 1}, "/cause", 1);
  for (const auto& each : {sought, cause}) REQUIRE(status_of(with, each) == apply_status::applied);
  for (const auto& each : {all[1], all[2]})
    REQUIRE(status_of(engine, each) == apply_status::buffered);
  REQUIRE(engine.join(with.state(), noon, {}));
  CHECK(engine.buffered() == 0);
  for (const auto& each : all) CHECK(status_of(engine, each) == apply_status::applied);
  CHECK(engine.view(a) == value{3});
}

TEST_CASE("what says that a transaction is sought, or was erased, ends none") {
  context_engine engine{node(1), 1};
  const auto all = three();
  auto sought = says_lost(3);
  sought.new_value = lost_transactions::sought(noon);
  auto negative = says_lost(3, 4);
  negative.new_value = value::map({{"first", value{-3}}});
  auto erased = says_lost(3, 5);
  erased.operation = operation::erase;
  erased.new_value = {};
  for (const auto& each : {all[0], sought, negative, erased})
    REQUIRE(status_of(engine, each) == apply_status::applied);
  CHECK(engine.open() == 1);
  for (const auto& each : {all[1], all[2]}) CHECK(status_of(engine, each) == apply_status::applied);
  CHECK(engine.view(a) == value{3});
}

TEST_CASE("a replica that counts a transaction is overruled by who says that it is lost") {
  const auto all = three();
  const auto lost = says_lost(3);
  const version_vector by{{{node(3), 1, 1}}};
  context_engine engine{node(1), 1};
  for (const auto& each : all) REQUIRE(status_of(engine, each) == apply_status::applied);
  CHECK(engine.overruled_by().entries().empty());
  SUBCASE("it comes as a change, and is said again") {
    for (const auto& each : {lost, says_lost(3, 4)}) {
      CHECK(status_of(engine, each) == apply_status::applied);
      CHECK(engine.overruled_by() == by);
    }
  }
  SUBCASE("it comes with a state") {
    context_engine with{node(5), 1};
    for (const auto& each : {all[0], lost}) REQUIRE(status_of(with, each) == apply_status::applied);
    const auto joined = engine.join(with.state(), noon, {});
    REQUIRE_FALSE(joined);
    CHECK(joined.error().code == error_code::failed_precondition);
    CHECK(engine.overruled_by() == by);
    CHECK(engine.view(a) == value{3});
  }
  SUBCASE("it is found at a start") {
    REQUIRE(status_of(engine, lost) == apply_status::applied);
    context_engine again{node(1), 2, engine.state()};
    CHECK(again.overruled_by() == by);
  }
  SUBCASE("another one is lost, or is sought") {
    auto sought = says_lost(3, 4);
    sought.new_value = lost_transactions::sought(noon);
    for (const auto& each : {says_lost(9), sought})
      REQUIRE(status_of(engine, each) == apply_status::applied);
    CHECK(engine.overruled_by().entries().empty());
    context_engine again{node(1), 2, engine.state()};
    CHECK(again.overruled_by().entries().empty());
  }
}

TEST_CASE("a replica that has never counted a lost transaction is not overruled") {
  context_engine engine{node(1), 1};
  for (const auto& each : three()) {
    if (each.dot == end) REQUIRE(status_of(engine, says_lost(3)) == apply_status::applied);
    REQUIRE(status_of(engine, each) == apply_status::applied);
  }
  REQUIRE(status_of(engine, says_lost(3, 4)) == apply_status::applied);
  CHECK(engine.overruled_by().entries().empty());
  context_engine again{node(1), 2, engine.state()};
  CHECK(again.overruled_by().entries().empty());
}

TEST_CASE("a state is not joined that counts a transaction which is lost here") {
  context_engine with{node(5), 1}, engine{node(1), 1};
  for (const auto& each : three()) REQUIRE(status_of(with, each) == apply_status::applied);
  REQUIRE(status_of(engine, says_lost(3)) == apply_status::applied);
  const auto joined = engine.join(with.state(), noon, {});
  REQUIRE_FALSE(joined);
  CHECK(joined.error().code == error_code::failed_precondition);
  CHECK_FALSE(engine.view(a));
}

TEST_CASE("what waits of a node is dropped when the cluster speaks of it, and may come again") {
  context_engine engine{node(1), 1};
  const auto all = three();
  const auto unrelated = put({node(3), 9, 2}, "/c", 1);
  REQUIRE(status_of(engine, all[0]) == apply_status::applied);
  for (const auto& each : {unrelated, all[2]})
    REQUIRE(status_of(engine, each, node(7)) == apply_status::buffered);
  auto said = says_lost(3);
  std::vector<dot_range> missing{{node(3), 9, 1, 1}};
  SUBCASE("a transaction is sought") { said.new_value = lost_transactions::sought(noon); }
  SUBCASE("a node is forgotten") { said = farewell_of(2, 3, 1, {}); }
  SUBCASE("one is forgotten that has sent it") {
    said = farewell_of(7, 3, 1, {});
    missing.clear();
  }
  REQUIRE(status_of(engine, said) == apply_status::applied);
  CHECK(engine.buffered() == missing.size());
  CHECK(engine.missing() == missing);
  REQUIRE(status_of(engine, all[1]) == apply_status::applied);
  CHECK(engine.open() == 2);
  CHECK(status_of(engine, all[2]) == apply_status::applied);
  CHECK(engine.view(a) == value{3});
}

TEST_CASE(
    "what waits is dropped when a state is joined in which the cluster has spoken of itself") {
  context_engine with{node(1), 1}, engine{node(3), 1};
  const auto later = put({node(2), 1, 3}, "/a", 3);
  REQUIRE(status_of(engine, later) == apply_status::buffered);
  SUBCASE("a node was forgotten, and is a member again") {
    const auto gone = farewell_of(7, 5, 1, {});
    auto again = put({node(7), 2, 1}, members::place_of(node(7)).text(), members::joining(noon),
                     {seen(gone)});
    again.principal = system_principal;
    for (const auto& each : {gone, again}) REQUIRE(status_of(with, each) == apply_status::applied);
    REQUIRE(engine.join(with.state(), noon, {}));
    CHECK(engine.buffered() == 0);
  }
  SUBCASE("it has not") {
    REQUIRE(status_of(with, put({node(5), 1, 1}, "/b", 1)) == apply_status::applied);
    REQUIRE(engine.join(with.state(), noon, {}));
    CHECK(engine.buffered() == 1);
  }
}
