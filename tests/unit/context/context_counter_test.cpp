#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/tests/support/fixtures/counter_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

change_record must_erase(context_engine& engine) {
  auto erased = engine.write(operation::erase, a, {}, "tester", {}, noon);
  REQUIRE(erased);
  return *erased;
}

}  // namespace

TEST_CASE("the parts of a counter come out of their bytes as they went in") {
  const std::vector<counter_part> parts{{{node(1), 1}, 5, -7}, {{node(1), 2}, 1, 1}};
  CHECK(unpack_counts(pack_counts(parts)) == parts);
  CHECK(pack_counts({}).empty());
  CHECK(unpack_counts("")->empty());
  const std::vector<counter_part> disorder{parts[1], parts[0]};
  CHECK_FALSE(unpack_counts(pack_counts(disorder)));
  const std::vector<counter_part> twice{parts[0], parts[0]};
  CHECK_FALSE(unpack_counts(pack_counts(twice)));
  const auto bytes = pack_counts(parts);
  for (std::size_t size = 1; size < bytes.size(); ++size)
    CHECK_FALSE(unpack_counts(bytes.substr(0, size)));
  CHECK_FALSE(unpack_counts(bytes + "x"));
  CHECK_FALSE(unpack_counts("\x90"));
}

TEST_CASE("increments add up, of one node and of several, without a conflict") {
  context_engine one{node(1), 1}, two{node(2), 1};
  const auto first = must_add(one, 5), second = must_add(one, -2);
  CHECK(second.previous_value == value{5});
  CHECK(second.observed.empty());
  const auto theirs = must_add(two, 10);
  const auto outcome = one.apply(theirs, noon);
  REQUIRE(outcome.applied.size() == 1);
  CHECK(outcome.applied[0].visible);
  CHECK_FALSE(outcome.applied[0].conflict);
  REQUIRE(outcome.applied[0].instead);
  CHECK(outcome.applied[0].instead->new_value == value{13});
  CHECK(outcome.applied[0].instead->previous_value == value{3});
  for (const auto& each : {first, second}) must_apply(two, each);
  CHECK(two.view(a) == value{13});
  CHECK(one.root_hash() == two.root_hash());
  CHECK(one.conflicts() == 0);
  CHECK(one.values() == 1);
  CHECK(siblings_of(one, a).size() == 2);
  const auto told = one.explain(a);
  CHECK(told.rule == "increments add up");
  REQUIRE(told.writes.size() == 2);
  CHECK(told.writes[0].value == value{10});
  CHECK(told.writes[1].value == value{3});
  CHECK_FALSE(one.explain(a).conflict);
}

TEST_CASE("what a put or an erasure has seen of a counter is gone, what it has not seen stays") {
  context_engine one{node(1), 1}, two{node(2), 1};
  const auto first = must_add(one, 5);
  must_apply(two, first);
  const auto second = must_add(one, 1);  // which node 2 does not see
  change_record over;
  std::int64_t base = 0;
  SUBCASE("a put") {
    over = must_write(two, a, 100);
    base = 100;
  }
  SUBCASE("an erasure") { over = must_erase(two); }
  SUBCASE("one that overwrote another one") {
    must_apply(one, must_write(two, a, 50));
    over = must_write(two, a, 100);
    base = 100;
  }
  must_apply(one, over);
  must_apply(two, second);
  for (auto* each : {&one, &two}) CHECK(each->view(a) == value{base + 1});
  CHECK(one.root_hash() == two.root_hash());
  const auto more = must_add(one, 10);
  must_apply(two, more);
  must_apply(one, must_add(two, 1000));
  for (auto* each : {&one, &two}) CHECK(each->view(a) == value{base + 1011});
  CHECK(one.root_hash() == two.root_hash());
  const auto last = must_write(one, a, "text");
  must_apply(two, last);
  CHECK(siblings_of(two, a) == std::vector{last.dot});
}

