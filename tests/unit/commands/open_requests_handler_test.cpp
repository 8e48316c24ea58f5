// Requests at their handlers and each way to end there. Tickets, and ends of unknown executions.

#include <doctest/doctest.h>

#include <vector>

#include <troupe/tests/support/fixtures/ledger_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a handler is asked with the time that is left, and waited for longer") {
  ledger with{{.handler_grace = 1min}};
  const auto work = with.add("work", 1, 1, some_handler);
  const auto first = with.open(work, 2s), second = with.open(work, 5s);
  with.pass(1s);
  with.finish(first, value{1});
  with.pass(500ms);
  with.finish(second, value{2});
  REQUIRE(with.questions.size() == 2);
  CHECK(with.questions[0].time_left == 2s);
  CHECK(with.questions[0].give_up_after == 62s);
  CHECK(with.questions[0].spec->name == "work");
  CHECK(with.questions[1].time_left == 4s);
  CHECK(with.questions[1].give_up_after == 64s);
  CHECK(with.answer(first).outcome == value{1});
  CHECK(with.answer(first).ran == 1s);
  CHECK(with.answer(second).ran == 500ms);
}

TEST_CASE("a handler keeps the place of a request that passed its deadline until it answers") {
  ledger with;
  const auto work = with.add("work", 1, 1, some_handler);
  const auto slow = with.open(work, 100ms), next = with.open(work);
  with.pass(99ms);
  CHECK_FALSE(with.is_answered(slow));
  with.pass(1ms);
  CHECK(with.problem(slow) == "the command work did not finish in time");
  CHECK(with.answer(slow).counted == command_outcome::timeout);
  CHECK(with.answer(slow).ran == 100ms);
  CHECK(with.cancelled == ids{slow});
  CHECK(with.logged == std::vector{event::timed_out});
  CHECK(with.asked == ids{slow});
  CHECK_FALSE(with.try_open(work));
  with.pass(50ms);
  with.finish(slow, value{"late"});
  CHECK(with.logged == std::vector{event::timed_out, event::late});
  CHECK(with.asked == ids{slow, next});
  CHECK(with.requests.running(work) == 1);
}

TEST_CASE("a handler whose caller cancels gets a cancel, and keeps the place until it answers") {
  ledger with;
  const auto work = with.add("work", 1, 0, some_handler);
  const auto asked = with.open(work, 10s, caller);
  with.pass(30ms);
  with.cancel({caller.sender, caller.ticket + 1});
  with.cancel({caller.sender + 1, caller.ticket});
  CHECK(with.cancelled.empty());
  with.cancel(caller);
  with.cancel(caller);
  CHECK(with.cancelled == ids{asked});
  CHECK(with.code(asked) == error_code::cancelled);
  CHECK(with.answer(asked).counted == command_outcome::cancelled);
  CHECK(with.answer(asked).ran == 30ms);
  CHECK_FALSE(with.try_open(work));
  with.pass(10s);
  CHECK(with.cancelled == ids{asked});
  with.finish(asked, fail(error_code::cancelled, "stopped early"));
  CHECK(with.problem(asked) == "the caller cancelled the command work");
  CHECK(with.try_open(work));
}

TEST_CASE("a request at a handler outlives its command") {
  ledger with;
  const auto work = with.add("work", 1, 0, some_handler);
  const auto asked = with.open(work);
  with.remove(work);
  CHECK_FALSE(with.is_answered(asked));
  const auto again = with.add_again(work, 1, 0);
  with.open(again);
  with.finish(asked, value{1});
  CHECK(with.answer(asked).outcome == value{1});
  CHECK(with.requests.running(again) == 1);
}

TEST_CASE("a stop does not wait for handlers, whose answers still count") {
  ledger with;
  const auto work = with.add("work", 2, 0, some_handler);
  const auto quick = with.open(work), slow = with.open(work, 100ms);
  REQUIRE(with.stop(1s));
  CHECK(with.reports.size() == 1);
  with.finish(quick, value{1});
  CHECK(with.answer(quick).outcome == value{1});
  CHECK(with.requests.awaits_deadline());
  with.pass(100ms);
  CHECK(with.code(slow) == error_code::deadline_exceeded);
  CHECK_FALSE(with.requests.awaits_deadline());
}

