// What the dispatcher does as time passes. All of it in virtual time.

#include <doctest/doctest.h>

#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>
#include <troupe/tests/support/held_handler.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public dispatcher_fixture<virtual_system> {
public:
  explicit fixture(std::uint32_t concurrency = 1) : handler{system} {
    auto added = add(command_spec{"work"}.with_timeout(10s).with_concurrency(concurrency, 10),
                     handler.actor());
    system.run();
    REQUIRE(added.get());
  }
  answer<value> work(std::chrono::milliseconds deadline) {
    auto asked = execute("work", {}, the_host(), deadline);
    system.run();
    return asked;
  }
  metrics_list numbers() {
    return system.demand<metrics_list>(dispatcher, get_metrics{"work"}).value();
  }

  held_handler handler;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a request that runs is answered at its deadline") {
  auto asked = work(200ms);
  system.pass(195ms);
  CHECK_FALSE(asked.ready());
  system.pass(10ms);
  REQUIRE(asked.ready());
  CHECK(asked.code() == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture,
                  "an answer that comes after the deadline is ignored and counted as a timeout") {
  auto asked = work(200ms);
  system.pass(300ms);
  REQUIRE(asked.code() == error_code::deadline_exceeded);
  handler.answer_with("late");
  CHECK(asked.code() == error_code::deadline_exceeded);
  CHECK(count_of(numbers(), command_outcome::timeout) == 1);
  CHECK(count_of(numbers(), command_outcome::ok) == 0);
  CHECK(numbers().commands.front().max_execution_time == 200ms);
}

TEST_CASE_FIXTURE(fixture, "without a deadline of the caller the command's timeout holds") {
  auto asked = work(0ms);
  system.pass(9'990ms);
  CHECK_FALSE(asked.ready());
  system.pass(20ms);
  REQUIRE(asked.ready());
  CHECK(asked.code() == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture,
                  "a request that waits for its turn is answered at its deadline, and never runs") {
  auto running = work(5s);
  auto waiting = work(100ms);
  system.pass(90ms);
  CHECK_FALSE(waiting.ready());
  system.pass(25ms);
  REQUIRE(waiting.ready());
  CHECK(waiting.code() == error_code::deadline_exceeded);
  CHECK(waiting.problem().find("waited for its turn") != std::string::npos);
  handler.answer_with("done");
  CHECK(running.get());
  CHECK(handler.waiting() == 0);
  CHECK(count_of(numbers(), command_outcome::timeout) == 1);
  CHECK(count_of(numbers(), command_outcome::ok) == 1);
}

TEST_CASE_FIXTURE(
    fixture, "the place of a request that timed out goes to the next when its handler answers") {
  auto first = work(100ms);
  auto second = work(5s);
  CHECK(handler.waiting() == 1);
  system.pass(120ms);
  CHECK(first.code() == error_code::deadline_exceeded);
  CHECK(first.problem() == "the command work did not finish in time");
  CHECK(handler.waiting() == 1);
  handler.answer_with("late");
  REQUIRE(handler.waiting() == 1);
  handler.answer_with("in time");
  CHECK(second.value() == value{"in time"});
}

TEST_CASE_FIXTURE(
    fixture, "whose deadline passed while it waited is answered when a place becomes free, too") {
  auto first = work(5s);
  auto second = work(1003ms);
  auto third = work(5s);
  // Between two looks at the clock: the second's deadline has passed, but the dispatcher
  // has not noticed when the first ends.
  system.pass(1s);
  system.pass(4ms);
  CHECK_FALSE(second.ready());
  handler.answer_with("done");
  CHECK(first.get());
  REQUIRE(second.ready());
  CHECK(second.code() == error_code::deadline_exceeded);
  REQUIRE(handler.waiting() == 1);
  handler.answer_with("done");
  CHECK(third.get());
}

TEST_CASE_FIXTURE(
    fixture,
    "a request that cannot start before its deadline is refused at once, with when to try again") {
  auto first = work(5s);
  system.pass(1s);
  handler.answer_with("took a second");
  auto busy = work(5s);
  auto hopeless = work(500ms);
  REQUIRE(hopeless.ready());
  CHECK(hopeless.code() == error_code::overloaded);
  const auto detail = value::from_msgpack(hopeless.get().error().detail).value();
  CHECK(detail.find("reason") == value{"deadline_too_near"});
  CHECK(detail.find("retry_after_ms")->as_integer().value_or(0) > 0);
  CHECK(count_of(numbers(), command_outcome::rejected) == 1);
}

TEST_CASE_FIXTURE(fixture, "executions are measured without their time in the queue") {
  auto first = work(5s);
  auto second = work(5s);
  system.pass(1s);
  handler.answer_with(1);
  system.pass(250ms);
  handler.answer_with(2);
  const auto all = numbers().commands.front();
  CHECK(all.execution_count == 2);
  CHECK(all.max_execution_time == 1s);
  CHECK(all.min_execution_time == 250ms);
  CHECK(all.total_execution_time == 1250ms);
  CHECK(all.avg_execution_time == 625ms);
  CHECK(all.success_rate == doctest::Approx(100));
}

TEST_CASE_FIXTURE(fixture, "a dispatcher that stops takes no more requests") {
  CHECK(system.demand<void>(dispatcher, stop_commands{1s}));
  auto refused = work(1s);
  CHECK(refused.code() == error_code::unavailable);
}
