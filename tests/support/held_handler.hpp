#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>
#include <troupe/tests/support/fixtures/actor_fixture.hpp>

namespace troupe::test {

/// A handler that answers when the test says so. For a `virtual_system`.
class held_handler {
public:
  explicit held_handler(virtual_system& system) : system_(system) {
    actor_ = system.own(command_handler_actor{system.caf().spawn(
        [calls = calls_, cancelled = cancelled_](
            command_handler_actor::pointer self) -> command_handler_actor::behavior_type {
          return {[self, calls](const invocation& asked) {
                    auto promise = self->make_response_promise<value>();
                    calls->push_back({asked, promise});
                    return promise;
                  },
                  [cancelled](const cancel_request& gone) { cancelled->push_back(gone.ticket); }};
        })});
  }

  const command_handler_actor& actor() const { return actor_; }
  /// The calls that wait for their answers, oldest first.
  std::size_t waiting() const { return calls_->size(); }
  const invoke_command& oldest() const { return calls_->front().asked.command; }
  /// The ticket of the oldest, and the tickets of the cancellations that it received.
  std::uint64_t oldest_ticket() const { return calls_->front().asked.ticket; }
  const std::vector<std::uint64_t>& cancelled() const { return *cancelled_; }
  /// Answers the oldest.
  void answer_with(value result) {
    leave_turn(actor_);
    calls_->front().promise.deliver(std::move(result));
    calls_->pop_front();
    system_.run();
  }
  void fail_with(error why) {
    leave_turn(actor_);
    calls_->front().promise.deliver(to_caf(std::move(why)));
    calls_->pop_front();
    system_.run();
  }

private:
  struct call {
    invocation asked;
    caf::typed_response_promise<value> promise;
  };

  virtual_system& system_;
  std::shared_ptr<std::deque<call>> calls_ = std::make_shared<std::deque<call>>();
  std::shared_ptr<std::vector<std::uint64_t>> cancelled_ =
      std::make_shared<std::vector<std::uint64_t>>();
  command_handler_actor actor_;
};

}  // namespace troupe::test