TEST_CASE("an erased counter shows nothing, and begins again from zero") {
  context_engine engine{node(1), 1};
  must_add(engine, 5);
  must_erase(engine);
  CHECK_FALSE(engine.view(a));
  CHECK(engine.values() == 0);
  must_add(engine, 2);
  CHECK(engine.view(a) == value{2});
  REQUIRE(engine.write_together({{operation::erase_subtree, path{}, {}}}, "tester", {}, noon));
  CHECK_FALSE(engine.view(a));
  must_add(engine, 3);
  CHECK(engine.view(a) == value{3});
}

TEST_CASE("a subtree that is erased takes of its counters what was seen of them") {
  context_engine one{node(1), 1}, two{node(2), 1};
  must_apply(two, must_add(one, 5));
  const auto meanwhile = must_add(one, 1);
  must_write(two, b, 1);
  const auto erased =
      two.write_together({{operation::erase_subtree, path{}, {}}}, "tester", {}, noon);
  REQUIRE(erased);
  must_apply(two, meanwhile);
  CHECK(two.view(a) == value{1});
  CHECK_FALSE(two.view(b));
}

TEST_CASE("a node goes on with the sums of its earlier incarnations, and none counts twice") {
  context_engine first{node(1), 1};
  must_add(first, 5);
  context_engine second{node(1), 2, first.state()};
  const auto joined = must_add(second, 1);
  CHECK(joined.observed.size() == 1);
  CHECK(siblings_of(second, a) == std::vector{joined.dot});
  CHECK(second.view(a) == value{6});
  // The disk is set back: the third goes on from the first.
  context_engine third{node(1), 3, first.state()};
  const auto again = must_add(third, 10);
  must_apply(third, joined);
  CHECK(third.view(a) == value{16});
  must_apply(second, again);
  CHECK(second.view(a) == value{16});
  CHECK(second.root_hash() == third.root_hash());
}

TEST_CASE("an increment adds to the number that its own node has put") {
  context_engine one{node(1), 1}, two{node(2), 1};
  const auto base = must_write(one, a, 100), added = must_add(one, 5);
  CHECK(siblings_of(one, a).size() == 2);
  CHECK(one.view(a) == value{105});
  for (const auto& each : {base, added}) must_apply(two, each);
  const auto again = must_write(one, a, 1);
  must_apply(two, again);
  for (auto* each : {&one, &two}) CHECK(each->view(a) == value{1});
  CHECK(siblings_of(two, a) == std::vector{again.dot});
}

TEST_CASE("what is no integer is not incremented, and nothing passes 64 bits") {
  context_engine engine{node(1), 1};
  const auto refused = [&](value by, error_code code) {
    const auto failed = engine.write(operation::increment, a, std::move(by), "tester", {}, noon);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == code);
    CHECK(failed.error().message.find("'/a'") != std::string::npos);
  };
  refused("text", error_code::invalid_argument);
  refused(1.5, error_code::invalid_argument);
  refused(std::numeric_limits<std::uint64_t>::max(), error_code::invalid_argument);
  for (const value& held : {value{"text"}, value{1.5}, value{nullptr}}) {
    must_write(engine, a, held);
    refused(1, error_code::failed_precondition);
  }
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  must_write(engine, a, most - 1);
  must_add(engine, 1);
  refused(1, error_code::limit_exceeded);
  must_add(engine, -most);
  must_add(engine, -1);
  CHECK(engine.view(a) == value{-1});
}

TEST_CASE("what one incarnation has added to a counter stays within 64 bits") {
  context_engine engine{node(1), 1};
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  must_write(engine, a, most);
  must_add(engine, -most);
  must_write(engine, a, most);
  must_add(engine, -1);
  CHECK(engine.write(operation::increment, a, -1, "tester", {}, noon).error().code ==
        error_code::limit_exceeded);
  CHECK(engine.view(a) == value{most - 1});
}

TEST_CASE("concurrent increments beyond 64 bits stay at the end of the range") {
  context_engine one{node(1), 1}, two{node(2), 1};
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  const auto x = must_add(one, least), y = must_add(two, least);
  must_apply(one, y);
  must_apply(two, x);
  CHECK(one.view(a) == value{least});
  CHECK(one.root_hash() == two.root_hash());
}

