// Each request ends with an answer, an error or its deadline, and a tick comes at its time. Mostly
// in virtual time.

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <vector>

#include <caf/event_based_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/outside.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/messaging_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(messaging_fixture, "an answer reaches the actor that asked") {
  ask_from_actor(answering({true, "x"}), 1s);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].value() == value_found{true, "x"});
}

TEST_CASE_FIXTURE(messaging_fixture, "an error keeps its code, words and detail on its way") {
  const error why{error_code::corrupt_data, "row 7 is damaged", value::map({{"row", 7}}).msgpack()};
  ask_from_actor(failing(why), 1s);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error() == why);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "no answer in time is deadline_exceeded, and a late one is not heard") {
  const auto asked = silent();
  ask_from_actor(asked, 100ms);
  system.pass(95ms);
  CHECK(answers.empty());
  system.pass(10ms);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error().code == error_code::deadline_exceeded);
  tell(asked, tick::fast);
  system.run();
  CHECK(answers.size() == 1);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "a deadline that has passed, however long ago, is over at once") {
  ask_from_actor(silent(), 0ms);
  ask_from_actor(silent(), -1ns);  // what CAF takes for no deadline at all
  ask_from_actor(silent(), std::chrono::milliseconds::min());
  system.pass(5ms);
  REQUIRE(answers.size() == 3);
  for (const auto& each : answers) CHECK(each.error().code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(messaging_fixture, "a deadline that no clock can hold is as good as a day") {
  const auto whom = silent();
  ask_from_actor(whom, std::chrono::milliseconds::max());
  ask_from_actor(whom, std::chrono::hours::max());
  ask_from_actor(whom, std::chrono::nanoseconds::max());
  system.pass(1s);
  CHECK(answers.empty());
  tell(whom, tick::fast);
  system.run();
  CHECK(answers.size() == 3);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "each of many requests comes to its own deadline, at most 10 ms late") {
  constexpr int requests = 500;
  const auto whom = silent();
  (void)run_in_actor([&](asker::pointer self) {
    for (int i = 0; i < requests; ++i)
      note(self, whom, std::chrono::milliseconds{(i * 7919) % requests + 1});
  });
  system.run();
  for (int passed = 0; passed < requests + 20; passed += 5) {
    CHECK(answers.size() <= static_cast<std::size_t>(passed));
    CHECK(answers.size() + 15 >= static_cast<std::size_t>(std::min(passed, requests)));
    system.pass(5ms);
  }
  CHECK(count(error_code::deadline_exceeded) == requests);
}

TEST_CASE_FIXTURE(messaging_fixture, "an actor sets one timer, however much it asks") {
  const auto whom = silent();
  const auto timers_of_others = system.timers();
  (void)run_in_actor([&](asker::pointer self) {
    for (int i = 1000; i > 0; --i) note(self, whom, std::chrono::seconds{i});
  });
  system.run();
  CHECK(system.timers() == timers_of_others + 1);
  system.pass(1s);
  CHECK(answers.size() == 1);
  CHECK(system.timers() == timers_of_others + 1);
}

TEST_CASE_FIXTURE(messaging_fixture, "what was answered does not come to its deadline") {
  const auto whom = answering({true, "x"});
  const auto never = silent();
  const auto all = run_in_actor([&](asker::pointer self) {
    note(self, whom, 100ms);
    note(self, never, 200ms);
  });
  system.pass(150ms);
  CHECK(answers.size() == 1);
  tell(all, tick::fast);
  system.pass(1s);
  CHECK(answers.size() == 4);
  CHECK(count(error_code::none) == 2);
  CHECK(count(error_code::deadline_exceeded) == 2);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "what an actor asks when a deadline passes has a deadline of its own") {
  const auto whom = silent();
  int rounds = 0;
  std::function<void(asker::pointer)> again = [&](asker::pointer self) {
    ask(self, whom, 20ms, get_value{path{"/a"}})
        .then([](const value_found&) {},
              [&, self](const error& why) {
                CHECK(why.code == error_code::deadline_exceeded);
                ++rounds;
                again(self);
              });
  };
  (void)run_in_actor(again);
  system.pass(205ms);
  CHECK(rounds >= 8);
  CHECK(rounds <= 10);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "an actor that has ended hears no deadline and leaves no timer") {
  const auto whom = silent();
  const auto timers_of_others = system.timers();
  const auto gone = run_in_actor([&](asker::pointer self) { note(self, whom, 100ms); });
  system.run();
  CHECK(system.timers() == timers_of_others + 1);
  dismiss(gone);
  system.run();
  CHECK(system.timers() == timers_of_others);
  system.pass(1s);
  CHECK(answers.empty());
}

namespace {

/// Asks one that does not answer, and passes the outcome on.
class patient_state {
public:
  using interface = oracle;
  static constexpr const char* name = "patient";

  template <class Pointer>
  patient_state(Pointer self, oracle whom) {
    ask_ = [self, whom](caf::typed_response_promise<value_found> promise) {
      ask(self, whom, 50ms, get_value{path{"/never"}})
          .then([promise](value_found& found) mutable { promise.deliver(std::move(found)); },
                [promise](const error& why) mutable { promise.deliver(to_caf(why)); });
    };
    promise_ = [self] { return self->template make_response_promise<value_found>(); };
  }
  interface::behavior_type make_behavior() {
    return {[this](const get_value&) {
              auto promise = promise_();
              ask_(promise);
              return promise;
            },
            [](tick) {}};
  }

private:
  std::function<void(caf::typed_response_promise<value_found>)> ask_;
  std::function<caf::typed_response_promise<value_found>()> promise_;
};

}  // namespace

TEST_CASE("deadlines are kept on every kind of thread") {
  real_system system;
  const auto silent =
      system.own(oracle{system.caf().spawn([](oracle::pointer self) -> oracle::behavior_type {
        const auto kept = std::make_shared<std::vector<caf::typed_response_promise<value_found>>>();
        return {[self, kept](const get_value&) {
                  kept->push_back(self->make_response_promise<value_found>());
                  return kept->back();
                },
                [](tick) {}};
      })});
  for (const auto& whom : {spawn_shell<patient_state>(system.caf(), silent),
                           spawn_blocking<patient_state>(system.caf(), silent),
                           spawn_io<patient_state>(system.caf(), silent)}) {
    system.own(whom);
    const auto began = std::chrono::steady_clock::now();
    CHECK(system.ask<value_found>(whom, get_value{path{"/a"}}).code() ==
          error_code::deadline_exceeded);
    CHECK(std::chrono::steady_clock::now() - began >= 50ms);
  }
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "asking from an actor that the kernel did not start is a defect") {
  const auto child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    close(STDERR_FILENO);
    const auto whom = answering({true, "x"});
    system.own(system.caf().spawn([whom](oracle::pointer self) -> oracle::behavior_type {
      ask(self, whom, 1s, get_value{path{"/a"}})
          .then([](const value_found&) {}, [](const error&) {});
      return {[](const get_value&) { return value_found{}; }, [](tick) {}};
    }));
    system.run();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
}

TEST_CASE("what is asked from outside keeps to the same bounds") {
  real_system system;
  const auto whom =
      system.own(oracle{system.caf().spawn([](oracle::pointer self) -> oracle::behavior_type {
        const auto kept = std::make_shared<std::vector<caf::typed_response_promise<value_found>>>();
        return {[self, kept](const get_value& wanted) -> caf::result<value_found> {
                  if (wanted.path == path{"/now"}) return value_found{true, "now"};
                  kept->push_back(self->make_response_promise<value_found>());
                  return kept->back();
                },
                [](tick) {}};
      })});
  CHECK(
      ask_and_wait<value_found>(system.caf(), whom, -1ns, get_value{path{"/never"}}).error().code ==
      error_code::deadline_exceeded);
  CHECK(ask_and_wait<value_found>(system.caf(), whom, 0s, get_value{path{"/never"}}).error().code ==
        error_code::deadline_exceeded);
  CHECK(ask_and_wait<value_found>(system.caf(), whom, std::chrono::milliseconds::max(),
                                  get_value{path{"/now"}})
            .value()
            .found);
}

TEST_CASE_FIXTURE(messaging_fixture, "an actor that has ended is unavailable") {
  const auto gone = answering({});
  caf::anon_send_exit(gone, caf::exit_reason::user_shutdown);
  system.run();
  ask_from_actor(gone, 1s);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error().code == error_code::unavailable);
}

TEST_CASE_FIXTURE(messaging_fixture, "an actor that ends before it answers is unavailable") {
  const auto whom = silent();
  ask_from_actor(whom, 1h);
  CHECK(answers.empty());
  caf::anon_send_exit(whom, caf::exit_reason::kill);
  system.run();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error().code == error_code::unavailable);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "a message that an actor sends itself for later arrives then") {
  int heard = 0;
  system.own(system.caf().spawn([&heard](caf::event_based_actor* self) -> caf::behavior {
    tick_after(self, 250ms, tick::slow);
    return {[&heard](tick) { ++heard; }};
  }));
  system.pass(245ms);
  CHECK(heard == 0);
  system.pass(10ms);
  CHECK(heard == 1);
  system.pass(1s);
  CHECK(heard == 1);
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "what is to come in a time that no clock can hold does not come now") {
  int heard = 0;
  system.own(system.caf().spawn([&heard](caf::event_based_actor* self) -> caf::behavior {
    tick_after(self, std::chrono::milliseconds::max(), tick::slow);
    return {[&heard](tick) { ++heard; }};
  }));
  system.pass(1s);
  CHECK(heard == 0);
}

static_assert(bounded_timespan(-1ns) == 0s);
static_assert(bounded_timespan(std::chrono::years::min()) == 0s);
static_assert(bounded_timespan(std::chrono::years::max()) == 24h);
static_assert(bounded_timespan(std::chrono::milliseconds::max()) == 24h);
static_assert(bounded_timespan(24h - 1ns) == 24h - 1ns);
static_assert(bounded_timespan(1ns) == 1ns);
