#include <doctest/doctest.h>

#include <initializer_list>

#include <troupe/actors/context/log_collection.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr checkpoint_id first{1}, second{2}, third{3};

processed_changes upto(std::uint64_t seq) {
  return processed_changes{version_vector{{{node(1), 5, seq}}}};
}

/// What node 1 knows of a cluster with these members.
members members_with(std::initializer_list<unsigned> nodes) {
  context_engine engine{node(99), 1};
  for (const auto each : nodes) {
    auto record = put({node(each), 1, 1}, members::place_of(node(each)).text(), each);
    record.principal = system_principal;
    REQUIRE(status_of(engine, record) == apply_status::applied);
  }
  members known{node(1)};
  known.update(engine.tree());
  return known;
}

void write_checkpoint(log_collection& log, checkpoint_id id, std::uint64_t seq) {
  log.saving(id, upto(seq));
  log.saved(id, true);
}

/// Up to which change of node 1 the log may be collected, or 0 for none.
std::uint64_t next(log_collection& log, const members& known, std::uint64_t mine = 100) {
  const auto upto_here = log.next(known, upto(mine));
  return upto_here ? upto_here->at({node(1), 5}) : 0;
}

}  // namespace

TEST_CASE("nothing leaves the log before a checkpoint is written") {
  const members alone{node(1)};
  log_collection log;
  CHECK(next(log, alone) == 0);
  log.saving(first, upto(4));
  CHECK(next(log, alone) == 0);
  log.saved(first, true);
  CHECK(next(log, alone) == 4);
}

TEST_CASE("what the checkpoint had at the start is collected without another one") {
  const members alone{node(1)};
  log_collection log;
  log.found(upto(4));
  CHECK(next(log, alone) == 4);
  log.collected(false);
  CHECK(next(log, alone) == 0);
}

TEST_CASE("a node that is alone collects at once") {
  const members alone{node(1)};
  log_collection log;
  write_checkpoint(log, first, 4);
  CHECK(next(log, alone) == 4);
}

TEST_CASE("a checkpoint that failed does not count") {
  const members alone{node(1)};
  log_collection log;
  log.saving(first, upto(4));
  log.saved(first, false);
  CHECK(next(log, alone) == 0);
  write_checkpoint(log, second, 6);
  CHECK(next(log, alone) == 6);
}

TEST_CASE("a checkpoint that failed does not take away the one before") {
  auto known = members_with({1, 2});
  log_collection log;
  write_checkpoint(log, first, 4);
  log.saving(second, upto(6));
  log.saved(second, false);
  known.report({node(2), 7, upto(9).vector()});
  CHECK(next(log, known) == 4);
}

TEST_CASE("changes leave the log when all members have said that they have them") {
  auto known = members_with({1, 2, 3});
  log_collection log;
  write_checkpoint(log, first, 4);
  CHECK(next(log, known) == 0);
  known.report({node(2), 7, upto(9).vector()});
  CHECK(next(log, known) == 0);
  known.report({node(3), 7, upto(3).vector()});
  CHECK(next(log, known) == 0);
  known.report({node(3), 7, upto(4).vector()});
  CHECK(next(log, known) == 4);
}

TEST_CASE("a node that is no member does not hold the log back and does not count") {
  auto known = members_with({1, 2});
  log_collection log;
  write_checkpoint(log, first, 4);
  known.report({node(8), 7, upto(9).vector()});
  CHECK(next(log, known) == 0);
  known.report({node(2), 7, upto(4).vector()});
  known.report({node(8), 7, upto(1).vector()});
  CHECK(next(log, known) == 4);
}

TEST_CASE("a member that is set back holds the log back again") {
  auto known = members_with({1, 2});
  log_collection log;
  known.report({node(2), 7, upto(9).vector()});
  known.report({node(2), 8, upto(3).vector()});
  write_checkpoint(log, first, 4);
  CHECK(next(log, known) == 0);
}

TEST_CASE("one collection at a time is under way") {
  const members alone{node(1)};
  log_collection log;
  write_checkpoint(log, first, 4);
  REQUIRE(next(log, alone) == 4);
  write_checkpoint(log, second, 6);
  CHECK(next(log, alone) == 0);
  log.collected(false);
  CHECK(next(log, alone) == 6);
}

TEST_CASE("a collection that is over is not begun again") {
  const members alone{node(1)};
  log_collection log;
  write_checkpoint(log, first, 4);
  REQUIRE(next(log, alone) == 4);
  log.collected(false);
  CHECK(next(log, alone) == 0);
}

TEST_CASE("a collection that has more to do goes on with the same changes") {
  const members alone{node(1)};
  log_collection log;
  write_checkpoint(log, first, 4);
  REQUIRE(next(log, alone) == 4);
  write_checkpoint(log, second, 6);
  log.collected(true);
  CHECK(next(log, alone) == 4);
  log.collected(true);
  CHECK(next(log, alone) == 4);
  log.collected(false);
  CHECK(next(log, alone) == 6);
}

TEST_CASE("checkpoints that come while one is awaited do not put it off") {
  auto known = members_with({1, 2});
  log_collection log;
  write_checkpoint(log, first, 4);
  CHECK(next(log, known) == 0);
  for (std::uint64_t seq = 5; seq < 9; ++seq) {
    write_checkpoint(log, checkpoint_id{seq}, seq);
    CHECK(next(log, known) == 0);
  }
  known.report({node(2), 7, upto(4).vector()});
  CHECK(next(log, known) == 4);
  log.collected(false);
  CHECK(next(log, known) == 0);
  known.report({node(2), 7, upto(7).vector()});
  CHECK(next(log, known) == 0);  // The latest one is awaited now, none between.
  known.report({node(2), 7, upto(8).vector()});
  CHECK(next(log, known) == 8);
}

TEST_CASE("several checkpoints may be on their way to the disk") {
  const members alone{node(1)};
  log_collection log;
  log.saving(first, upto(4));
  log.saving(second, upto(6));
  log.saving(third, upto(8));
  log.saved(first, true);
  log.saved(second, false);
  CHECK(next(log, alone) == 4);
  log.collected(false);
  CHECK(next(log, alone) == 0);
  log.saved(third, true);
  CHECK(next(log, alone) == 8);
}

TEST_CASE("an incarnation that has ended is there with the next one of its node") {
  auto known = members_with({1, 2});
  log_collection log;
  write_checkpoint(log, first, 4);
  auto later = put({node(1), 6, 1}, "/a", 1);
  later.after = {{node(1), 5, 4}};
  auto mine = upto(4);
  mine.add(later);
  known.report({node(2), 7, version_vector{{{node(1), 6, 1}}}});
  CHECK_FALSE(log.next(known, upto(4)));
  CHECK(log.next(known, mine));
}
