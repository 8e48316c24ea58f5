// Requests that wait, in their command's queue or for a worker, and each way to end there.

#include <doctest/doctest.h>

#include <cstddef>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/ledger_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

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
  CHECK(with.problem(waits) == "the node is stopping");
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
  CHECK(with.problem(waits) == "the node is stopping");
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
