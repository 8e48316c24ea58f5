#include <doctest/doctest.h>

#include <troupe/actors/context/checkpoint_schedule.hpp>

using namespace troupe;

TEST_CASE("a checkpoint is due after N durable changes, replayed ones included") {
  checkpoint_schedule schedule{10, 3};
  CHECK_FALSE(schedule.is_due(6));
  CHECK(schedule.is_due(7));
  CHECK(schedule.take(8) == 11);
  CHECK_FALSE(schedule.is_due(100));
  const auto id = schedule.begin(11, std::nullopt);
  CHECK_FALSE(schedule.is_due(100));
  CHECK_FALSE(schedule.end(id, true));
  CHECK_FALSE(schedule.is_due(17));
  CHECK(schedule.is_due(18));
}

TEST_CASE("a checkpoint that fails counts as tried") {
  checkpoint_schedule schedule{10, 0};
  schedule.end(schedule.begin(schedule.take(10), std::nullopt), false);
  CHECK(schedule.lacks(10));
  CHECK_FALSE(schedule.is_due(19));
  CHECK(schedule.is_due(20));
}

TEST_CASE("a checkpoint that a request asked for hands the request back and is not the due one") {
  checkpoint_schedule schedule{10, 0};
  const auto asked = schedule.begin(schedule.position(10), context_request{5});
  CHECK(schedule.is_due(10));
  const auto due = schedule.begin(schedule.take(12), std::nullopt);
  CHECK(schedule.end(asked, true) == context_request{5});
  CHECK_FALSE(schedule.is_due(100));
  CHECK_FALSE(schedule.lacks(10));
  schedule.end(due, true);
  CHECK_FALSE(schedule.lacks(12));
}

TEST_CASE("the latest state that was written counts, whatever comes after") {
  checkpoint_schedule schedule{10, 0};
  const auto older = schedule.begin(5, context_request{1}),
             newer = schedule.begin(7, context_request{2});
  schedule.end(newer, true);
  schedule.end(older, true);
  CHECK_FALSE(schedule.lacks(7));
}

TEST_CASE("changes that no log holds make a new state") {
  checkpoint_schedule schedule{10, 0};
  schedule.end(schedule.begin(4, context_request{1}), true);
  CHECK_FALSE(schedule.lacks(schedule.position(4)));
  schedule.count_unlogged(1);
  CHECK(schedule.lacks(schedule.position(4)));
}
