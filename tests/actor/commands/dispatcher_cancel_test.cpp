// Requests whose answers are not wanted any more.

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include <caf/event_based_actor.hpp>

#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>
#include <troupe/tests/support/held_handler.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A request of an actor that can cancel it.
class cancellable_request {
public:
  static constexpr std::uint64_t ticket = 7;

  template <class Fixture>
  cancellable_request(Fixture& around, std::string command)
      : asker_(around.system.own(around.system.caf().spawn(
            [to = around.dispatcher, promise = promise_, sent = sent_,
             wanted = execute_command{std::move(command), {}, the_host(), 0ms, {}, ticket}](
                caf::event_based_actor* self) -> caf::behavior {
              self->request(to, caf::infinite, wanted)
                  .then([promise](value& got) { promise->set_value(std::move(got)); },
                        [promise](const caf::error& why) {
                          promise->set_value(fail(from_caf(why)));
                        });
              sent->set_value();
              return {[self, to](const cancel_request& gone) { self->send(to, gone); }};
            }))) {}

  /// Returns when it is on its way. Not in a `virtual_system`.
  void wait_until_sent() { sent_->get_future().wait(); }
  void cancel() { caf::anon_send(asker_, cancel_request{ticket}); }

private:
  std::shared_ptr<std::promise<result<value>>> promise_ =
      std::make_shared<std::promise<result<value>>>();
  std::shared_ptr<std::promise<void>> sent_ = std::make_shared<std::promise<void>>();
  caf::actor asker_;

public:
  answer<value> outcome{promise_->get_future().share()};
};

template <class System>
class counting_fixture : public dispatcher_fixture<System> {
public:
  using dispatcher_fixture<System>::dispatcher_fixture;

  std::uint64_t count(const std::string& command, command_outcome outcome) {
    auto numbers = this->system.template ask<metrics_list>(this->dispatcher, get_metrics{command});
    if constexpr (std::is_same_v<System, virtual_system>) this->system.run();
    return count_of(numbers.value(), outcome);
  }
};
using fixture = counting_fixture<virtual_system>;
using threaded_fixture = counting_fixture<real_system>;

/// Computes until it is asked to stop, or the test is over.
class endless_function {
public:
  ~endless_function() { state_->over = true; }

  worker_handler handler() {
    return {[state = state_](const arguments&, const command_context& about) -> result<value> {
      ++state->entered;
      while (!about.stop.stop_requested() && !state->over) std::this_thread::yield();
      if (about.stop.stop_requested()) ++state->left;
      return fail(error_code::cancelled, "stopped early");
    }};
  }
  bool has_entered() const { return state_->entered > 0; }
  bool has_left() const { return state_->left > 0; }

private:
  struct shared {
    std::atomic<int> entered{0}, left{0};
    std::atomic<bool> over = false;
  };
  std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "a request that is cancelled while it waits for its turn never runs, and its "
                  "place in the queue is free") {
  held_handler handler{system};
  add(command_spec{"work"}.with_concurrency(1, 1), handler.actor());
  auto runs = execute("work");
  system.run();
  cancellable_request waits{*this, "work"};
  system.run();
  CHECK(execute("work").ready() == false);
  system.run();
  CHECK(count("work", command_outcome::rejected) == 1);
  waits.cancel();
  system.run();
  REQUIRE(waits.outcome.ready());
  CHECK(waits.outcome.code() == error_code::cancelled);
  CHECK(waits.outcome.problem() == "the caller cancelled the command work");
  CHECK(count("work", command_outcome::cancelled) == 1);
  auto next = execute("work");
  system.run();
  handler.answer_with(value{1});
  CHECK(runs.value() == value{1});
  handler.answer_with(value{2});
  CHECK(next.value() == value{2});
  CHECK(handler.waiting() == 0);
}

TEST_CASE_FIXTURE(
    fixture,
    "a handler gets one cancel when its caller cancels, and the caller is answered at once") {
  held_handler handler{system};
  add(command_spec{"work"}, handler.actor());
  cancellable_request asked{*this, "work"}, other{*this, "work"};
  system.run();
  REQUIRE(handler.waiting() == 2);
  const auto ticket = handler.oldest_ticket();
  asked.cancel();
  asked.cancel();
  system.run();
  CHECK(handler.cancelled() == std::vector{ticket});
  REQUIRE(asked.outcome.ready());
  CHECK(asked.outcome.problem() == "the caller cancelled the command work");
  CHECK_FALSE(other.outcome.ready());
  handler.fail_with({error_code::cancelled, "stopped early", {}});
  CHECK(count("work", command_outcome::cancelled) == 1);
  CHECK(count("work", command_outcome::error) == 0);
  CHECK_FALSE(other.outcome.ready());
  handler.answer_with(value{1});
  CHECK(other.outcome.value() == value{1});
}

