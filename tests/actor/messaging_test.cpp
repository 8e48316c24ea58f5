// What the kernel adds to CAF's messages. In virtual time.

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include <caf/event_based_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/outside.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/actor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Answers `get_value` in a way that the test chooses. A tick lets one that was silent answer.
using oracle = caf::typed_actor<caf::result<value_found>(get_value), caf::result<void>(tick)>;

class fixture {
public:
  virtual_system system;

  oracle answering(value_found with) {
    return spawn([with](oracle::pointer) -> oracle::behavior_type {
      return {[with](const get_value&) { return with; }, [](tick) {}};
    });
  }
  oracle failing(error why) {
    return spawn([why](oracle::pointer) -> oracle::behavior_type {
      return {[why](const get_value&) -> caf::result<value_found> { return to_caf(why); },
              [](tick) {}};
    });
  }
  oracle silent() {
    return spawn([](oracle::pointer self) -> oracle::behavior_type {
      const auto kept = std::make_shared<std::vector<caf::typed_response_promise<value_found>>>();
      return {[self, kept](const get_value&) {
                kept->push_back(self->make_response_promise<value_found>());
                return kept->back();
              },
              [kept](tick) {
                for (auto& each : *kept) each.deliver(value_found{true, "late"});
              }};
    });
  }

  /// Asks from an actor, and notes what comes back and how often.
  template <class Duration>
  void ask_from_actor(const oracle& whom, Duration deadline) {
    system.caf().spawn([this, whom, deadline](caf::event_based_actor* self) {
      ask(self, whom, deadline, get_value{path{"/a"}})
          .then([this](const value_found& found) { answers.push_back(found); },
                [this](const error& why) { answers.push_back(fail(why)); });
    });
    system.run();
  }

  std::vector<result<value_found>> answers;

private:
  template <class Body>
  oracle spawn(Body body) {
    return system.own(oracle{system.caf().spawn(std::move(body))});
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "an answer is handed to the one who asked") {
  ask_from_actor(answering({true, "x"}), 1s);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].value() == value_found{true, "x"});
}

TEST_CASE_FIXTURE(fixture, "an error keeps its code, words and detail on its way") {
  const error why{error_code::corrupt_data, "row 7 is damaged", value::map({{"row", 7}}).msgpack()};
  ask_from_actor(failing(why), 1s);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error() == why);
}

TEST_CASE_FIXTURE(fixture, "no answer in time is deadline_exceeded, and a late one is not heard") {
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

TEST_CASE_FIXTURE(fixture, "a deadline that has passed, however long ago, is over at once") {
  ask_from_actor(silent(), 0ms);
  ask_from_actor(silent(), -1ns);  // what CAF takes for no deadline at all
  ask_from_actor(silent(), std::chrono::milliseconds::min());
  system.pass(5ms);
  REQUIRE(answers.size() == 3);
  for (const auto& each : answers) CHECK(each.error().code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture, "a deadline that no clock can hold is as good as a day") {
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

TEST_CASE_FIXTURE(fixture, "an actor that has ended is unavailable") {
  const auto gone = answering({});
  caf::anon_send_exit(gone, caf::exit_reason::user_shutdown);
  system.run();
  ask_from_actor(gone, 1s);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error().code == error_code::unavailable);
}

TEST_CASE_FIXTURE(fixture, "an actor that ends before it answers is unavailable") {
  const auto whom = silent();
  ask_from_actor(whom, 1h);
  CHECK(answers.empty());
  caf::anon_send_exit(whom, caf::exit_reason::kill);
  system.run();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error().code == error_code::unavailable);
}

TEST_CASE_FIXTURE(fixture, "what an actor tells itself for later comes then") {
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

TEST_CASE_FIXTURE(fixture, "what is to come in a time that no clock can hold does not come now") {
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

// -- watching -------------------------------------------------------------------------------------

namespace {

/// An actor that watches others; it is told whom by the test.
class watcher {
public:
  explicit watcher(virtual_system& system) : system_(system) {
    system.own(system.caf().spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self_ = self;
      ends_.attach(self);
      return {[](tick) {}};
    }));
    system.run();
  }
  void watch(const oracle& whom, std::string name) {
    ends_.watch(self_, whom, [this, name](const caf::error& why) {
      told.push_back(name + ": " + from_caf(why).message);
    });
    system_.run();
  }

  std::vector<std::string> told;

private:
  virtual_system& system_;
  caf::event_based_actor* self_ = nullptr;
  watch_list ends_;
};

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "each end that is watched is told once, with its reason, to its own handler") {
  watcher watching{system};
  const auto a = silent();
  const auto b = silent();
  const auto c = silent();
  watching.watch(a, "a");
  watching.watch(b, "b");
  end_with(c, {error_code::internal, "c broke", {}});
  end_with(b, {error_code::internal, "b broke", {}});
  system.run();
  CHECK(watching.told == std::vector<std::string>{"b: b broke"});
  end_with(a, {error_code::internal, "a broke", {}});
  end_with(b, {error_code::internal, "b broke again", {}});
  system.run();
  CHECK(watching.told == std::vector<std::string>{"b: b broke", "a: a broke"});
}

TEST_CASE_FIXTURE(fixture, "the end of an actor that ended before it was watched is told as well") {
  watcher watching{system};
  const auto gone = silent();
  end_with(gone, {error_code::internal, "broke", {}});
  system.run();
  watching.watch(gone, "gone");
  CHECK(watching.told.size() == 1);
}

// -- handlers that throw --------------------------------------------------------------------------

namespace {

/// Throws whatever it is told.
class defective_state {
public:
  using interface = oracle;
  static constexpr const char* name = "defective";

  explicit defective_state(interface::pointer) {}
  interface::behavior_type make_behavior() {
    return {[](const get_value&) -> caf::result<value_found> {
              throw std::runtime_error{"no \"memory\""};
            },
            [](tick) { throw 7; }};
  }
};

class defective_broker_state : public defective_state {
public:
  explicit defective_broker_state(interface::broker_pointer) : defective_state(nullptr) {}
};

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "a handler that throws ends its actor with what it threw, and the one who asked "
                  "is told as much") {
  watcher watching{system};
  const auto whom = system.own(spawn_shell<defective_state>(system.caf()));
  watching.watch(whom, "defective");
  ask_from_actor(whom, 1h);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error() ==
        error{error_code::internal, "a handler has thrown: no \"memory\"", {}});
  CHECK(watching.told ==
        std::vector<std::string>{"defective: a handler has thrown: no \"memory\""});
}

TEST_CASE_FIXTURE(fixture, "a handler that throws what is no exception ends its actor as well") {
  watcher watching{system};
  const auto whom = system.own(spawn_shell<defective_state>(system.caf()));
  watching.watch(whom, "defective");
  tell(whom, tick::fast);
  system.run();
  CHECK(watching.told ==
        std::vector<std::string>{"defective: a handler has thrown something that is no exception"});
}

TEST_CASE("a handler that throws inside the I/O loop ends its actor alone") {
  real_system system;
  for (int i = 0; i < 2; ++i) {
    const auto whom = system.own(spawn_io<defective_broker_state>(system.caf()));
    const auto asked = system.ask<value_found>(whom, get_value{path{"/a"}});
    CHECK(asked.problem() == "a handler has thrown: no \"memory\"");
  }
}
