#pragma once

#include <utility>

#include <caf/actor_system.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/typed_broker.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/type_ids.hpp>

namespace troupe {

/// The thin shell around the state of an actor. `State` has
///
///     using interface = caf::typed_actor<...>;      // what may be said to it
///     static constexpr const char* name = "replica"; // for logs
///     State(interface::pointer self, ...);           // everything it depends on
///     interface::behavior_type make_behavior();      // one short handler per message
///
/// and keeps its members private. The state is built when the actor starts and destroyed when it ends.
template <class State>
using actor_shell = caf::stateful_actor<State, typename State::interface::base>;

/// The same for an actor that owns connections; the interface includes CAF's connection events.
template <class State>
class broker_shell : public caf::stateful_actor<State, typename State::interface::broker_base> {
public:
  using caf::stateful_actor<State, typename State::interface::broker_base>::stateful_actor;

#if CAF_MAJOR_VERSION == 0 && CAF_MINOR_VERSION < 19
  /// CAF's brokers end without closing their mailbox, so what is asked of one that is ending would never be answered. This
  /// closes it, as every other actor does.
  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    this->close_all();
    return caf::scheduled_actor::cleanup(std::move(reason), host);
  }
#endif
};

/// Starts an actor that shares the scheduler's threads. It must not block.
template <class State, class... Args>
typename State::interface spawn_shell(caf::actor_system& system, Args&&... args) {
  return system.spawn<actor_shell<State>>(std::forward<Args>(args)...);
}

/// Starts an actor on a thread of its own, because the operating system makes it wait: disk, process launch, connect.
template <class State, class... Args>
typename State::interface spawn_blocking(caf::actor_system& system, Args&&... args) {
  return system.spawn<actor_shell<State>, caf::detached>(std::forward<Args>(args)...);
}

/// Starts an actor inside CAF's I/O loop.
template <class State, class... Args>
typename State::interface spawn_io(caf::actor_system& system, Args&&... args) {
  caf::actor_config config{&system.middleman().backend()};
  return system.spawn_impl<broker_shell<State>, caf::no_spawn_options>(config, std::forward<Args>(args)...);
}

}  // namespace troupe
