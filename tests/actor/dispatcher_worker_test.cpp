// Functions that run on worker threads.

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

#include <troupe/tests/support/dispatcher_fixture.hpp>

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

TEST_CASE_FIXTURE(fixture, "a function on a worker that throws is an error of its command, and the worker serves on") {
  REQUIRE(add(command_spec{"burn"}, worker_handler{[](const arguments&, const command_context&) -> result<value> {
                throw std::runtime_error{"disk on fire"};
              }})
              .get());
  for (int i = 0; i < 3; ++i)
    CHECK(execute("burn").get().error() == error{error_code::handler_failed, "the command failed: disk on fire", {}});
  CHECK(count("burn", command_outcome::error) == 3);
}

TEST_CASE_FIXTURE(fixture, "a function that returns after its deadline is ignored, logged and counted as a timeout") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}.with_timeout(30ms), slow.handler()).get());
  auto asked = execute("slow");
  CHECK(asked.code() == error_code::deadline_exceeded);
  CHECK(asked.problem() == "the command slow did not finish in time");
  CHECK(count("slow", command_outcome::timeout) == 0);
  slow.open();
  CHECK(eventually([&] { return count("slow", command_outcome::timeout) == 1; }));
  CHECK(count("slow", command_outcome::ok) == 0);
  CHECK(log.contains("command.late command=slow"));
}

TEST_CASE_FIXTURE(fixture, "a place is free only when the function returns, even when its caller has given up") {
  gated_function slow;
  REQUIRE(add(command_spec{"slow"}.with_timeout(30ms).with_concurrency(1, 0), slow.handler()).get());
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
