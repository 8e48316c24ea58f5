// Functions that run on worker threads.

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A function that waits until the test opens the gate. Opens it at the end in any case.
class gated_function {
public:
  ~gated_function() { open(); }

  worker_handler handler() {
    return {[state = state_](const arguments&, const command_context&) -> result<value> {
      const auto turn = ++state->entered;
      state->opened.wait();
      return value{turn};
    }};
  }
  int entered() const { return state_->entered; }
  void open() {
    if (!std::exchange(open_, true)) state_->gate.set_value();
  }

private:
  struct shared {
    std::promise<void> gate;
    std::shared_future<void> opened{gate.get_future()};
    std::atomic<int> entered{0};
  };

  std::shared_ptr<shared> state_ = std::make_shared<shared>();
  bool open_ = false;
};

class fixture : public dispatcher_fixture<real_system> {
public:
  using dispatcher_fixture::dispatcher_fixture;

  std::uint64_t count(const std::string& command, command_outcome outcome) {
    return count_of(system.ask<metrics_list>(dispatcher, get_metrics{command}).value(), outcome);
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a function on a worker answers with its result") {
  REQUIRE(add(command_spec{"add"}.param<int>("a").param<int>("b"),
              worker_handler{[](const arguments& given, const command_context&) -> result<value> {
                return value{given.get<int>("a") + given.get<int>("b")};
              }})
              .get());
  CHECK(execute("add", {{"a", 20}, {"b", 22}}).value() == value{42});
  CHECK(count("add", command_outcome::ok) == 1);
}

TEST_CASE_FIXTURE(
    fixture,
    "a function on a worker that throws is an error of its command, and the worker serves on") {
  REQUIRE(add(command_spec{"burn"},
              worker_handler{[](const arguments&, const command_context&) -> result<value> {
                throw std::runtime_error{"disk on fire"};
              }})
              .get());
  for (int i = 0; i < 3; ++i)
    CHECK(execute("burn").get().error() ==
          error{error_code::handler_failed, "the command failed: disk on fire", {}});
  CHECK(count("burn", command_outcome::error) == 3);
}

TEST_CASE_FIXTURE(
    fixture,
    "a function that is still running at its deadline is counted as a timeout and logged then") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}.with_timeout(30ms), slow.handler()).get());
  auto asked = execute("slow");
  CHECK(asked.code() == error_code::deadline_exceeded);
  CHECK(asked.problem() == "the command slow did not finish in time");
  CHECK(count("slow", command_outcome::timeout) == 1);
  CHECK(log.contains("command.timed_out command=slow"));
}

TEST_CASE_FIXTURE(
    fixture,
    "what a function returns after its deadline is ignored, logged and not counted again") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}.with_timeout(30ms), slow.handler()).get());
  CHECK(execute("slow").code() == error_code::deadline_exceeded);
  slow.open();
  CHECK(eventually([&] { return log.contains("command.late command=slow"); }));
  CHECK(count("slow", command_outcome::timeout) == 1);
  CHECK(count("slow", command_outcome::ok) == 0);
}

TEST_CASE_FIXTURE(
    fixture, "a place is free only when the function returns, even when its caller has given up") {
  gated_function slow;
  REQUIRE(
      add(command_spec{"slow"}.with_timeout(30ms).with_concurrency(1, 0), slow.handler()).get());
  CHECK(execute("slow").code() == error_code::deadline_exceeded);
  CHECK(execute("slow").code() == error_code::overloaded);
  slow.open();
  CHECK(eventually([&] { return execute("slow").code() == error_code::none; }));
}

TEST_CASE_FIXTURE(fixture, "functions run at the same time on several workers") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}, slow.handler()).get());
  auto a = execute("slow");
  auto b = execute("slow");
  auto c = execute("slow");
  CHECK(eventually([&] { return slow.entered() == 3; }));
  slow.open();
  CHECK(a.get());
  CHECK(b.get());
  CHECK(c.get());
}

TEST_CASE("with all workers busy, functions wait for one") {
  fixture one{{.max_workers = 1}};
  gated_function slow;
  REQUIRE(one.add(command_spec{"slow"}, slow.handler()).get());
  auto a = one.execute("slow");
  auto b = one.execute("slow");
  CHECK(eventually([&] { return slow.entered() == 1; }));
  slow.open();
  CHECK(a.get());
  CHECK(b.get());
  CHECK(slow.entered() == 2);
}