TEST_CASE("the end of a handler answers its requests and returns their places") {
  ledger with;
  const auto work = with.add("work", 2, 1, some_handler);
  const auto other = with.add("other", 1, 0, other_handler);
  const auto overdue = with.open(work, 100ms);
  with.pass(100ms);
  const auto open = with.open(work), queued = with.open(work), elsewhere = with.open(other);
  with.pass(10ms);
  with.end_handler(some_handler);
  CHECK(with.problem(open) == "the handler of the command work has ended");
  CHECK(with.code(open) == error_code::unavailable);
  CHECK(with.answer(open).counted == command_outcome::error);
  CHECK(with.answer(open).ran == 10ms);
  CHECK(with.code(overdue) == error_code::deadline_exceeded);
  CHECK_FALSE(with.is_answered(elsewhere));
  CHECK(with.asked == ids{overdue, open, elsewhere, queued});
  CHECK(with.requests.running(work) == 1);
  with.finish(open, value{"from the grave"});
  CHECK(with.requests.running(work) == 1);
  with.finish(queued, fail(error_code::unavailable, "the handler has ended"));
  CHECK(with.requests.running(work) == 0);
}

TEST_CASE("a handler that answers within its grace is late, and after it was given up") {
  ledger with{{.handler_grace = 1min}};
  const auto work = with.add("work", 1, 0, some_handler);
  const auto late = with.open(work, 1s);
  with.pass(61s - 1ms);
  with.finish(late);
  CHECK(with.logged == std::vector{event::timed_out, event::late});
  const auto lost = with.open(work, 1s);
  with.pass(61s);
  with.finish(lost, fail(error_code::deadline_exceeded, "no answer"));
  CHECK(with.logged.back() == event::given_up);
  CHECK(with.requests.running(work) == 0);
}

TEST_CASE("a late answer shows how long the command takes, a lost one does not") {
  ledger with{{.handler_grace = 1min}};
  const auto work = with.add("work", 1, 5, some_handler);
  with.finish(with.open(work));  // takes no time
  const auto lost = with.open(work, 1s);
  with.pass(61s);
  with.finish(lost, fail(error_code::deadline_exceeded, "no answer"));
  with.open(work);
  CHECK(with.try_open(work, 1ms));
  ledger slow;
  const auto takes_time = slow.add("work", 1, 5, some_handler);
  const auto late = slow.open(takes_time, 1s);
  slow.pass(30s);
  slow.finish(late);
  slow.open(takes_time);
  CHECK_FALSE(slow.try_open(takes_time, 29s));
  CHECK(slow.rejection == rejection_reason::deadline_too_near);
}

// -- tickets and strangers ------------------------------------------------------------------------

TEST_CASE("a ticket that its sender uses twice names the newer request") {
  ledger with;
  const auto work = with.add("work", 5, 0, some_handler);
  const auto older = with.open(work, 10s, caller), newer = with.open(work, 10s, caller);
  with.finish(older);
  with.cancel(caller);
  CHECK(with.code(newer) == error_code::cancelled);
}

TEST_CASE("a request without a ticket cannot be cancelled") {
  ledger with;
  const auto work = with.add("work", 5, 0, some_handler);
  const auto asked = with.open(work, 10s, {caller.sender, 0});
  with.cancel({caller.sender, 0});
  with.cancel({});
  CHECK_FALSE(with.is_answered(asked));
}

TEST_CASE("the end of an execution that the ledger does not know changes nothing") {
  ledger with;
  const auto work = with.add("work", 1, 0);
  const auto runs = with.open(work);
  with.finish(runs + 1);
  with.end_handler(some_handler);
  CHECK(with.answers.empty());
  CHECK(with.requests.running(work) == 1);
}
