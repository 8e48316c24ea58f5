// The supervision tree. All of it in virtual time.

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/tests/support/fixtures/actor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// How a child reacts to its messages. Its farewell, if any, is `reset_metrics`. The farewell of a
/// busy child is `stop_children`: when its time is over, the child reports what it is busy with.
enum class manner {
  obedient,
  silent_at_farewell,
  refusing_farewell,
  ends_at_farewell,
  deaf_to_exit,
  busy
};

class fixture {
public:
  virtual_system system;
  recorded_log log;
  std::vector<std::string> events;
  std::vector<child_failed> failures;
  std::map<std::string, std::chrono::milliseconds> given;  ///< For farewells.

  child_spec child(std::string name, child_kind kind = child_kind::essential,
                   manner how = manner::obedient) {
    return {.name = name,
            .start = [this, name, how] { return start(name, how); },
            .kind = kind,
            .farewell = {},
            .stop_deadline = 5s};
  }
  child_spec with_farewell(std::string name, manner how = manner::obedient) {
    auto made = child(std::move(name), child_kind::essential, how);
    made.farewell = [this, name = made.name](std::chrono::milliseconds time) {
      given[name] = time;
      return caf::make_message(reset_metrics{});
    };
    return made;
  }
  child_spec busy(std::string name) {
    auto made = child(std::move(name), child_kind::essential, manner::busy);
    made.farewell = [](std::chrono::milliseconds time) {
      return caf::make_message(stop_children{time});
    };
    return made;
  }
  void grow(std::vector<child_spec> children) {
    tree_ = system.own(spawn_supervisor_tree(
        system.caf(), std::move(children),
        [this](const child_failed& failed) { failures.push_back(failed); }, log.target()));
    system.run();
  }
  /// Ends a child as a defect would.
  void crash(const std::string& name) {
    end_with(running_.at(name), {error_code::internal, name + " broke", {}});
    system.run();
  }
  void kill(const std::string& name) {
    caf::anon_send_exit(running_.at(name), caf::exit_reason::kill);
    system.run();
  }
  answer<stop_report> stop(std::chrono::milliseconds deadline = 10s) {
    auto asked = system.ask<stop_report>(tree_, stop_children{deadline});
    system.run();
    return asked;
  }
  std::vector<std::string> take_events() { return std::exchange(events, {}); }

private:
  caf::actor start(const std::string& name, manner how) {
    events.push_back("start " + name);
    auto made = system.own(system.caf().spawn([this, name,
                                               how](caf::event_based_actor* self) -> caf::behavior {
      self->set_exit_handler([this, self, name, how](const caf::exit_msg& order) {
        if (how == manner::deaf_to_exit && order.reason == caf::exit_reason::user_shutdown) return;
        events.push_back("exit " + name);
        self->quit(order.reason);
      });
      const auto unanswered = std::make_shared<std::vector<caf::typed_response_promise<void>>>();
      return {[this, self, name, how, unanswered](reset_metrics) -> caf::result<void> {
                events.push_back("farewell " + name);
                if (how == manner::refusing_farewell)
                  return to_caf({error_code::storage_failure, "the disk is full", {}});
                if (how == manner::ends_at_farewell) self->quit();
                if (how == manner::silent_at_farewell) {
                  unanswered->push_back(self->make_response_promise<void>());
                  return unanswered->back();
                }
                return {};
              },
              [this, self, name](stop_children order) -> caf::result<void> {
                events.push_back("farewell " + name);
                auto promise = self->make_response_promise<void>();
                self->run_delayed(order.deadline, [promise, name]() mutable {
                  promise.deliver(to_caf(
                      {error_code::deadline_exceeded, "still running: the work of " + name, {}}));
                });
                return promise;
              }};
    }));
    running_[name] = made;
    return made;
  }

  supervisor_tree tree_;
  std::map<std::string, caf::actor> running_;
};

using strings = std::vector<std::string>;

}  // namespace

