#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("writes that are made together are one transaction, made as a whole or not at all") {
  context_engine engine{node(1), 1};
  must_write(engine, b, 1);
  const auto made = engine.write_together(
      {{operation::put, a, 1}, {operation::erase, b, {}}, {operation::put, path{"/c"}, 3}},
      "tester", {}, noon);
  REQUIRE(made);
  REQUIRE(made->size() == 3);
  for (std::uint32_t i = 0; i < 3; ++i) CHECK((*made)[i].record.transaction.index == i);
  CHECK(made->back().record.transaction.is_last());
  const auto before = engine.root_hash();
  const auto refused = [&](std::vector<local_write> writes, std::string_view part) {
    const auto failed = engine.write_together(std::move(writes), "tester", {}, noon);
    REQUIRE_FALSE(failed);
    CHECK_MESSAGE(failed.error().message.find(part) != std::string::npos, failed.error().message);
    CHECK(engine.root_hash() == before);
  };
  refused({{operation::put, a, 5}, {operation::erase, b, {}}}, "entry 2 of 2, '/b': ");
  refused({{operation::put, a, 5}, {operation::put, path{"/_sys/x"}, 1}}, "reserved");
  refused({{operation::erase, a, {}}, {operation::erase, a, {}}}, "named twice");
  refused({{operation::increment, a, 1}, {operation::increment, a, 1}}, "named twice");
  refused({{operation::increment, a, 1}, {operation::put, a, 1}}, "named twice");
  engine_limits few;
  few.max_transaction = 2;
  context_engine small{node(1), 1, {}, few};
  CHECK(small.write_together({{.path = a}, {.path = b}}, "tester", {}, noon));
  CHECK(small.write_together({{.path = a}, {.path = b}, {.path = path{"/c"}}}, "tester", {}, noon)
            .error()
            .code == error_code::limit_exceeded);
}

TEST_CASE("readers see a transaction when its last change has arrived, and nothing before") {
  context_engine engine{node(1), 1};
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2),
                             put({node(2), 1, 3}, "/a", 3)});
  CHECK(engine.apply(all[0], noon).applied.empty());
  CHECK(engine.apply(all[1], noon).applied.empty());
  CHECK(engine.open() == 2);
  CHECK(engine.tree().empty());
  CHECK(engine.vector().at(node(2), 1) == 2);
  CHECK(status_of(engine, all[1]) == apply_status::duplicate);
  CHECK(engine.state().processed.vector().entries().empty());
  const auto outcome = engine.apply(all[2], noon);
  CHECK(outcome.applied.size() == 3);
  CHECK(engine.view(a) == value{3});
  CHECK(engine.view(b) == value{2});
  CHECK(engine.open() == 0);
  CHECK(engine.state().processed == engine.processed());
}

TEST_CASE("a change that overwrote a part of a transaction waits for all of it") {
  context_engine engine{node(1), 1};
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  const auto after = put({node(3), 1, 1}, "/a", "after", {seen(all[0])});
  CHECK(status_of(engine, all[0]) == apply_status::applied);
  CHECK(status_of(engine, after) == apply_status::buffered);
  const auto outcome = engine.apply(all[1], noon);
  CHECK(outcome.released == std::vector{after});
  CHECK(engine.view(a) == value{"after"});
}

TEST_CASE("an open transaction goes on after a start") {
  context_engine before{node(1), 1};
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  REQUIRE(status_of(before, all[0]) == apply_status::applied);
  context_engine after{node(1), 2, before.state()};
  REQUIRE(after.replay(all[0], noon));
  CHECK(after.vector() == before.vector());
  CHECK(after.tree().empty());
  REQUIRE(status_of(after, all[1]) == apply_status::applied);
  CHECK(after.values() == 2);
}

TEST_CASE("a change that does not go on with the open transaction is refused") {
  context_engine engine{node(1), 1};
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2),
                             put({node(2), 1, 3}, "/c", 3)});
  SUBCASE("one on its own") {
    REQUIRE(status_of(engine, all[0]) == apply_status::applied);
    CHECK(status_of(engine, put({node(2), 1, 2}, "/b", 2)) == apply_status::refused);
  }
  SUBCASE("one of a transaction of another size") {
    REQUIRE(status_of(engine, all[0]) == apply_status::applied);
    auto odd = all[1];
    odd.transaction.count = 4;
    CHECK(status_of(engine, odd) == apply_status::refused);
  }
  SUBCASE("one that makes it larger than was announced") {
    REQUIRE(status_of(engine, all[0]) == apply_status::applied);
    auto odd = all[1];
    odd.new_value = std::string(5000, 'x');
    CHECK(status_of(engine, odd) == apply_status::refused);
  }
  SUBCASE("one in the log") {
    REQUIRE(status_of(engine, all[0]) == apply_status::applied);
    CHECK_FALSE(engine.replay(put({node(2), 1, 2}, "/b", 2), noon));
    CHECK(status_of(engine, put({node(2), 1, 2}, "/b", 2)) == apply_status::refused);
  }
  SUBCASE("one out of the middle") {
    auto odd = all[2];
    odd.dot.seq = 3;
    REQUIRE(status_of(engine, put({node(2), 1, 1}, "/a", 1)) == apply_status::applied);
    REQUIRE(status_of(engine, put({node(2), 1, 2}, "/a", 1)) == apply_status::applied);
    CHECK(status_of(engine, odd) == apply_status::refused);
  }
}

