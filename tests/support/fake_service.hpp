#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/links/link.hpp>
#include <troupe/tests/support/fixtures/actor_fixture.hpp>

namespace troupe::test {

/// Serves methods as the test says, and keeps what it was asked. May be looked at from any thread.
class fake_service {
public:
  /// The outcome of a call; nothing when it is never answered.
  using serving = std::function<std::optional<result<value>>(const service_call&)>;

  explicit fake_service(
      system_fixture& system,
      serving serve = [](const service_call&) { return result<value>{value{}}; }) {
    actor_ = caf::actor_cast<service_actor>(system.own(
        full_service{system.caf().spawn([memory = memory_, serve](full_service::pointer self) {
          const auto held = std::make_shared<std::vector<caf::typed_response_promise<payload>>>();
          return full_service::behavior_type{
              [memory, serve, self, held](const service_call& call) -> caf::result<payload> {
                memory->keep(memory->calls, call);
                const auto outcome = serve(call);
                if (!outcome) {
                  held->push_back(self->make_response_promise<payload>());
                  return held->back();
                }
                if (!*outcome) return to_caf(outcome->error());
                return payload{{(*outcome)->msgpack()}};
              },
              [memory, self,
               held_notifications =
                   std::make_shared<std::vector<caf::typed_response_promise<void>>>()](
                  const service_notification& notification) -> caf::result<void> {
                memory->keep(memory->notifications, notification);
                if (memory->takes_notifications) {
                  for (auto& each : std::exchange(*held_notifications, {})) each.deliver();
                  return {};
                }
                held_notifications->push_back(self->make_response_promise<void>());
                return held_notifications->back();
              },
              [memory](const cancel_request& gone) {
                memory->keep(memory->cancelled, gone.ticket);
              }};
        })}));
  }

  /// The tickets of the cancellations that it received.
  std::vector<std::uint64_t> cancelled() const { return memory_->copy(memory_->cancelled); }
  const service_actor& actor() const { return actor_; }
  std::vector<service_call> calls() const { return memory_->copy(memory_->calls); }
  std::vector<service_notification> notifications() const {
    return memory_->copy(memory_->notifications);
  }
  /// While false, notifications are kept but not acknowledged; the next one after that acknowledges
  /// all.
  void take_notifications(bool takes) { memory_->takes_notifications = takes; }

private:
  using full_service = service_actor::extend<caf::result<void>(cancel_request)>;

  struct memory {
    std::mutex guard;
    std::atomic<bool> takes_notifications = true;
    std::vector<service_call> calls;
    std::vector<service_notification> notifications;
    std::vector<std::uint64_t> cancelled;

    template <class T>
    void keep(std::vector<T>& where, const T& what) {
      const std::lock_guard locked{guard};
      where.push_back(what);
    }
    template <class T>
    std::vector<T> copy(const std::vector<T>& from) {
      const std::lock_guard locked{guard};
      return from;
    }
  };

  std::shared_ptr<memory> memory_ = std::make_shared<memory>();
  service_actor actor_;
};

/// Becomes ready when an actor ends, with why.
template <class Handle>
answer<void> end_of(const Handle& whom) {
  auto promise = std::make_shared<std::promise<result<void>>>();
  answer<void> coming{promise->get_future().share()};
  caf::actor_cast<caf::actor>(whom)->attach_functor([promise](const caf::error& why) {
    if (why)
      promise->set_value(fail(from_caf(why)));
    else
      promise->set_value({});
  });
  return coming;
}

}  // namespace troupe::test
