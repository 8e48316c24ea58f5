#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/message.hpp>
#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/local_types.hpp>
#include <troupe/actors/kernel/log.hpp>

namespace troupe {

/// What the end of a child means.
enum class child_kind : std::uint8_t {
  essential,    ///< Others hold its handle: when it ends by itself, the watcher is told, who stops
                ///< the tree.
  replaceable,  ///< Nobody holds its handle: it is started again, at most `max_restarts` times in a
                ///< minute.
};

/// A child of a supervisor, as data (after Erlang/OTP's child specifications).
struct child_spec {
  std::string name;
  std::function<caf::actor()> start;
  child_kind kind = child_kind::essential;
  /// Makes what it is asked before it is told to exit, such as to make all durable, from the time
  /// that it has to answer. Answered empty, or with an error that says what keeps it. Nothing for a
  /// child that needs no farewell.
  std::function<caf::message(std::chrono::milliseconds)> farewell;
  std::chrono::milliseconds stop_deadline{
      5'000};  ///< At most, for the farewell and again for the exit.

  static constexpr std::size_t max_restarts = 5;
};

/// Why a tree has to be stopped: an essential child has ended.
struct child_failed {
  std::string name;
  std::string reason;
};
/// Told of it.
using failure_watcher = std::function<void(const child_failed&)>;

/// Starts actors in order, watches them, and stops them in reverse order within bounded time. A
/// farewell or an exit may take at most half of the time that is then left, so that a child that
/// blocks leaves time to those after it; and at least 20 ms, so that a child that blocks when
/// nothing is left adds 40 ms.
using supervisor_tree = caf::typed_actor<
    // Answered when all have ended or their deadlines have passed; the supervisor then ends too.
    caf::result<stop_report>(stop_children)>;

/// @param on_failure called from the supervisor, once; must not block.
supervisor_tree spawn_supervisor_tree(caf::actor_system& system, std::vector<child_spec> children,
                                      failure_watcher on_failure, const log_target& log);

}  // namespace troupe
