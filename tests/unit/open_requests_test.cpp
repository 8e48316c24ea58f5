// Where a request is until its execution has ended: each place, and each way to end there.

#include <troupe/tests/support/ledger_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

using ids = std::vector<request_id>;
using event = ledger::event;

constexpr handler_id some_handler = 70;
constexpr handler_id other_handler = 71;
constexpr request_origin caller{5, 9};

error_code outcome_code(const result<void>& outcome) {
  return outcome ? error_code::none : outcome.error().code;
}

}  // namespace

TEST_CASE("a request has the caller's time, at most the command's timeout") {
  const ledger::time_point now{1h};
  const auto spec = command_spec{"work"}.with_timeout(3s);
  CHECK(deadline_of(spec, 2s, now) == now + 2s);
  CHECK(deadline_of(spec, 1h, now) == now + 3s);
  CHECK(deadline_of(spec, 0ms, now) == now + 3s);
}

// -- in the queue ---------------------------------------------------------------------------------

TEST_CASE("requests that wait for a place start in the order they came") {
  ledger with;
  const auto work = with.add("work", 1, 2, some_handler);
  const auto first = with.open(work), second = with.open(work), third = with.open(work);
  CHECK(with.requests.place_of(first) == request_place::handler);
  CHECK(with.requests.place_of(second) == request_place::queue);
  CHECK_FALSE(with.try_open(work));
  CHECK(with.rejection == rejection_reason::queue_full);
  CHECK(with.asked == ids{first});
  with.finish(first);
  CHECK(with.asked == ids{first, second});
  with.finish(second);
  CHECK(with.asked == ids{first, second, third});
  with.finish(third);
  CHECK(with.requests.size() == 0);
  CHECK(with.requests.running(work) == 0);
  CHECK_FALSE(with.requests.awaits_deadline());
}

TEST_CASE("a queued request is answered at its deadline and never runs") {
  ledger with;
  const auto work = with.add("work", 1, 2, some_handler);
  const auto runs = with.open(work), waits = with.open(work, 100ms);
  with.pass(99ms);
  CHECK_FALSE(with.is_answered(waits));
  with.pass(1ms);
  CHECK(with.code(waits) == error_code::deadline_exceeded);
  CHECK(with.problem(waits) == "the command work waited for its turn until its deadline");
  CHECK(with.answer(waits).counted == command_outcome::timeout);
  CHECK_FALSE(with.answer(waits).ran.has_value());
  CHECK_FALSE(with.requests.place_of(waits).has_value());
  with.finish(runs);
  CHECK(with.asked == ids{runs});
}

TEST_CASE("a queued request whose deadline has passed unnoticed is answered when its turn comes") {
  ledger with;
  const auto work = with.add("work", 1, 2, some_handler);
  const auto runs = with.open(work), late = with.open(work, 100ms), next = with.open(work);
  with.now += 100ms;
  with.finish(runs);
  CHECK(with.code(late) == error_code::deadline_exceeded);
  CHECK(with.asked == ids{runs, next});
}

TEST_CASE("a queued request that is cancelled never runs and leaves room in the queue") {
  ledger with;
  const auto work = with.add("work", 1, 1, some_handler);
  const auto runs = with.open(work), waits = with.open(work, 10s, caller);
  with.cancel(caller);
  CHECK(with.code(waits) == error_code::cancelled);
  CHECK(with.problem(waits) == "the caller cancelled the command work");
  CHECK(with.answer(waits).counted == command_outcome::cancelled);
  CHECK_FALSE(with.answer(waits).ran.has_value());
  CHECK(with.cancelled.empty());
  const auto next = with.open(work);
  with.finish(runs);
  CHECK(with.asked == ids{runs, next});
}

TEST_CASE("queued requests are answered when their command is removed, in order") {
  ledger with;
  const auto work = with.add("work", 1, 2, some_handler);
  const auto other = with.add("other", 1, 1, some_handler);
  const auto runs = with.open(work), second = with.open(work), third = with.open(work);
  with.open(other);
  const auto elsewhere = with.open(other);
  with.remove(work);
  CHECK(with.problem(second) == "the command work was removed");
  CHECK(with.code(third) == error_code::unavailable);
  CHECK(with.answer(third).counted == command_outcome::rejected);
  CHECK_FALSE(with.is_answered(runs));
  CHECK(with.requests.place_of(elsewhere) == request_place::queue);
  CHECK_FALSE(with.try_open(work));
  CHECK(with.rejection == rejection_reason::command_gone);
}

