#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("the first change of an incarnation names what its node has had before, and ends it") {
  context_engine first{node(1), 5};
  const auto one = must_write(first, a, 1);
  CHECK(one.after.empty());
  const auto two = must_write(first, a, 2);
  context_engine second{node(1), 8, first.state()};
  const auto three = must_write(second, a, 3);
  CHECK(three.after == std::vector<version_entry>{{node(1), 5, 2}});
  CHECK(must_write(second, a, 4).after.empty());
  CHECK(second.vector() == version_vector{{{node(1), 8, 2}}});
  CHECK(second.processed().at({node(1), 5}) == 2);

  context_engine other{node(2), 1};
  CHECK(status_of(other, three) == apply_status::buffered);
  CHECK(status_of(other, one) == apply_status::applied);
  CHECK(other.vector() == version_vector{{{node(1), 5, 1}}});
  const auto outcome = other.apply(two, noon);
  CHECK(outcome.status == apply_status::applied);
  CHECK(outcome.released == std::vector{three});
  CHECK(other.vector() == version_vector{{{node(1), 8, 1}}});
  CHECK(status_of(other, one) == apply_status::duplicate);
  CHECK(status_of(other, two) == apply_status::duplicate);
  CHECK(other.view(a) == value{3});
}

TEST_CASE("a node whose disk was set back ends all that it finds, and nothing is lost") {
  context_engine original{node(1), 5};
  const auto one = must_write(original, a, 1);
  const auto backup = original.state();
  const auto lost = must_write(original, path{"/lost"}, 1);
  context_engine other{node(2), 1};
  REQUIRE(status_of(other, one) == apply_status::applied);

  context_engine restored{node(1), 9, backup};
  const auto two = must_write(restored, a, 2);
  CHECK(two.after == std::vector<version_entry>{{node(1), 5, 1}});
  REQUIRE(status_of(other, two) == apply_status::applied);
  CHECK(other.processed().has_ended({node(1), 5}));
  REQUIRE(status_of(other, lost) == apply_status::applied);
  CHECK(other.vector() == version_vector{{{node(1), 5, 2}, {node(1), 9, 1}}});
  CHECK(other.view(path{"/lost"}) == value{1});
  REQUIRE(status_of(restored, lost) == apply_status::applied);
  CHECK(restored.vector() == other.vector());

  context_engine again{node(1), 10, restored.state()};
  const auto three = must_write(again, a, 3);
  CHECK(three.after == std::vector<version_entry>{{node(1), 5, 2}, {node(1), 9, 1}});
  REQUIRE(status_of(other, three) == apply_status::applied);
  CHECK(other.vector() == version_vector{{{node(1), 10, 1}}});
}

TEST_CASE("what others wait for of an older incarnation is asked for") {
  context_engine engine{node(1), 1};
  auto later = put({node(2), 9, 1}, "/a", 1);
  REQUIRE(status_of(engine, later) == apply_status::applied);
  auto waits = put({node(3), 1, 1}, "/b", 1);
  waits.after = {{node(2), 5, 2}};
  REQUIRE(status_of(engine, waits) == apply_status::buffered);
  CHECK(engine.missing() == std::vector<dot_range>{{node(2), 5, 1, 2}});
  REQUIRE(status_of(engine, put({node(2), 5, 1}, "/c", 1)) == apply_status::applied);
  CHECK(engine.missing() == std::vector<dot_range>{{node(2), 5, 2, 2}});
  const auto last = together({put({node(2), 5, 2}, "/c", 2), put({node(2), 5, 3}, "/d", 2)});
  REQUIRE(status_of(engine, last[0]) == apply_status::applied);
  CHECK(engine.missing() == std::vector<dot_range>{{node(2), 5, 3, 3}});
  REQUIRE(status_of(engine, last[1]) == apply_status::applied);
  CHECK(engine.missing().empty());
  CHECK(engine.buffered() == 0);
}

TEST_CASE("the changes of an incarnation that is forgotten count as there") {
  engine_state state;
  for (std::uint64_t n = 1; n <= processed_changes::max_ended_of_node + 2; ++n) {
    auto record = put({node(2), n, 1}, "/a", 1);
    if (n > 1) record.after = {{node(2), n - 1, 1}};
    state.processed.add(record);
  }
  const auto live = put({node(2), 1, 1}, "/live", 1);
  state.tree.put(path{"/live"}, std::vector{sibling::of(live, content_hash(live))});
  context_engine engine{node(1), 1, state};
  CHECK(status_of(engine, live) == apply_status::duplicate);
  CHECK(status_of(engine, put({node(2), 1, 2}, "/a", 1)) == apply_status::duplicate);
  // What overwrites such a change waits for nothing.
  CHECK(status_of(engine, put({node(3), 1, 1}, "/live", 2, {seen(live)})) == apply_status::applied);
  CHECK(engine.view(path{"/live"}) == value{2});
  CHECK_THROWS_AS((context_engine{node(2), 1, state}), std::invalid_argument);
}

