#pragma once

#include <functional>
#include <unordered_map>
#include <utility>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>
#include <caf/timespan.hpp>

#include <troupe/actors/kernel/deadlines/asking.hpp>
#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/timespan.hpp>

// How actors talk to each other and end each other. The only place, beside the rest of this folder,
// that names how CAF does it.

namespace troupe {

// -- telling and asking ---------------------------------------------------------------------------

/// Sends without waiting for an answer: facts, ticks and notifications.
template <class Self, class Handle, class Message>
void tell(Self* self, const Handle& to, Message&& message) {
  self->send(to, std::forward<Message>(message));
}

/// Sends from outside of any actor.
template <class Handle, class Message>
void tell(const Handle& to, Message&& message) {
  caf::anon_send(to, std::forward<Message>(message));
}

namespace detail {

/// Calls a function of this signature after the deadline of its request has been removed.
template <class Signature>
struct forget_deadline_first;

template <class... Args>
struct forget_deadline_first<void(Args...)> {
  template <class Asking, class Function>
  static auto wrap(Asking& asker, deadline_token deadline, Function function) {
    return [&asker, deadline, function = std::move(function)](Args... args) mutable {
      asker.forget(deadline);
      function(static_cast<Args>(args)...);
    };
  }
};

}  // namespace detail

/// An answer that is on its way.
template <class Asking, class Response>
class pending_answer {
public:
  pending_answer(Asking& asker, deadline_token deadline, Response response)
      : asker_(asker), deadline_(deadline), response_(std::move(response)) {}

  /// Exactly one of the two handlers runs, at the latest when the deadline passes (or up to 10 ms
  /// later when the actor has many requests). None runs when the actor ends first.
  /// @param on_value Takes the answer, or nothing when the answer is empty. @param on_error Takes a
  /// `troupe::error`: the answer's, or `deadline_exceeded`, or `unavailable` when the actor that
  /// was asked has ended.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    using signature = typename caf::detail::get_callable_trait_t<OnValue>::fun_sig;
    std::move(response_).then(
        detail::forget_deadline_first<signature>::wrap(asker_, deadline_, std::move(on_value)),
        [&asker = asker_, deadline = deadline_,
         on_error = std::move(on_error)](const caf::error& failure) mutable {
          asker.forget(deadline);
          on_error(from_caf(failure));
        });
  }

private:
  Asking& asker_;
  deadline_token deadline_;
  Response response_;
};

/// Asks an actor, without blocking. The answer is waited for at most `deadline`, and at most a day.
/// Call `then` on what it returns. @param self An actor of one of the kernel's spawn functions.
template <class Self, class Handle, class Duration, class Message>
[[nodiscard]] auto ask(Self* self, const Handle& to, Duration deadline, Message&& message) {
  auto& asker = asking_part(self);
  auto response = self->request(to, caf::infinite, std::forward<Message>(message));
  const auto token = asker.expect(response.id(), self->clock().now() + bounded_timespan(deadline));
  return pending_answer{asker, token, std::move(response)};
}

/// Tells the actor itself something later, after a day at the latest.
template <class Self, class Duration, class Message>
void tick_after(Self* self, Duration delay, Message&& message) {
  self->delayed_send(self, bounded_timespan(delay), std::forward<Message>(message));
}

// -- ending ---------------------------------------------------------------------------------------

/// Ends the calling actor when its running handler returns. Its watchers see no error.
template <class Self>
void end_normally(Self* self) {
  self->quit();
}

/// The same with a reason, which its watchers see.
template <class Self>
void end_with(Self* self, error why) {
  self->quit(to_caf(std::move(why)));
}

/// Asks another actor to end, with a reason that its watchers see. Does not wait.
template <class Handle>
void end_with(const Handle& whom, error why) {
  if (whom)
    caf::anon_send(caf::actor_cast<caf::actor>(whom),
                   caf::exit_msg{caf::actor_addr{}, to_caf(std::move(why))});
}

/// Asks another actor to end because it is no longer needed. Does not wait. From inside or outside
/// of any actor.
template <class Handle>
void dismiss(const Handle& whom) {
  caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
}

/// Binds the life of the calling actor to that of another: when one of them ends with an error, the
/// other ends too.
template <class Self, class Handle>
void bind_life(Self* self, const Handle& whom) {
  self->link_to(whom);
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

  /// Calls `then` once, when this actor ends or when it has ended already. Watching it again
  /// replaces `then`.
  template <class Self, class Handle>
  void watch(Self* self, const Handle& whom, on_end then) {
    if (watched_.insert_or_assign(whom.id(), std::move(then)).second) self->monitor(whom);
  }

private:
  std::unordered_map<caf::actor_id, on_end> watched_;
};

// -- handles --------------------------------------------------------------------------------------

/// The handle of an actor without its interface, as a supervisor keeps it.
template <class Handle>
caf::actor untyped(const Handle& whom) {
  return caf::actor_cast<caf::actor>(whom);
}

/// The same actor by another interface, unchecked: it must have that interface. Where the compiler
/// can check it, write `To{whom}`.
template <class To, class Handle>
To unchecked(const Handle& whom) {
  return caf::actor_cast<To>(whom);
}

/// The sender of the message that is being handled, by an interface that it must have. Empty when
/// the message came from outside of any actor.
template <class To, class Self>
To sender_of_message(Self* self) {
  return caf::actor_cast<To>(self->current_sender());
}

/// The id of that sender, or `caf::invalid_actor_id`.
template <class Self>
caf::actor_id sender_id(Self* self) {
  const auto& sender = self->current_sender();
  return sender ? sender->id() : caf::invalid_actor_id;
}

}  // namespace troupe