TEST_CASE("queued requests are answered when the node stops") {
  ledger with;
  const auto work = with.add("work", 1, 2, some_handler);
  const auto runs = with.open(work), waits = with.open(work);
  REQUIRE(with.stop(1s));
  CHECK(with.problem(waits) == "the node is being stopped");
  CHECK(with.code(waits) == error_code::unavailable);
  CHECK(with.answer(waits).counted == command_outcome::rejected);
  with.finish(runs);
  CHECK(with.asked == ids{runs});
}

// -- waiting for a worker -------------------------------------------------------------------------

TEST_CASE("functions start on new workers while there may be more, then wait for an idle one") {
  ledger with{{.max_workers = 2}};
  const auto work = with.add("work", 10, 0);
  const auto a = with.open(work), b = with.open(work), c = with.open(work);
  CHECK(with.started == std::vector<std::pair<request_id, std::size_t>>{{a, 0}, {b, 1}});
  CHECK(with.requests.place_of(c) == request_place::worker_queue);
  CHECK(with.requests.running(work) == 3);
  with.finish(b);
  CHECK(with.started.back() == std::pair<request_id, std::size_t>{c, 1});
  CHECK(with.requests.place_of(c) == request_place::worker);
}

TEST_CASE("a node whose workers and their queue are full rejects functions, and asks handlers") {
  ledger with{{.max_waiting = 1, .max_workers = 1}};
  const auto work = with.add("work", 10, 10);
  const auto handled = with.add("handled", 10, 10, some_handler);
  with.open(work);
  with.open(work);
  CHECK_FALSE(with.try_open(work));
  CHECK(with.rejection == rejection_reason::node_full);
  CHECK(with.requests.place_of(with.open(handled)) == request_place::handler);
}

TEST_CASE("a request that waits for a worker until its deadline returns its place") {
  ledger with{{.max_workers = 1}};
  const auto busy = with.add("busy", 1, 0), work = with.add("work", 1, 1);
  const auto holds = with.open(busy);
  const auto waits = with.open(work, 100ms), queued = with.open(work);
  with.pass(100ms);
  CHECK(with.problem(waits) == "the command work waited for a worker until its deadline");
  CHECK(with.answer(waits).counted == command_outcome::timeout);
  CHECK_FALSE(with.answer(waits).ran.has_value());
  CHECK(with.requests.place_of(queued) == request_place::worker_queue);
  with.finish(holds);
  CHECK(with.started.back() == std::pair<request_id, std::size_t>{queued, 0});
}

TEST_CASE("a function whose deadline has passed unnoticed never starts") {
  ledger with{{.max_workers = 1}};
  const auto busy = with.add("busy", 1, 0), work = with.add("work", 3, 0);
  const auto holds = with.open(busy), late = with.open(work, 100ms), next = with.open(work);
  with.now += 100ms;
  with.finish(holds);
  CHECK(with.problem(late) == "the command work waited for a worker until its deadline");
  CHECK(with.started.size() == 2);
  CHECK(with.requests.place_of(next) == request_place::worker);
}

TEST_CASE("a request that is cancelled while it waits for a worker returns its place") {
  ledger with{{.max_workers = 1}};
  const auto busy = with.add("busy", 1, 0), work = with.add("work", 1, 0);
  with.open(busy);
  const auto waits = with.open(work, 10s, caller);
  with.cancel(caller);
  CHECK(with.code(waits) == error_code::cancelled);
  CHECK(with.told_to_stop.empty());
  CHECK(with.requests.running(work) == 0);
  CHECK(with.requests.place_of(with.open(work)) == request_place::worker_queue);
}

TEST_CASE("requests that wait for a worker are answered when the node stops") {
  ledger with{{.max_workers = 1}};
  const auto work = with.add("work", 2, 5);
  const auto runs = with.open(work), waits = with.open(work), queued = with.open(work);
  REQUIRE(with.stop(1s));
  CHECK(with.problem(waits) == "the node is being stopped");
  CHECK(with.code(queued) == error_code::unavailable);
  CHECK(with.requests.running(work) == 1);
  with.finish(runs);
  CHECK(with.started.size() == 1);
  CHECK(with.requests.running(work) == 0);
}

TEST_CASE("a request that waits for a worker outlives its command") {
  ledger with{{.max_workers = 1}};
  const auto busy = with.add("busy", 1, 0), work = with.add("work", 1, 0);
  const auto holds = with.open(busy), waits = with.open(work);
  with.remove(work);
  with.finish(holds);
  with.finish(waits, value{7});
  CHECK(with.answer(waits).outcome == value{7});
}

// -- on a worker ----------------------------------------------------------------------------------

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

// -- at a handler ---------------------------------------------------------------------------------

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

TEST_CASE("a handler whose caller cancels is told, and keeps the place until it answers") {
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

TEST_CASE("a late answer tells how long the command takes, a lost one does not") {
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

// -- tickets, strangers, the dispatcher's own functions -------------------------------------------

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
