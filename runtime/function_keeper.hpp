#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/context/local_types.hpp>
#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>

namespace troupe {

/// A command that a program runs without waiting, and the callback for its outcome. The callback is
/// called exactly once: with the outcome, or with `unavailable` when this object is destroyed
/// before there is one.
class pending_call {
public:
  using callback = std::function<void(result<value>)>;

  /// @param limit The deadline for the dispatcher's answer.
  pending_call(dispatcher_actor dispatcher, execute_command wanted, std::chrono::milliseconds limit,
               callback done)
      : dispatcher_(std::move(dispatcher)),
        wanted_(std::move(wanted)),
        limit_(limit),
        done_(std::move(done)) {}
  pending_call(const pending_call&) = delete;
  pending_call& operator=(const pending_call&) = delete;
  ~pending_call();

  const dispatcher_actor& dispatcher() const noexcept { return dispatcher_; }
  const std::string& command() const noexcept { return wanted_.command; }
  /// The request to the dispatcher. Call it once.
  execute_command take() { return std::move(wanted_); }
  std::chrono::milliseconds limit() const noexcept { return limit_; }
  /// Calls the callback. Only the first call has an effect.
  void finish(result<value> outcome);

private:
  dispatcher_actor dispatcher_;
  execute_command wanted_;
  std::chrono::milliseconds limit_;
  callback done_;
};

/// Runs a command whose caller does not wait.
struct start_call {
  std::shared_ptr<pending_call> call;
};

/// Owns the actors of a host that call functions of the program: those of watches, and the
/// callbacks of commands. A stop ends them, waits at most until its deadline, and names those whose
/// function does not return.
using function_keeper = caf::typed_actor<
    // Takes this watcher over until it ends.
    caf::result<void>(watch_context),
    // Runs a command and calls the callback with its outcome.
    caf::result<void>(start_call),
    // Ends all watchers, waits for the callbacks, and ends itself. Answered with the functions that
    // have not returned within the deadline.
    caf::result<stop_report>(stop_children),
    // The deadline of a stop.
    caf::result<void>(tick)>;

/// Starts a keeper without functions. It ends after a stop. Never fails.
function_keeper spawn_function_keeper(caf::actor_system& system);

}  // namespace troupe

#define TROUPE_RUNTIME_TYPES(X) X(troupe_runtime, troupe::start_call)

TROUPE_LOCAL_TYPES(troupe_runtime, 1290, TROUPE_RUNTIME_TYPES)
