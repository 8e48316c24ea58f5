#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/actor_fixture.hpp>

namespace troupe::test {

/// Answers `get_value` in a way that the test chooses. A tick lets one that was silent answer.
using oracle = caf::typed_actor<caf::result<value_found>(get_value), caf::result<void>(tick)>;

using asker = caf::typed_actor<caf::result<void>(tick)>;

/// Runs a function of the test.
class asker_state {
public:
  using interface = asker;
  static constexpr const char* name = "asker";

  asker_state(interface::pointer self, std::function<void(interface::pointer)> body)
      : self_(self), body_(std::move(body)) {
    body_(self_);
  }
  interface::behavior_type make_behavior() {
    return {[this](tick) { body_(self_); }};
  }

private:
  interface::pointer self_;
  std::function<void(interface::pointer)> body_;
};

/// Actors that ask and answer each other, in virtual time.
class messaging_fixture {
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
    (void)run_in_actor([this, whom, deadline](asker::pointer self) { note(self, whom, deadline); });
    system.run();
  }
  /// Asks from this actor, and notes what comes back and how often.
  template <class Self, class Duration>
  void note(Self* self, const oracle& whom, Duration deadline) {
    ask(self, whom, deadline, get_value{path{"/a"}})
        .then([this](const value_found& found) { answers.push_back(found); },
              [this](const error& why) { answers.push_back(fail(why)); });
  }
  /// Starts an actor that runs this with each tick, and with the start.
  asker run_in_actor(std::function<void(asker::pointer)> body) {
    return system.own(spawn_shell<asker_state>(system.caf(), std::move(body)));
  }
  std::size_t count(error_code code) const {
    return static_cast<std::size_t>(
        std::count_if(answers.begin(), answers.end(), [&](const result<value_found>& each) {
          return (each ? error_code::none : each.error().code) == code;
        }));
  }

  std::vector<result<value_found>> answers;

private:
  template <class Body>
  oracle spawn(Body body) {
    return system.own(oracle{system.caf().spawn(std::move(body))});
  }
};

}  // namespace troupe::test
