// Functions on their workers and inside the dispatcher, and each way to end there.

#include <doctest/doctest.h>

#include <vector>

#include <troupe/tests/support/fixtures/ledger_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

error_code outcome_code(const result<void>& outcome) {
  return outcome ? error_code::none : outcome.error().code;
}

}  // namespace

TEST_CASE("a function's result is the answer, measured from its start on the worker") {
  ledger with{{.max_workers = 1}};
  const auto work = with.add("work", 2, 0);
  const auto first = with.open(work), second = with.open(work);
  with.pass(30ms);
  with.finish(first, value{1});
  with.pass(20ms);
  with.finish(second, value{2});
  CHECK(with.answer(first).outcome == value{1});
  CHECK(with.answer(first).ran == 30ms);
  CHECK(with.answer(second).outcome == value{2});
  CHECK(with.answer(second).ran == 20ms);
  CHECK(with.answer(second).counted == command_outcome::ok);
  CHECK(with.answer(second).spec->name == "work");
  CHECK(with.answer(second).command == work);
}

TEST_CASE("errors are counted by their codes") {
  ledger with;
  const auto work = with.add("work", 5, 0);
  const auto counted = [&](error_code code) {
    const auto asked = with.open(work);
    with.finish(asked, fail(code, "no"));
    return with.answer(asked).counted;
  };
  CHECK(counted(error_code::not_found) == command_outcome::error);
  CHECK(counted(error_code::cancelled) == command_outcome::cancelled);
  CHECK(counted(error_code::deadline_exceeded) == command_outcome::timeout);
}

TEST_CASE("a function is asked to stop at its deadline and keeps its place until it returns") {
  ledger with;
  const auto work = with.add("work", 1, 1);
  const auto slow = with.open(work, 100ms), next = with.open(work);
  with.pass(100ms);
  CHECK(with.problem(slow) == "the command work did not finish in time");
  CHECK(with.answer(slow).counted == command_outcome::timeout);
  CHECK(with.answer(slow).ran == 100ms);
  CHECK(with.told_to_stop == ids{slow});
  CHECK(with.logged == std::vector{event::timed_out});
  CHECK(with.requests.place_of(slow) == request_place::worker);
  CHECK(with.requests.place_of(next) == request_place::queue);
  with.pass(50ms);
  with.finish(slow, value{"late"});
  CHECK(with.code(slow) == error_code::deadline_exceeded);
  CHECK(with.logged == std::vector{event::timed_out, event::late});
  CHECK(with.requests.place_of(next) == request_place::worker);
}

TEST_CASE("a function whose caller cancels is asked to stop and keeps its place") {
  ledger with;
  const auto work = with.add("work", 1, 0);
  const auto slow = with.open(work, 10s, caller);
  with.pass(40ms);
  with.cancel(caller);
  CHECK(with.code(slow) == error_code::cancelled);
  CHECK(with.answer(slow).ran == 40ms);
  CHECK(with.told_to_stop == ids{slow});
  CHECK_FALSE(with.try_open(work));
  with.cancel(caller);
  with.pass(1s);
  with.finish(slow, fail(error_code::cancelled, "stopped early"));
  CHECK(with.logged.empty());
  CHECK(with.requests.running(work) == 0);
}

TEST_CASE("a function outlives its command and takes no place of the next one in its slot") {
  ledger with;
  const auto work = with.add("work", 1, 0);
  const auto old = with.open(work);
  with.remove(work);
  const auto again = with.add_again(work, 1, 1);
  const auto runs = with.open(again), waits = with.open(again);
  with.finish(old, value{1});
  CHECK(with.answer(old).outcome == value{1});
  CHECK(with.requests.running(again) == 1);
  CHECK(with.requests.place_of(waits) == request_place::queue);
  with.finish(runs);
  CHECK(with.requests.place_of(waits) == request_place::worker);
}

TEST_CASE("a stop asks functions to stop, takes their answers and waits for all of them") {
  ledger with;
  const auto work = with.add("work", 5, 0);
  const auto overdue = with.open(work, 10ms), runs = with.open(work);
  with.pass(10ms);
  REQUIRE(with.stop(1s));
  CHECK(with.requests.is_stopping());
  CHECK(with.told_to_stop == ids{overdue, runs});
  CHECK_FALSE(with.is_answered(runs));
  with.finish(runs, value{3});
  CHECK(with.answer(runs).outcome == value{3});
  CHECK(with.reports.empty());
  CHECK(with.requests.awaits_deadline());
  with.finish(overdue);
  REQUIRE(with.reports.size() == 1);
  CHECK(with.reports[0]);
  CHECK_FALSE(with.requests.awaits_deadline());
}

TEST_CASE("a stop without functions ends at once, and there is one stop") {
  ledger with;
  REQUIRE(with.stop(1s));
  CHECK(with.reports.size() == 1);
  CHECK(outcome_code(with.stop(1s)) == error_code::already_exists);
  CHECK(with.reports.size() == 1);
}

TEST_CASE("a stop names the commands whose functions still run at its deadline, once") {
  ledger with;
  const auto one = with.add("one", 2, 0), two = with.add("two", 1, 0);
  const auto a = with.open(one), b = with.open(two), c = with.open(one);
  REQUIRE(with.stop(100ms));
  with.finish(b);
  with.pass(99ms);
  CHECK(with.reports.empty());
  with.pass(1ms);
  REQUIRE(with.reports.size() == 1);
  CHECK(outcome_code(with.reports[0]) == error_code::deadline_exceeded);
  CHECK(with.reports[0].error().message == "still running: one, one");
  with.finish(a);
  with.finish(c);
  CHECK(with.reports.size() == 1);
}

TEST_CASE("an execution inside the dispatcher takes a place and returns it") {
  ledger with;
  const auto work = with.add("work", 1, 0);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_FALSE(with.requests.begin_inline(work, with.now + 1s, with.now));
    CHECK(with.requests.running(work) == 1);
    with.requests.end_inline(work, 1ms, with.now);
    CHECK(with.requests.running(work) == 0);
  }
  CHECK(with.requests.begin_inline(work, with.now, with.now)->reason ==
        rejection_reason::deadline_passed);
}
