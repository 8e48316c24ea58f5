// Watchers learn of an actor's end once, also when a handler threw. Mostly in virtual time.

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <caf/event_based_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/messaging_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- watching -------------------------------------------------------------------------------------

namespace {

/// An actor that watches others. The test names them.
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

TEST_CASE_FIXTURE(
    messaging_fixture,
    "each end that is watched is reported once, with its reason, to its own handler") {
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

TEST_CASE_FIXTURE(messaging_fixture,
                  "the end of an actor that ended before it was watched is reported as well") {
  watcher watching{system};
  const auto gone = silent();
  end_with(gone, {error_code::internal, "broke", {}});
  system.run();
  watching.watch(gone, "gone");
  CHECK(watching.told.size() == 1);
}

TEST_CASE_FIXTURE(
    messaging_fixture,
    "the end of an actor that is watched again is reported once, to the last handler") {
  watcher watching{system};
  const auto a = silent();
  watching.watch(a, "first");
  watching.watch(a, "second");
  end_with(a, {error_code::internal, "broke", {}});
  system.run();
  CHECK(watching.told == std::vector<std::string>{"second: broke"});
}

// -- handlers that throw --------------------------------------------------------------------------

namespace {

/// Throws on every message.
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

TEST_CASE_FIXTURE(
    messaging_fixture,
    "a handler that throws ends its actor with what it threw, and the asker gets the same") {
  watcher watching{system};
  const auto whom = system.own(spawn_shell<defective_state>(system.caf()));
  watching.watch(whom, "defective");
  ask_from_actor(whom, 1h);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].error() == error{error_code::internal, "a handler threw: no \"memory\"", {}});
  CHECK(watching.told == std::vector<std::string>{"defective: a handler threw: no \"memory\""});
}

TEST_CASE_FIXTURE(messaging_fixture,
                  "a handler that throws what is no exception ends its actor as well") {
  watcher watching{system};
  const auto whom = system.own(spawn_shell<defective_state>(system.caf()));
  watching.watch(whom, "defective");
  tell(whom, tick::fast);
  system.run();
  CHECK(watching.told ==
        std::vector<std::string>{"defective: a handler threw something other than an exception"});
}

TEST_CASE("a handler that throws inside the I/O loop ends its actor alone") {
  real_system system;
  for (int i = 0; i < 2; ++i) {
    const auto whom = system.own(spawn_io<defective_broker_state>(system.caf()));
    const auto asked = system.ask<value_found>(whom, get_value{path{"/a"}});
    CHECK(asked.problem() == "a handler threw: no \"memory\"");
  }
}
