#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/message.hpp>
#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/local_types.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/messaging.hpp>

namespace troupe {

/// What the end of a child means.
enum class child_kind : std::uint8_t {
  essential,    ///< Others hold its handle. Its end is reported, and the tree has to be stopped.
  replaceable,  ///< No actor holds its handle. It is restarted at most `max_restarts` times within
                ///< `restart_period`; after that its end is reported.
};

/// A child of a supervisor, as data (after Erlang/OTP's child specifications).
struct child_spec {
  std::string name;
  /// Starts the child. May return an empty handle when there is nothing to start any more.
  std::function<caf::actor()> start;
  child_kind kind = child_kind::essential;
  /// Makes the child's farewell: a request that it answers before it is asked to end, such as to
  /// make everything durable. Takes the time that the child has. An error as the answer says what
  /// blocks the child. Empty for a child that needs no farewell.
  std::function<caf::message(std::chrono::milliseconds)> farewell;
  /// The most that the farewell may take, and again the end.
  std::chrono::milliseconds stop_deadline{5'000};

  static constexpr std::size_t max_restarts = 5;
  static constexpr std::chrono::minutes restart_period{1};
};

/// Takes the handle of a child when it has started.
template <class Handle>
using on_started = std::function<void(const Handle&)>;

/// A child that `start` starts, as a typed handle, which `started` gets as well.
template <class Handle, class Start>
child_spec make_child(std::string name, Start start, on_started<Handle> started) {
  child_spec made;
  made.name = std::move(name);
  made.start = [start = std::move(start), started = std::move(started)]() mutable {
    const Handle child = start();
    started(child);
    return untyped(child);
  };
  return made;
}

/// A farewell of this type, which takes the time that the child has, if it has a place for that.
template <class Request>
std::function<caf::message(std::chrono::milliseconds)> farewell() {
  return [](std::chrono::milliseconds time) {
    if constexpr (std::is_empty_v<Request>)
      return caf::make_message(Request{});
    else
      return caf::make_message(Request{time});
  };
}

/// Why a tree has to be stopped: an essential child has ended.
struct child_failed {
  std::string name;
  std::string reason;
};
/// Learns that the tree has to be stopped.
using failure_watcher = std::function<void(const child_failed&)>;

/// Starts actors in order, watches them, and stops them in reverse order within bounded time. See
/// `stop_shares` for how the time is divided.
using supervisor_tree = caf::typed_actor<
    // Answered when all children have ended or their deadlines have passed. The supervisor then
    // ends too.
    caf::result<stop_report>(stop_children)>;

/// Starts a tree, which starts the children in order. It ends after a stop. Never fails.
/// @param on_failure Called from the supervisor, at most once. Must not block.
supervisor_tree spawn_supervisor_tree(caf::actor_system& system, std::vector<child_spec> children,
                                      failure_watcher on_failure, const log_target& log);

}  // namespace troupe