TEST_CASE("another change under the dot of a part is an alarm") {
  context_engine engine{node(1), 1};
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  REQUIRE(status_of(engine, all[0]) == apply_status::applied);
  auto other = all[0];
  other.new_value = "other";
  CHECK(engine.apply(other, noon).alarm);
  CHECK(engine.quarantine().size() == 1);
  // Who has overwritten the other one does not wait for this one.
  const auto over = put({node(3), 1, 1}, "/a", "over", {seen(other)});
  CHECK(status_of(engine, over) == apply_status::applied);
  CHECK(status_of(engine, all[1]) == apply_status::applied);
}

TEST_CASE("open transactions are bounded, and no sender keeps out the others") {
  engine_limits limits;
  limits.max_open_weight = 20'000;
  context_engine engine{node(1), 1, {}, limits};
  const auto of = [](unsigned origin, std::uint64_t incarnation, std::size_t bytes) {
    return together({put({node(origin), incarnation, 1}, "/a", std::string(bytes, 'x')),
                     put({node(origin), incarnation, 2}, "/b", std::string(bytes, 'x'))});
  };
  const auto large = of(2, 1, 8000), invented = of(3, 1, 8000), more = of(4, 1, 3000);
  CHECK(status_of(engine, large[0], node(2)) == apply_status::applied);
  CHECK(status_of(engine, invented[0], node(2)) == apply_status::applied);  // not its own share
  CHECK(status_of(engine, more[0], node(2)) == apply_status::overflow);
  const auto passed_on = of(10, 1, 1000);  // within the part of its origin
  CHECK(status_of(engine, passed_on[0], node(2)) == apply_status::applied);
  const auto honest = of(5, 1, 8000), next = of(5, 2, 8000);
  CHECK(status_of(engine, honest[0], node(5)) == apply_status::applied);
  CHECK(status_of(engine, next[0], node(5)) == apply_status::overflow);
  CHECK(status_of(engine, more[0], node(7)) == apply_status::applied);
  // All together are within a few times the bound.
  const auto last = of(8, 1, 8000), other = of(9, 1, 8000), tiny = of(9, 2, 500);
  CHECK(status_of(engine, last[0], node(8)) == apply_status::applied);
  CHECK(status_of(engine, other[0], node(9)) == apply_status::overflow);
  CHECK(status_of(engine, tiny[0], node(9)) == apply_status::applied);
  for (const auto* each : {&large, &invented, &passed_on, &honest, &more, &last, &tiny})
    CHECK(status_of(engine, each->back(), node(2)) == apply_status::applied);
  for (const auto& each : other) CHECK(status_of(engine, each, node(9)) == apply_status::applied);
  CHECK(engine.open() == 0);
}

TEST_CASE("no bound keeps out what this node had taken before") {
  engine_limits limits;
  limits.max_open_weight = 1;
  limits.max_incarnations = 2;
  limits.max_siblings = 2;
  context_engine engine{node(1), 1, {}, limits};
  const auto of = [](unsigned origin) {
    return together({put({node(origin), 1, 1}, "/a", 1), put({node(origin), 1, 2}, "/b", 2)});
  };
  const auto first = of(2), second = of(3), third = of(4);
  const auto other = put({node(5), 1, 1}, "/a", 3);
  REQUIRE(status_of(engine, first[0], node(2)) == apply_status::applied);
  CHECK(status_of(engine, second[0], node(2)) == apply_status::overflow);
  CHECK(status_of(engine, second[0], node(1)) == apply_status::applied);
  CHECK(status_of(engine, other, node(2)) == apply_status::overflow);
  CHECK(status_of(engine, other, node(1)) == apply_status::applied);
  CHECK(status_of(engine, third[0], node(1)) == apply_status::applied);
  for (const auto& each : {first[1], second[1], third[1]})
    CHECK(status_of(engine, each, node(1)) == apply_status::applied);
  CHECK(siblings_of(engine, a).size() == 4);
  CHECK(engine.open() == 0);
}