TEST_CASE("an incarnation that ends others has room where no new one has") {
  engine_limits limits;
  limits.max_incarnations_of_node = 2;
  context_engine engine{node(1), 1, {}, limits};
  for (std::uint64_t n = 1; n <= 2; ++n)
    REQUIRE(status_of(engine, put({node(2), n, 1}, "/a", 1)) == apply_status::applied);
  CHECK(status_of(engine, put({node(2), 3, 1}, "/a", 1)) == apply_status::overflow);
  context_engine again{node(2), 4, engine.state(), limits};
  const auto made = must_write(again, a, 1);
  CHECK(status_of(engine, made) == apply_status::applied);
  CHECK(engine.vector() == version_vector{{{node(2), 4, 1}}});
}

TEST_CASE("a node writes though others have made up as many incarnations as it may have") {
  engine_limits limits;
  limits.max_incarnations_of_node = 2;
  engine_state state;
  for (std::uint64_t n = 7; n <= 8; ++n) state.processed.raise({node(1), n, 1});
  context_engine engine{node(1), 4, state, limits};
  must_write(engine, a, 1);
}

TEST_CASE("only an earlier incarnation that ends makes room, and none comes back without it") {
  engine_limits limits;
  limits.max_incarnations_of_node = 3;
  context_engine engine{node(1), 1, {}, limits};
  auto late = put({node(2), 100, 1}, "/a", 1);
  REQUIRE(status_of(engine, late) == apply_status::applied);
  auto ended = put({node(2), 5, 1}, "/a", 1);
  REQUIRE(status_of(engine, ended) == apply_status::applied);
  auto ends = put({node(2), 6, 1}, "/a", 1);
  ends.after = {{node(2), 5, 1}};
  REQUIRE(status_of(engine, ends) == apply_status::applied);
  auto third = put({node(2), 7, 1}, "/a", 1);
  third.after = {{node(2), 100, 1}};
  REQUIRE(status_of(engine, third) == apply_status::applied);
  auto fourth = put({node(2), 8, 1}, "/a", 1);
  fourth.after = {{node(2), 100, 1}};
  CHECK(status_of(engine, fourth) == apply_status::overflow);
  CHECK(status_of(engine, put({node(2), 5, 2}, "/a", 1)) == apply_status::overflow);
  CHECK(engine.vector().entries().size() == 3);
}

TEST_CASE("who waits for what is forgotten goes on") {
  engine_limits limits;
  context_engine engine{node(1), 1, {}, limits};
  auto waits = put({node(3), 1, 1}, "/b", 1);
  waits.after = {{node(2), 5, 7}};
  REQUIRE(status_of(engine, waits) == apply_status::buffered);
  REQUIRE(status_of(engine, put({node(2), 5, 3}, "/c", 1)) == apply_status::buffered);
  for (std::uint64_t n = 4; n <= processed_changes::max_ended_of_node + 20; ++n) {
    if (n == 5) continue;
    auto record = put({node(2), n, 1}, "/a/" + std::to_string(n), 1);
    if (n > 4) record.after = {{node(2), n == 6 ? 4 : n - 1, 1}};
    REQUIRE(status_of(engine, record) == apply_status::applied);
  }
  CHECK(engine.processed().has_forgotten({node(2), 5}));
  CHECK(engine.buffered() == 0);
  CHECK(engine.missing().empty());
  CHECK(engine.view(path{"/b"}) == value{1});
}

TEST_CASE("a later start of this node than the one that runs is an alarm") {
  context_engine engine{node(1), 5};
  must_write(engine, a, 1);
  auto later = put({node(1), 9, 1}, "/b", 1);
  later.after = {{node(1), 5, 1}};
  const auto outcome = engine.apply(later, noon);
  CHECK(outcome.status == apply_status::applied);
  CHECK(outcome.alarm);
  CHECK(must_write(engine, a, 2).dot == dot{node(1), 5, 2});
}

TEST_CASE("an erasure of what very many incarnations have written names few of them") {
  engine_state state;
  for (std::uint64_t n = 1; n <= 3000; ++n) {
    auto record = put({node(2), n, 1}, "/a/" + std::to_string(n), 1);
    if (n > 1) record.after = {{node(2), n - 1, 1}};
    state.processed.add(record);
    state.tree.put(record.path, std::vector{sibling::of(record, content_hash(record))});
  }
  context_engine engine{node(1), 1, state};
  const auto made = engine.write_together(
      {{operation::erase_subtree, path{"/a"}, {}}, {operation::put, path{"/b"}, 1}}, "tester", {},
      noon);
  REQUIRE(made);
  CHECK((*made)[0].record.after == std::vector<version_entry>{{node(2), 3000, 1}});
  CHECK(engine.values() == 1);
}

