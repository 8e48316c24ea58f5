#pragma once

#include <sys/socket.h>

#include <exception>
#include <type_traits>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/io/scribe.hpp>
#include <caf/io/typed_broker.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/type_ids.hpp>

namespace troupe {

/// An error that comes back for a message that nobody waits for does not end the actor that has
/// sent it, as CAF would have it: whoever needs to know asks.
inline void outlive_failed_tells(caf::scheduled_actor& self) {
  self.set_error_handler([](caf::scheduled_actor*, caf::error&) {});
}

/// What a handler throws ends its actor with an error that says so, which whoever watches the actor
/// is told, and whoever has asked is answered. CAF's own way would print it on the standard output
/// of the host.
inline void end_by_exceptions(caf::scheduled_actor& self) {
  self.set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& thrown) {
    return to_caf(from_exception(thrown));
  });
}

/// One turn of closing; see `close_later`.
template <class Servant>
void end_connection(caf::io::network::multiplexer& loop, Servant servant, int turn) {
  constexpr int last_turn = 16;  // a turn sends as much as the socket's buffer has room for
  loop.post([&loop, servant = std::move(servant), turn] {
    if (turn == 0) servant->graceful_shutdown();
    if (turn < last_turn)
      end_connection(loop, servant, turn + 1);
    else
      ::shutdown(static_cast<int>(servant->hdl().id()),
                 SHUT_RDWR);  // CAF's handles are the descriptors themselves
  });
}

/// The thin shell around the state of an actor. `State` has
///
///     using interface = caf::typed_actor<...>;      // what may be said to it
///     static constexpr const char* name = "replica"; // for logs
///     State(interface::pointer self, ...);           // everything it depends on
///     interface::behavior_type make_behavior();      // one short handler per message
///
/// and keeps its members private. The state is built by whoever starts the actor, and destroyed
/// when the actor ends.
template <class State>
class actor_shell : public caf::stateful_actor<State, typename State::interface::base> {
public:
  template <class... Args>
  explicit actor_shell(caf::actor_config& config, Args&&... args)
      : caf::stateful_actor<State, typename State::interface::base>(config,
                                                                    std::forward<Args>(args)...) {
    outlive_failed_tells(*this);
    end_by_exceptions(*this);
  }
};

/// Closes a connection or listening socket within the next turns of CAF's I/O loop. Of what is
/// unsent, what the operating system takes in these turns is still sent. Call it on the I/O thread.
///
/// Not in the current turn, because CAF takes opening and closing in one turn for nothing, and
/// keeps the socket open without end. And not by `graceful_shutdown` alone, because CAF then waits
/// without end for a reader of what is unsent, even when the actor system is to end.
template <class Handle>
void close_later(caf::io::abstract_broker& broker, Handle handle) {
  auto servant = broker.take(handle);
  if (!servant) return;
  servant->set_parent(nullptr);  // no more events
  if constexpr (std::is_same_v<Handle, caf::io::accept_handle>)
    broker.backend().post(
        [servant] { servant->halt(); });  // others may listen on with duplicates of the socket
  else
    end_connection(broker.backend(), std::move(servant), 0);
}

/// The same for an actor that owns connections; the interface includes CAF's connection events.
template <class State>
class broker_shell : public caf::stateful_actor<State, typename State::interface::broker_base> {
public:
  template <class... Args>
  explicit broker_shell(caf::actor_config& config, Args&&... args)
      : caf::stateful_actor<State, typename State::interface::broker_base>(
            config, std::forward<Args>(args)...) {
    outlive_failed_tells(*this);
    end_by_exceptions(*this);
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    for (const auto connection : this->connections()) close_later(*this, connection);
    for (auto& doormen = this->get_map(caf::io::accept_handle{}); !doormen.empty();)
      close_later(*this, doormen.begin()->first);
    // CAF's brokers end without closing their mailbox, so what is asked of one that is ending would
    // never be answered. This closes it, as every other actor does.
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

}  // namespace troupe
