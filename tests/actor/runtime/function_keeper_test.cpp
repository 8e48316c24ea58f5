// How the functions of a program end with their host.

#include <doctest/doctest.h>

#include <memory>
#include <optional>

#include <troupe/runtime/function_keeper.hpp>
#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>
#include <troupe/tests/support/held_handler.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public dispatcher_fixture<virtual_system> {
public:
  fixture() : handler{system} {
    auto added = add(command_spec{"work"}.with_timeout(1h), handler.actor());
    system.run();
    REQUIRE(added.get());
  }

  /// Has the command run, and keeps its outcome.
  void start_work() {
    auto call = std::make_shared<pending_call>(
        dispatcher, execute_command{.command = "work", .caller = the_host()}, 1h,
        [kept = outcome](result<value> got) { *kept = std::move(got); });
    tell(keeper, start_call{std::move(call)});
    system.run();
  }
  answer<stop_report> stop(std::chrono::milliseconds deadline) {
    auto asked = system.ask<stop_report>(keeper, stop_children{deadline});
    system.run();
    return asked;
  }

  held_handler handler;
  function_keeper keeper = system.own(spawn_function_keeper(system.caf()));
  /// The callback has it too: it is called at the latest when the system ends.
  std::shared_ptr<std::optional<result<value>>> outcome =
      std::make_shared<std::optional<result<value>>>();
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a stop waits for the callback, and ends with nothing blocked") {
  start_work();
  auto stopped = stop(1h);
  CHECK_FALSE(*outcome);
  handler.answer_with(value{7});
  REQUIRE(*outcome);
  CHECK((*outcome)->value() == value{7});
  CHECK(stopped.get()->blocked.empty());
}

TEST_CASE_FIXTURE(fixture, "a stop names the callbacks that have not come by its deadline") {
  start_work();
  auto stopped = stop(100ms);
  system.pass(110ms);
  CHECK(stopped.get()->blocked == std::vector<std::string>{"the callback of work"});
}

TEST_CASE_FIXTURE(fixture, "a second stop is refused; the first one is answered all the same") {
  start_work();
  auto first = stop(100ms);
  CHECK(stop(1h).code() == error_code::unavailable);
  system.pass(110ms);
  CHECK(first.get()->blocked.size() == 1);
}