// -- starting and stopping ------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "children start in order and stop in reverse") {
  grow({child("a"), child("b"), child("c")});
  CHECK(take_events() == strings{"start a", "start b", "start c"});
  auto stopped = stop();
  REQUIRE(stopped.ready());
  CHECK(stopped.value().blocked.empty());
  CHECK(take_events() == strings{"exit c", "exit b", "exit a"});
  CHECK(failures.empty());
}

TEST_CASE_FIXTURE(fixture, "a tree without children stops at once") {
  grow({});
  CHECK(stop().ready());
}

TEST_CASE_FIXTURE(fixture,
                  "a child is asked its farewell before its order to exit, while those it depends "
                  "on still run") {
  grow({child("store"), with_farewell("replica"), child("link")});
  take_events();
  CHECK(stop().value().blocked.empty());
  CHECK(take_events() == strings{"exit link", "farewell replica", "exit replica", "exit store"});
}

TEST_CASE_FIXTURE(fixture, "a child that ends at its farewell gets no order to exit") {
  grow({child("a"), with_farewell("b", manner::ends_at_farewell)});
  take_events();
  CHECK(stop().value().blocked.empty());
  CHECK(take_events() == strings{"farewell b", "exit a"});
}

TEST_CASE_FIXTURE(fixture, "a tree ends when it has stopped") {
  grow({child("a")});
  CHECK(stop().ready());
  CHECK(stop().code() == error_code::unavailable);
}

// -- children that do not stop --------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "what a child says of itself at its farewell is reported with its name") {
  grow({child("a"), with_farewell("b", manner::refusing_farewell)});
  take_events();
  CHECK(stop().value().blocked == strings{"b: the disk is full"});
  CHECK(take_events() == strings{"farewell b", "exit b", "exit a"});
}

TEST_CASE_FIXTURE(
    fixture, "a child that does not answer its farewell gets an order to exit at its deadline") {
  grow({child("a"), with_farewell("b", manner::silent_at_farewell)});
  auto stopped = stop(60s);
  system.pass(4'990ms);
  CHECK_FALSE(stopped.ready());
  system.pass(20ms);
  REQUIRE(stopped.ready());
  CHECK(stopped.value().blocked == strings{"b: no answer before the deadline"});
  CHECK(events.back() == "exit a");
}

TEST_CASE_FIXTURE(fixture,
                  "a child that does not exit is named, and the others are stopped all the same") {
  grow({with_farewell("a", manner::silent_at_farewell), child("b"),
        child("c", child_kind::essential, manner::deaf_to_exit), child("d")});
  take_events();
  auto stopped = stop(60s);
  system.pass(4'990ms);
  CHECK(take_events() == strings{"exit d"});
  // The end of c comes while a is still being stopped.
  system.pass(10'100ms);
  REQUIRE(stopped.ready());
  CHECK(stopped.value().blocked == strings{"c", "a: no answer before the deadline"});
  CHECK(take_events() == strings{"exit b", "farewell a", "exit a"});
  CHECK(log.contains("kernel.stop_blocked by=\"c\""));
}

TEST_CASE_FIXTURE(fixture,
                  "the deadline for all together is kept, whatever each child might take") {
  std::vector<child_spec> deaf;
  for (const char* name : {"a", "b", "c", "d", "e"})
    deaf.push_back(child(name, child_kind::essential, manner::deaf_to_exit));
  grow(std::move(deaf));
  auto stopped = stop(1s);
  system.pass(900ms);
  CHECK_FALSE(stopped.ready());
  // Each has taken half of what was left.
  system.pass(120ms);
  REQUIRE(stopped.ready());
  CHECK(stopped.value().blocked == strings{"e", "d", "c", "b", "a"});
}

TEST_CASE_FIXTURE(fixture, "when no time is left, each child that blocks is given a moment") {
  std::vector<child_spec> deaf;
  for (const char* name : {"a", "b", "c"})
    deaf.push_back(child(name, child_kind::essential, manner::deaf_to_exit));
  grow(std::move(deaf));
  auto stopped = stop(0ms);
  system.pass(50ms);
  CHECK_FALSE(stopped.ready());
  system.pass(50ms);
  CHECK(stopped.ready());
}

TEST_CASE_FIXTURE(fixture,
                  "of two children that block both say why, and those after them still have time "
                  "for their farewell") {
  grow({child("store"), with_farewell("replica"), busy("dispatcher"), busy("plugins"),
        child("link")});
  take_events();
  auto stopped = stop(1s);
  system.pass(1s);
  REQUIRE(stopped.ready());
  CHECK(stopped.value().blocked == strings{"plugins: still running: the work of plugins",
                                           "dispatcher: still running: the work of dispatcher"});
  CHECK(take_events() == strings{"exit link", "farewell plugins", "exit plugins",
                                 "farewell dispatcher", "exit dispatcher", "farewell replica",
                                 "exit replica", "exit store"});
  CHECK(given.at("replica") > 100ms);
}

TEST_CASE_FIXTURE(fixture, "a second stop is refused, and the first is answered") {
  grow({child("a"), with_farewell("b", manner::silent_at_farewell)});
  auto first = stop();
  auto second = stop();
  REQUIRE(second.ready());
  CHECK(second.code() == error_code::unavailable);
  CHECK(second.problem() == "the children are being stopped already");
  system.pass(10s);
  REQUIRE(first.ready());
  CHECK(first.value().blocked == strings{"b: no answer before the deadline"});
}

TEST_CASE_FIXTURE(fixture, "a deadline that no clock can hold is as good as a day") {
  grow({child("a")});
  CHECK(stop(std::chrono::milliseconds::max()).value().blocked.empty());
}

// -- children that crash --------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "the end of an essential child is reported, once") {
  grow({child("a"), child("b")});
  crash("a");
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].name == "a");
  CHECK(failures[0].reason == "a broke");
  crash("b");
  CHECK(failures.size() == 1);
  CHECK(log.contains("kernel.child_ended child=b"));
  take_events();
  CHECK(stop().ready());
  CHECK(take_events().empty());
}