TEST_CASE("a transaction names first what all of it needs, and then waits for nothing") {
  context_engine writer{node(1), 1};
  const auto old = put({node(2), 1, 1}, "/a", 1);
  const auto older = put({node(3), 1, 1}, "/b", 1);
  REQUIRE(status_of(writer, old) == apply_status::applied);
  REQUIRE(status_of(writer, older) == apply_status::applied);
  const auto made = writer.write_together({{operation::put, path{"/c"}, 1},
                                           {operation::put, path{"/a"}, 2},
                                           {operation::erase_subtree, path{"/b"}, {}}},
                                          "tester", {}, noon);
  REQUIRE(made);
  REQUIRE(made->size() == 3);
  CHECK((*made)[0].record.after == std::vector<version_entry>{{node(2), 1, 1}, {node(3), 1, 1}});
  CHECK((*made)[1].record.after.empty());

  context_engine reader{node(4), 1};
  REQUIRE(status_of(reader, (*made)[0].record) == apply_status::buffered);
  CHECK(reader.open() == 0);
  REQUIRE(status_of(reader, old) == apply_status::applied);
  CHECK(reader.buffered() == 1);
  REQUIRE(status_of(reader, older) == apply_status::applied);
  CHECK(reader.buffered() == 0);
  CHECK(reader.open() == 1);
  REQUIRE(status_of(reader, (*made)[1].record) == apply_status::applied);
  REQUIRE(status_of(reader, (*made)[2].record) == apply_status::applied);
  CHECK(reader.root_hash() == writer.root_hash());
}

TEST_CASE("a transaction that needs what its first change does not name is broken") {
  context_engine engine{node(1), 1};
  const auto unknown = put({node(3), 1, 1}, "/b", 1);
  const auto made =
      together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 1, {seen(unknown)})});
  REQUIRE(status_of(engine, made[0]) == apply_status::applied);
  const auto outcome = engine.apply(made[1], noon);
  CHECK(outcome.status == apply_status::refused);
  REQUIRE(outcome.problem);
  CHECK(outcome.problem->message.find("does not name") != std::string::npos);
  CHECK(engine.tree().empty());
}

TEST_CASE("what a change follows is checked") {
  context_engine engine{node(1), 1};
  auto record = put({node(2), 3, 1}, "/a", 1);
  SUBCASE("a change that begins nothing") {
    record.dot.seq = 2;
    record.after = {{node(2), 1, 1}};
  }
  SUBCASE("its own incarnation") { record.after = {{node(2), 3, 1}}; }
  SUBCASE("in no order") { record.after = {{node(3), 1, 1}, {node(2), 1, 1}}; }
  SUBCASE("one incarnation twice") { record.after = {{node(2), 1, 1}, {node(2), 1, 2}}; }
  SUBCASE("no change") { record.after = {{node(2), 1, 0}}; }
  SUBCASE("no incarnation") { record.after = {{node(2), 0, 1}}; }
  SUBCASE("no node") { record.after = {{node_id{}, 1, 1}}; }
  SUBCASE("a number without end") { record.dot.incarnation = std::uint64_t{1} << 63; }
  CHECK(status_of(engine, record) == apply_status::malformed);
}

// TROUPE_STARTS: how often the program starts.
TEST_CASE("a program that starts, writes and counts once, and stops does so without end") {
  const char* text = std::getenv("TROUPE_STARTS");
  const std::uint64_t starts = text ? std::strtoull(text, nullptr, 10) : 3000;
  context_engine member{node(2), 1}, away{node(3), 1};
  engine_state disk;
  std::vector<change_record> missed;
  for (std::uint64_t n = 1; n <= starts; ++n) {
    context_engine program{node(1), 10 * n, std::move(disk)};
    missed.push_back(must_write(program, a, static_cast<std::int64_t>(n)));
    REQUIRE(status_of(member, missed.back()) == apply_status::applied);
    missed.push_back(*program.write(operation::increment, b, 1, "tester", {}, noon));
    REQUIRE(status_of(member, missed.back()) == apply_status::applied);
    REQUIRE(program.vector().entries().size() == 1);
    REQUIRE(member.vector() == program.vector());
    if (missed.size() == 200) {  // a member that is away gets them all later
      for (const auto& each : missed) REQUIRE(status_of(away, each) == apply_status::applied);
      missed.clear();
    }
    disk = program.state();
  }
  for (const auto& each : missed) REQUIRE(status_of(away, each) == apply_status::applied);
  CHECK(away.vector() == member.vector());
  CHECK(away.root_hash() == member.root_hash());
  CHECK(away.view(b) == value{static_cast<std::int64_t>(starts)});
  CHECK(encode(disk.processed).size() < 4 * processed_changes::max_ended_of_node);
}
