#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/message.hpp>
#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/type_ids.hpp>

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

/// How a stop went.
struct stop_report {
  /// What did not end in time, in the order of stopping: the name of a child, with what it said of
  /// itself if it did.
  std::vector<std::string> blocked;
};

/// Asks for the end of all children, in reverse order of their start, within `deadline` for all
/// together. A farewell or an exit may take at most half of what is then left, so that a child that
/// blocks leaves time to those after it; and at least 20 ms, so that a child that blocks when
/// nothing is left adds 40 ms. Refused with `unavailable` while a stop is under way.
struct stop_children {
  std::chrono::milliseconds deadline{10'000};
};

/// Why a tree has to be stopped: an essential child has ended.
struct child_failed {
  std::string name;
  std::string reason;
};
/// Told of it.
using failure_watcher = std::function<void(const child_failed&)>;

/// Starts actors in order, watches them, and stops them in reverse order within bounded time.
using supervisor_tree = caf::typed_actor<
    // Answered when all have ended or their deadlines have passed; the supervisor then ends too.
    caf::result<stop_report>(stop_children)>;

/// @param on_failure called from the supervisor, once; must not block.
supervisor_tree spawn_supervisor_tree(caf::actor_system& system, std::vector<child_spec> children,
                                      failure_watcher on_failure, const log_target& log);

}  // namespace troupe

CAF_BEGIN_TYPE_ID_BLOCK(troupe_kernel, caf::first_custom_type_id + 1190)
CAF_ADD_TYPE_ID(troupe_kernel, (troupe::stop_children))
CAF_ADD_TYPE_ID(troupe_kernel, (troupe::stop_report))
CAF_END_TYPE_ID_BLOCK(troupe_kernel)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::stop_children)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::stop_report)
