#pragma once

#include <exception>
#include <utility>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/typed_broker.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/kernel/connection.hpp>
#include <troupe/actors/kernel/deadlines/asking.hpp>
#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/type_ids.hpp>

namespace troupe {

/// CAF ends an actor when a message that it sent without waiting cannot be delivered. Ignore such
/// failures: what must arrive is asked.
inline void outlive_failed_tells(caf::scheduled_actor& self) {
  self.set_error_handler([](caf::scheduled_actor*, caf::error&) {});
}

/// Ends an actor whose handler throws with an error that says what was thrown. Its watchers see
/// that error, and the request is answered with it. CAF's own handler prints to the host's standard
/// output.
inline void end_by_exceptions(caf::scheduled_actor& self) {
  self.set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& thrown) {
    return to_caf(from_exception(thrown));
  });
}

/// The thin shell around the state of an actor. `State` has
///
///     using interface = caf::typed_actor<...>;       // the messages that it takes
///     static constexpr const char* name = "replica"; // for logs
///     State(interface::pointer self, ...);           // everything that it depends on
///     interface::behavior_type make_behavior();      // one short handler per message
///
/// and keeps its members private. The state is built on the thread that starts the actor, and
/// destroyed when the actor ends.
template <class State>
class actor_shell : public caf::stateful_actor<State, asking<typename State::interface::base>> {
public:
  template <class... Args>
  explicit actor_shell(caf::actor_config& config, Args&&... args)
      : caf::stateful_actor<State, asking<typename State::interface::base>>(
            config, std::forward<Args>(args)...) {
    outlive_failed_tells(*this);
    end_by_exceptions(*this);
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    this->stop_timer();
    return caf::stateful_actor<State, asking<typename State::interface::base>>::cleanup(
        std::move(reason), host);
  }
};

/// The same for an actor inside CAF's I/O loop, which may own connections. Its interface includes
/// CAF's connection events.
template <class State>
class broker_shell
    : public caf::stateful_actor<State, asking<typename State::interface::broker_base>> {
public:
  template <class... Args>
  explicit broker_shell(caf::actor_config& config, Args&&... args)
      : caf::stateful_actor<State, asking<typename State::interface::broker_base>>(
            config, std::forward<Args>(args)...) {
    outlive_failed_tells(*this);
    end_by_exceptions(*this);
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    this->stop_timer();
    for (const auto& handle : this->connections()) close_later(*this, handle);
    for (auto& doormen = this->get_map(caf::io::accept_handle{}); !doormen.empty();)
      close_later(*this, doormen.begin()->first);
    // CAF's brokers end without closing their mailbox, so a request to a broker that is ending
    // would never be answered. Close it as every other actor does.
    return caf::scheduled_actor::cleanup(std::move(reason), host);
  }
};

/// Starts an actor that shares the scheduler's threads. It must not block.
template <class State, class... Args>
typename State::interface spawn_shell(caf::actor_system& system, Args&&... args) {
  return system.spawn<actor_shell<State>>(std::forward<Args>(args)...);
}

/// Starts an actor on a thread of its own, because the operating system makes it wait: disk,
/// process launch, connect.
template <class State, class... Args>
typename State::interface spawn_blocking(caf::actor_system& system, Args&&... args) {
  return system.spawn<actor_shell<State>, caf::detached>(std::forward<Args>(args)...);
}

/// Starts an actor inside CAF's I/O loop.
template <class State, class... Args>
typename State::interface spawn_io(caf::actor_system& system, Args&&... args) {
  caf::actor_config config{&system.middleman().backend()};
  return system.spawn_impl<broker_shell<State>, caf::no_spawn_options>(config,
                                                                       std::forward<Args>(args)...);
}

/// Starts an actor inside CAF's I/O loop that takes over a connection of `self`, whose state gets
/// the connection's handle before `args`.
template <class State, class Self, class... Args>
auto spawn_on_connection(Self* self, caf::io::connection_handle handle, Args&&... args) {
  auto scribe = self->take(handle);
  caf::actor_config config{self->context()};
  auto made = self->system().template spawn_class<broker_shell<State>, caf::no_spawn_options>(
      config, handle, std::forward<Args>(args)...);
  auto* broker = caf::actor_cast<caf::abstract_actor*>(made);
  static_cast<broker_shell<State>*>(broker)->move_scribe(std::move(scribe));
  return made;
}

}  // namespace troupe
