#pragma once

#include <utility>

#include <caf/disposable.hpp>
#include <caf/error.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message_id.hpp>
#include <caf/sec.hpp>

#include <troupe/actors/kernel/deadlines/deadline_wheel.hpp>
#include <troupe/actors/kernel/deadlines/wake_plan.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

/// The part of an actor that keeps the deadlines of what it asks; see `ask`. `Base` is CAF's actor.
///
/// CAF itself would hand every request with a deadline to one thread, behind a lock, which keeps
/// all of them sorted: 11 % of a pipelined run. Here the actor keeps them, and sets one timer.
template <class Base>
class asking : public Base {
public:
  using time_point = wake_plan::time_point;

  explicit asking(caf::actor_config& config) : Base(config) { this->setf(mark); }

  /// The same object as this part of it. @param self An actor of `spawn_shell` or its like.
  static asking& of(Base* self) {
    TROUPE_ASSERT(self->getf(mark), "only an actor of the kernel's shells asks");
    return *static_cast<asking*>(self);
  }

  /// Answers the request with this response id with an error at its deadline, unless `forget` comes
  /// first.
  deadline_token expect(caf::message_id response, time_point deadline) {
    const auto token = deadlines_.add(deadline, response);
    set_timer(plan_.added(deadline));
    return token;
  }

  /// The answer has come.
  void forget(deadline_token which) { deadlines_.cancel(which); }

protected:
  /// Call when the actor ends.
  void stop_timer() { timer_.dispose(); }

private:
  /// One of CAF's flags for actors that CAF 0.18 does not use.
  static constexpr int mark = 0x4000'0000;

  /// The error takes the way of an answer, so the first of the two is heard and the other is not.
  void wake() {
    const auto now = this->clock().now();
    for (const auto response : deadlines_.expire(now))
      this->eq_impl(response, this->ctrl(), this->context(),
                    caf::make_error(caf::sec::request_timeout));
    set_timer(plan_.rang(now, deadlines_.next()));
  }

  void set_timer(std::optional<time_point> at) {
    if (!at) return;
    timer_.dispose();
    timer_ = this->run_scheduled(*at, [this] { wake(); });
  }

  deadline_wheel<caf::message_id> deadlines_;
  wake_plan plan_;
  caf::disposable timer_;
};

namespace detail {

template <class Base>
asking<Base>& as_asking(asking<Base>* self) {
  return *self;
}

}  // namespace detail

/// The part of an actor that keeps its deadlines. @param self The actor, as its shell or as CAF's
/// actor within the shell.
template <class Self>
auto& asking_part(Self* self) {
  if constexpr (requires { detail::as_asking(self); })
    return detail::as_asking(self);
  else
    return asking<Self>::of(self);
}

}  // namespace troupe