TEST_CASE_FIXTURE(fixture, "a handler keeps the place of a cancelled request until it answers") {
  held_handler handler{system};
  add(command_spec{"work"}.with_concurrency(1, 1), handler.actor());
  cancellable_request asked{*this, "work"};
  system.run();
  asked.cancel();
  auto next = execute("work");
  auto one_more = execute("work");
  system.run();
  CHECK(one_more.code() == error_code::overloaded);
  CHECK(handler.waiting() == 1);
  handler.fail_with({error_code::cancelled, "stopped early", {}});
  REQUIRE(handler.waiting() == 1);
  handler.answer_with(value{1});
  CHECK(next.value() == value{1});
}

TEST_CASE_FIXTURE(fixture,
                  "a cancellation of an answered request, or of another sender's, is ignored") {
  held_handler handler{system};
  add(command_spec{"work"}, handler.actor());
  cancellable_request done{*this, "work"};
  system.run();
  handler.answer_with(value{1});
  done.cancel();
  CHECK(done.outcome.value() == value{1});
  cancellable_request open{*this, "work"};
  system.run();
  done.cancel();  // with the same ticket
  caf::anon_send(dispatcher, cancel_request{cancellable_request::ticket});
  system.run();
  CHECK(handler.cancelled().empty());
  handler.answer_with(value{2});
  CHECK(open.outcome.value() == value{2});
}

TEST_CASE_FIXTURE(threaded_fixture,
                  "a cancellation is answered at once, and the running function is asked to stop") {
  endless_function work;
  REQUIRE(add(command_spec{"work"}, work.handler()).get());
  cancellable_request asked{*this, "work"};
  REQUIRE(eventually([&] { return work.has_entered(); }));
  asked.cancel();
  CHECK(asked.outcome.problem() == "the caller cancelled the command work");
  CHECK(eventually([&] { return work.has_left(); }));
  CHECK(count("work", command_outcome::cancelled) == 1);
  CHECK(count("work", command_outcome::error) == 0);
}

TEST_CASE_FIXTURE(
    threaded_fixture,
    "a function that runs at its deadline is asked to stop, and then its place is free") {
  endless_function work;
  REQUIRE(
      add(command_spec{"work"}.with_timeout(20ms).with_concurrency(1, 0), work.handler()).get());
  CHECK(execute("work").code() == error_code::deadline_exceeded);
  CHECK(eventually([&] { return work.has_left(); }));
  CHECK(eventually([&] { return execute("work").code() == error_code::deadline_exceeded; }));
}

TEST_CASE_FIXTURE(threaded_fixture, "functions that run are asked to stop when the commands are") {
  endless_function work;
  REQUIRE(add(command_spec{"work"}, work.handler()).get());
  auto asked = execute("work");
  REQUIRE(eventually([&] { return work.has_entered(); }));
  CHECK(system.ask<void>(dispatcher, stop_commands{60s}).get());
  CHECK(asked.problem() == "stopped early");
}

TEST_CASE(
    "a request that is cancelled while it waits for a worker never runs, and gives its place "
    "back") {
  threaded_fixture one{{.max_workers = 1}};
  endless_function busy, next;
  REQUIRE(one.add(command_spec{"busy"}, busy.handler()).get());
  REQUIRE(one.add(command_spec{"next"}.with_concurrency(1, 0), next.handler()).get());
  cancellable_request first{one, "busy"};
  REQUIRE(eventually([&] { return busy.has_entered(); }));
  cancellable_request second{one, "next"};
  second.wait_until_sent();
  REQUIRE(one.execute("next").code() == error_code::overloaded);
  second.cancel();
  CHECK(second.outcome.code() == error_code::cancelled);
  CHECK(one.count("next", command_outcome::cancelled) == 1);
  CHECK_FALSE(next.has_entered());
  first.cancel();
  cancellable_request third{one, "next"};
  CHECK(eventually([&] { return next.has_entered(); }));
  third.cancel();
}
