#pragma once

#include <atomic>
#include <future>
#include <optional>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/outside.hpp>
#include <troupe/runtime/function_keeper.hpp>
#include <troupe/runtime/host.hpp>
#include <troupe/runtime/node.hpp>

namespace troupe {

/// What a host owns. The actor system is declared first, so that it is destroyed last.
struct host::impl {
  /// Of an actor that need not wait for a disk or a function.
  static constexpr std::chrono::milliseconds answer_deadline{10'000};

  impl();

  /// Starts the node. Sets `left_behind` when that fails and a part of the node does not stop.
  result<void> start(config given);
  /// Stops everything within the node's deadline. @returns what blocked.
  std::vector<std::string> stop();

  /// Asks an actor of the node and waits on the calling thread. `Answer` is `void` for an empty
  /// answer.
  template <class Answer, class Handle, class Message>
  result<Answer> ask(const Handle& to, std::chrono::milliseconds deadline, Message message) const {
    if (!running) return fail(error_code::unavailable, "the host has been stopped");
    return ask_and_wait<Answer>(*system, to, deadline, std::move(message));
  }

  system_config system_settings;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<troupe::node> node;
  function_keeper functions;
  principal_ptr caller;
  std::shared_ptr<std::promise<stop_request>> stop_requested;
  std::shared_future<stop_request> wanted_stop;
  std::promise<std::vector<std::string>> stopped;
  std::shared_future<std::vector<std::string>>
      stop_outcome;  ///< The same for all threads that stop it.
  std::atomic<bool> running =
      false;                 ///< Calls may come from any thread while another stops the host.
  bool left_behind = false;  ///< Something did not stop: its threads go on using this object.
};

}  // namespace troupe