TEST_CASE(
    "a function that waits for a worker until its deadline never runs, and gives its place back") {
  fixture one{{.max_workers = 1}};
  gated_function slow;
  std::atomic<int> ran{0};
  REQUIRE(one.add(command_spec{"slow"}, slow.handler()).get());
  REQUIRE(one.add(command_spec{"next"}.with_concurrency(1, 0),
                  worker_handler{[&](const arguments&, const command_context&) -> result<value> {
                    return value{++ran};
                  }})
              .get());
  auto busy = one.execute("slow");
  REQUIRE(eventually([&] { return slow.entered() == 1; }));
  auto late = one.execute("next", {}, the_host(), 30ms);
  CHECK(late.code() == error_code::deadline_exceeded);
  CHECK(late.problem() == "the command next waited for a worker until its deadline");
  CHECK(one.count("next", command_outcome::timeout) == 1);
  slow.open();
  CHECK(busy.get());
  CHECK(one.execute("next").value() == value{1});
}

TEST_CASE_FIXTURE(fixture,
                  "work waits behind no function that hangs while another worker is free") {
  fixture two{{.max_workers = 2}};
  gated_function hangs, quick;
  REQUIRE(two.add(command_spec{"hangs"}, hangs.handler()).get());
  REQUIRE(two.add(command_spec{"quick"}, quick.handler()).get());
  auto stuck = two.execute("hangs");
  REQUIRE(eventually([&] { return hangs.entered() == 1; }));
  auto a = two.execute("quick");
  auto b = two.execute("quick");
  quick.open();
  CHECK(a.get());
  CHECK(b.get());
}

TEST_CASE("a function is measured from its start on a worker, without its wait for one") {
  fixture one{{.max_workers = 1}};
  gated_function slow;
  REQUIRE(one.add(command_spec{"slow"}, slow.handler()).get());
  REQUIRE(one.add(command_spec{"quick"},
                  worker_handler{[](const arguments&, const command_context&) -> result<value> {
                    return value{};
                  }})
              .get());
  auto first = one.execute("slow");
  REQUIRE(eventually([&] { return slow.entered() == 1; }));
  const auto asked = std::chrono::steady_clock::now();
  auto second = one.execute("quick");
  REQUIRE(eventually([&] { return std::chrono::steady_clock::now() - asked > 50ms; }));
  slow.open();
  CHECK(second.get());
  CHECK(one.system.ask<metrics_list>(one.dispatcher, get_metrics{"quick"})
            .value()
            .commands.front()
            .max_execution_time < 50ms);
}

TEST_CASE_FIXTURE(fixture, "a stop refuses waiting requests at once, and nothing new begins") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}.with_concurrency(1, 10), slow.handler()).get());
  auto running = execute("slow");
  REQUIRE(eventually([&] { return slow.entered() == 1; }));
  auto waiting = execute("slow");
  REQUIRE(
      eventually([&] { return execute("slow", {}, the_host(), 1ms).code() != error_code::none; }));
  auto stopped = system.ask<void>(dispatcher, stop_commands{10s});
  CHECK(waiting.code() == error_code::unavailable);
  slow.open();
  CHECK(running.get());
  CHECK(stopped.get());
  CHECK(slow.entered() == 1);
}

TEST_CASE_FIXTURE(fixture, "a function may take its arguments") {
  REQUIRE(add(command_spec{"take"}.param<std::string>("text"),
              worker_handler{[](arguments& given, const command_context&) -> result<value> {
                return std::move(given.entries().front().second);
              }})
              .get());
  CHECK(execute("take", {{"text", "mine"}}).value() == value{"mine"});
}

TEST_CASE_FIXTURE(fixture, "a stop waits for the functions that run") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}, slow.handler()).get());
  auto asked = execute("slow");
  REQUIRE(eventually([&] { return slow.entered() == 1; }));
  REQUIRE(add(command_spec{"quick"}, answering(1)).get());
  auto stopped = system.ask<void>(dispatcher, stop_commands{10s});
  CHECK(eventually([&] { return execute("quick").code() == error_code::unavailable; }));
  CHECK_FALSE(stopped.ready());
  slow.open();
  CHECK(stopped.get());
  CHECK(asked.get());
}

TEST_CASE_FIXTURE(fixture, "a stop names what still runs at its deadline") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow.one"}, slow.handler()).get());
  auto asked = execute("slow.one");
  REQUIRE(eventually([&] { return slow.entered() == 1; }));
  auto stopped = system.ask<void>(dispatcher, stop_commands{30ms});
  CHECK(stopped.code() == error_code::deadline_exceeded);
  CHECK(stopped.problem() == "still running: slow.one");
}
