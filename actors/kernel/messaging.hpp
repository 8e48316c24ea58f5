#pragma once

#include <functional>
#include <unordered_map>
#include <utility>

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/timespan.hpp>

namespace troupe {

/// Sends and forgets. For facts, ticks and notifications; whatever needs an answer is asked.
template <class Self, class Handle, class Message>
void tell(Self* self, const Handle& to, Message&& message) {
  self->send(to, std::forward<Message>(message));
}

/// Sends from outside any actor.
template <class Handle, class Message>
void tell(const Handle& to, Message&& message) {
  caf::anon_send(to, std::forward<Message>(message));
}

/// Asks an actor to end, without waiting. From inside or outside of any actor.
template <class Handle>
void dismiss(const Handle& whom) {
  caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
}

/// An answer that is on its way. Exactly one of the two handlers runs, at the latest when the
/// deadline passes.
template <class Response>
class pending_answer {
public:
  explicit pending_answer(Response response) : response_(std::move(response)) {}

  /// @param on_value Takes the answer, or nothing when the answer is empty. @param on_error Takes a
  /// `troupe::error`.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    std::move(response_).then(std::move(on_value),
                              [on_error = std::move(on_error)](const caf::error& failure) mutable {
                                on_error(from_caf(failure));
                              });
  }

private:
  Response response_;
};

/// Asks an actor and waits, without blocking, at most `deadline` and at most a day.
template <class Self, class Handle, class Duration, class Message>
auto ask(Self* self, const Handle& to, Duration deadline, Message&& message) {
  return pending_answer{
      self->request(to, bounded_timespan(deadline), std::forward<Message>(message))};
}

/// Tells the actor itself something later, after a day at the latest.
template <class Self, class Duration, class Message>
void tick_after(Self* self, Duration delay, Message&& message) {
  self->delayed_send(self, bounded_timespan(delay), std::forward<Message>(message));
}

/// Watches other actors and says when they end. One per actor; bounded by the number of actors
/// watched.
class watch_list {
public:
  using on_end = std::function<void(const caf::error& reason)>;

  /// Installs the handler for ends. Call once, before `watch`.
  template <class Self>
  void attach(Self* self) {
    self->set_down_handler([this](const caf::down_msg& down) {
      auto found = watched_.extract(down.source.id());
      if (!found.empty()) found.mapped()(down.reason);
    });
  }

  template <class Self, class Handle>
  void watch(Self* self, const Handle& whom, on_end then) {
    watched_[caf::actor_cast<caf::strong_actor_ptr>(whom)->id()] = std::move(then);
    self->monitor(whom);
  }

private:
  std::unordered_map<caf::actor_id, on_end> watched_;
};

}  // namespace troupe