TEST_CASE("a transaction is weighed before it is made, whatever it does") {
  context_engine engine{node(1), 1}, other{node(2), 1};
  for (int round = 0; round < 300; ++round) {
    const auto made = engine.write_together(
        {{operation::increment, a, (std::int64_t{1} << 40) + round},
         {operation::put, b, round},
         {operation::increment, path{"/new/" + std::to_string(round)}, -(std::int64_t{1} << 40)}},
        "tester", {}, noon);
    REQUIRE(made);
    for (const auto& each : *made) REQUIRE(status_of(other, each.record) == apply_status::applied);
  }
  CHECK(engine.root_hash() == other.root_hash());
}

TEST_CASE("what stands in quarantine elsewhere does not weigh on a transaction") {
  engine_limits limits;
  limits.max_transaction_weight = 2'000;
  context_engine engine{node(1), 1, {}, limits};
  for (std::uint64_t seq = 1; seq <= 100; ++seq) {
    const auto where = "/q/" + std::to_string(seq);
    REQUIRE(status_of(engine, put({node(2), 1, seq}, where, 1)) == apply_status::applied);
    REQUIRE(engine.apply(put({node(2), 1, seq}, where, 2), noon).alarm);
  }
  CHECK(engine.write_together({{.path = a}, {.path = b}}, "tester", {}, noon));
  const auto mended =
      engine.write_together({{.path = path{"/q/1"}}, {.path = b}}, "tester", {}, noon);
  REQUIRE(mended);
  CHECK(mended->front().record.observed.size() == 2);
  CHECK_FALSE(malformed(mended->front().record, limits));
}

TEST_CASE("the parts of one transaction cannot exceed the siblings of a path together") {
  engine_limits limits;
  limits.max_siblings = context_tree::max_siblings - 2;
  limits.max_siblings_of_node = 300;
  context_engine engine{node(1), 1, {}, limits};
  std::vector<change_record> concurrent;
  for (unsigned i = 0; i < limits.max_siblings - 1; ++i) {
    concurrent.push_back(put({node(i + 10), 1, 1}, "/a", 1));
    REQUIRE(status_of(engine, concurrent.back()) == apply_status::applied);
  }
  auto adds = put({node(2), 1, 2}, "/a", 5);
  adds.operation = operation::increment;
  adds.counts.bytes = pack_counts(std::vector<counter_part>{{{node(2), 1}, 2, 5}});
  const auto all = together({put({node(2), 1, 1}, "/a", 1), adds});
  CHECK(status_of(engine, all[0]) == apply_status::applied);
  CHECK(status_of(engine, all[1]) == apply_status::overflow);
  REQUIRE(status_of(engine,
                    put({node(3), 1, 1}, "/a", 1, {seen(concurrent[0]), seen(concurrent[1])})) ==
          apply_status::applied);
  CHECK(status_of(engine, all[1]) == apply_status::applied);
  CHECK(siblings_of(engine, a).size() == limits.max_siblings);
  CHECK(engine.write(operation::increment, a, 1, "ada", {}, noon).error().code ==
        error_code::limit_exceeded);
}

TEST_CASE("one node does not take the room of the others at a path") {
  engine_limits limits;
  limits.max_siblings_of_node = 3;
  context_engine engine{node(1), 1, {}, limits};
  for (std::uint64_t n = 1; n <= 4; ++n)
    CHECK(status_of(engine, put({node(2), n, 1}, "/a", 1)) ==
          (n <= 3 ? apply_status::applied : apply_status::overflow));
  CHECK(status_of(engine, put({node(3), 1, 1}, "/a", 1)) == apply_status::applied);
}

TEST_CASE("a transaction is taken when all its paths have room") {
  engine_limits limits;
  limits.max_siblings = 1;
  context_engine engine{node(1), 1, {}, limits};
  const auto standing = put({node(3), 1, 1}, "/a", 1);
  REQUIRE(status_of(engine, standing) == apply_status::applied);
  const auto all = together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2)});
  CHECK(status_of(engine, all[0]) == apply_status::applied);
  CHECK(status_of(engine, all[1]) == apply_status::overflow);
  REQUIRE(status_of(engine, put({node(3), 1, 2}, "/c", 1)) == apply_status::applied);
  REQUIRE(engine.write_together({{operation::erase_subtree, a, {}}}, "tester", {}, noon));
  CHECK(status_of(engine, all[1]) == apply_status::applied);
  CHECK(engine.view(a) == value{1});
}
