// Handlers that work past the deadline, or end before they have answered.

#include <doctest/doctest.h>

#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>
#include <troupe/tests/support/held_handler.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public dispatcher_fixture<virtual_system> {
public:
  explicit fixture(dispatcher_config config = {}) : dispatcher_fixture(config), handler{system} {
    offer("work", 1, 1);
  }

  void offer(const std::string& name, std::uint32_t concurrency, std::uint32_t queue) {
    auto added = add(command_spec{name}.with_timeout(10s).with_concurrency(concurrency, queue),
                     handler.actor());
    system.run();
    REQUIRE(added.get());
  }
  answer<value> work(std::chrono::milliseconds deadline = 10s) {
    auto asked = execute("work", {}, the_host(), deadline);
    system.run();
    return asked;
  }
  void end_handler() {
    caf::anon_send_exit(handler.actor(), caf::exit_reason::kill);
    system.run();
  }
  std::uint64_t count(command_outcome outcome) {
    return count_of(system.demand<metrics_list>(dispatcher, get_metrics{"work"}).value(), outcome);
  }

  held_handler handler;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a handler learns at the deadline that its answer is no longer wanted") {
  auto slow = work(100ms);
  const auto ticket = handler.oldest_ticket();
  system.pass(95ms);
  CHECK(handler.cancelled().empty());
  system.pass(1s);
  CHECK(slow.code() == error_code::deadline_exceeded);
  CHECK(handler.cancelled() == std::vector{ticket});
  CHECK(log.count("command.timed_out command=work") == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "a handler that overstays keeps its place: the next request waits, one more is "
                  "rejected") {
  auto slow = work(100ms);
  system.pass(110ms);
  REQUIRE(slow.code() == error_code::deadline_exceeded);
  auto next = work();
  CHECK(work().code() == error_code::overloaded);
  system.pass(2s);
  CHECK_FALSE(next.ready());
  CHECK(handler.waiting() == 1);
  handler.answer_with("late");
  CHECK(log.count("command.late command=work after_ms=2110") == 1);
  REQUIRE(handler.waiting() == 1);
  handler.answer_with("done");
  CHECK(next.value() == value{"done"});
  CHECK(count(command_outcome::timeout) == 1);
  CHECK(count(command_outcome::ok) == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "a request that waits behind a handler that overstays times out itself") {
  auto slow = work(100ms);
  auto next = work(200ms);
  system.pass(210ms);
  CHECK(slow.problem() == "the command work did not finish in time");
  CHECK(next.problem() == "the command work waited for its turn until its deadline");
  handler.answer_with("late");
  CHECK(handler.waiting() == 0);
}

TEST_CASE_FIXTURE(fixture, "the end of a handler that overstays returns its place at once") {
  auto slow = work(100ms);
  system.pass(110ms);
  REQUIRE(slow.code() == error_code::deadline_exceeded);
  auto next = work();
  end_handler();
  REQUIRE(next.ready());
  CHECK(next.code() == error_code::unavailable);
  CHECK(count(command_outcome::timeout) == 1);
  CHECK(count(command_outcome::error) == 1);
}

TEST_CASE_FIXTURE(fixture, "the end of a handler answers its open requests") {
  auto open = work();
  REQUIRE(handler.waiting() == 1);
  end_handler();
  REQUIRE(open.ready());
  CHECK(open.code() == error_code::unavailable);
  CHECK(open.problem() == "the handler of the command work has ended");
}

TEST_CASE_FIXTURE(fixture, "a handler of several commands is watched until it ends") {
  offer("other", 1, 0);
  REQUIRE(system.demand<void>(dispatcher, remove_commands{{"other"}}));
  offer("other", 1, 0);
  auto open = work();
  auto other = execute("other");
  system.run();
  REQUIRE(handler.waiting() == 2);
  end_handler();
  CHECK(open.code() == error_code::unavailable);
  CHECK(other.code() == error_code::unavailable);
}

TEST_CASE("a handler that has not answered within its grace is given up, and its place is free") {
  fixture strict{{.handler_grace = 500ms}};
  auto lost = strict.work(100ms);
  strict.system.pass(110ms);
  REQUIRE(lost.code() == error_code::deadline_exceeded);
  auto next = strict.work();
  strict.system.pass(480ms);
  CHECK(strict.handler.waiting() == 1);
  strict.system.pass(20ms);
  REQUIRE(strict.handler.waiting() == 2);
  CHECK(strict.log.count("command.given_up command=work") == 1);
  strict.handler.answer_with("too late");
  CHECK_FALSE(next.ready());
  strict.handler.answer_with("done");
  CHECK(next.value() == value{"done"});
  CHECK(strict.count(command_outcome::timeout) == 1);
}

TEST_CASE_FIXTURE(fixture, "a stop does not wait for a handler that overstays") {
  auto slow = work(100ms);
  system.pass(110ms);
  CHECK(slow.code() == error_code::deadline_exceeded);
  CHECK(system.demand<void>(dispatcher, stop_commands{1s}));
}