TEST_CASE("a counter whose value is not a number shows the value") {
  context_engine one{node(1), 1}, two{node(2), 1};
  const auto text = must_write(one, a, "text");
  must_apply(one, must_add(two, 5));
  must_apply(two, text);
  for (auto* each : {&one, &two}) CHECK(each->view(a) == value{"text"});
  CHECK(one.root_hash() == two.root_hash());
}

TEST_CASE("an increment that no node makes is malformed") {
  context_engine engine{node(9), 1};
  context_engine source{node(1), 1};
  const auto good = must_add(source, 5);
  CHECK_FALSE(malformed(good, {}));
  const auto with = [&](const std::vector<counter_part>& parts) {
    auto record = good;
    record.counts.bytes = pack_counts(parts);
    return record;
  };
  auto record = good;
  record.new_value = "text";
  CHECK(malformed(record, {}) == "it adds what is no integer");
  record = good;
  record.counts.bytes = "x";
  CHECK(malformed(record, {}) == "what it counts is malformed");
  CHECK(malformed(with({}), {}) == "it does not count itself");
  CHECK(malformed(with({{{node(1), 1}, 0, 5}}), {}) == "what it counts is malformed");
  CHECK(malformed(with({{{node(1), 1}, 2, 5}}), {}) ==
        "it counts a later change of its incarnation");
  CHECK(malformed(with({{{node(1), 1}, 1, 5}, {{node(2), 1}, 1, 5}}), {}) ==
        "it counts for another node");
  record = erase_below({node(2), 1, 1}, "/a", {good});
  record.counts = good.counts;
  CHECK(malformed(record, {}) == "it erases a subtree and counts");
}

TEST_CASE("a change that counts what has not arrived waits for it") {
  context_engine one{node(1), 1}, two{node(2), 1}, reader{node(9), 1};
  const auto first = must_add(one, 5);
  must_apply(two, first);
  const auto over = must_write(two, a, 100);
  CHECK(status_of(reader, over) == apply_status::buffered);
  must_apply(reader, first);
  CHECK(reader.view(a) == value{100});
  // Nobody ends a counter by counting what does not exist.
  auto forged = put({node(3), 1, 1}, "/a", 0);
  forged.counts.bytes = pack_counts(std::vector<counter_part>{{{node(1), 1}, 1'000'000, 5}});
  CHECK(status_of(reader, forged) == apply_status::buffered);
  must_apply(reader, must_add(one, 1));
  CHECK(reader.view(a) == value{101});
}

TEST_CASE("counters are exact in any order of delivery, with duplicates, starts and resets") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    constexpr unsigned nodes = 3;
    std::vector<context_engine> engines;
    std::vector<std::uint64_t> incarnations(nodes, 1);
    for (unsigned i = 0; i < nodes; ++i) engines.emplace_back(node(i + 1), 1);
    std::vector<change_record> all;
    const bool resets = seed % 2 == 1;
    std::int64_t total = 0;
    for (int step = 0; step < 80; ++step) {
      const auto i = random() % nodes;
      auto& engine = engines[i];
      if (random() % 10 == 0) {
        engine =
            context_engine{node(static_cast<unsigned>(i) + 1), ++incarnations[i], engine.state()};
      } else if (resets && random() % 10 == 0) {
        all.push_back(must_write(engine, a, static_cast<int>(random() % 100)));
      } else {
        const auto amount = static_cast<std::int64_t>(random() % 20) - 10;
        all.push_back(must_add(engine, amount));
        total += amount;
      }
      for (const auto& each : all)
        if (random() % 6 == 0) engines[random() % nodes].apply(each, noon);
    }
    std::optional<state_hash> hash;
    for (int round = 0; round < 3; ++round) {
      const auto reader = reader_of(all, random);
      if (!resets) REQUIRE(reader.view(a) == value{total});
      if (hash) REQUIRE(reader.root_hash() == *hash);
      hash = reader.root_hash();
    }
  }
}
