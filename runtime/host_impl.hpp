#pragma once

#include <atomic>
#include <future>
#include <optional>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/outside.hpp>
#include <troupe/runtime/host.hpp>
#include <troupe/runtime/node.hpp>
#include <troupe/runtime/watch_keeper.hpp>

namespace troupe {

/// What a host owns. The actor system is declared first, so it goes last.
struct host::impl {
  explicit impl(config settings);

  /// Asks an actor of the node and waits on the calling thread. `Answer` is `void` for an empty answer.
  template <class Answer, class Handle, class Message>
  result<Answer> ask(const Handle& to, std::chrono::milliseconds deadline, Message message) const {
    if (!running) return fail(error_code::unavailable, "the host has been stopped");
    return ask_and_wait<Answer>(*system, to, deadline, std::move(message));
  }

  system_config settings;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<troupe::node> node;
  watch_keeper watches;
  principal_ptr caller;
  std::shared_ptr<std::promise<std::string>> stop_requested;
  std::shared_future<std::string> stop_reason;
  std::atomic<bool> running = false;  ///< Calls may come from any thread while another stops the host.
  bool left_behind = false;           ///< Something did not stop: its threads go on using all of this.
};

}  // namespace troupe