TEST_CASE_FIXTURE(fixture, "the reason of an end is reported in words") {
  grow({child("a")});
  kill("a");
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].reason == "it was killed");
  CHECK(log.contains("kernel.child_ended child=a reason=\"it was killed\""));
}

TEST_CASE_FIXTURE(fixture, "a reason cannot forge a line of the log") {
  grow({child("a\" child=\"b\n")});
  crash("a\" child=\"b\n");
  CHECK(log.contains(R"(reason="a\" child=\"b\x0a broke")"));
}

TEST_CASE_FIXTURE(fixture,
                  "a replaceable child is started again, up to its limit, and then reported") {
  grow({child("listener", child_kind::replaceable)});
  for (std::size_t i = 0; i < child_spec::max_restarts; ++i) {
    take_events();
    crash("listener");
    CHECK(take_events() == strings{"exit listener", "start listener"});
    CHECK(failures.empty());
  }
  crash("listener");
  CHECK(take_events() == strings{"exit listener"});
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].name == "listener");
}

TEST_CASE_FIXTURE(fixture, "restarts are forgotten after a minute") {
  grow({child("listener", child_kind::replaceable)});
  for (int minute = 0; minute < 3; ++minute) {
    for (std::size_t i = 0; i < child_spec::max_restarts; ++i) crash("listener");
    CHECK(failures.empty());
    system.pass(61s);
  }
}

TEST_CASE_FIXTURE(fixture, "a child that was started again is stopped in its place") {
  grow({child("a"), child("b", child_kind::replaceable), child("c")});
  crash("b");
  take_events();
  CHECK(stop().value().blocked.empty());
  CHECK(take_events() == strings{"exit c", "exit b", "exit a"});
}

TEST_CASE_FIXTURE(fixture,
                  "a child that crashes during the stop is neither reported nor started again") {
  grow({child("a", child_kind::replaceable),
        child("b", child_kind::essential, manner::deaf_to_exit)});
  auto stopped = stop(60s);
  take_events();
  crash("a");
  CHECK(take_events() == strings{"exit a"});
  crash("b");
  REQUIRE(stopped.ready());
  CHECK(stopped.value().blocked.empty());
  CHECK(failures.empty());
}
