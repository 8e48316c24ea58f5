#pragma once

#include <atomic>
#include <future>
#include <optional>

#include <caf/scoped_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/runtime/host.hpp>
#include <troupe/runtime/node.hpp>

namespace troupe {

/// What a host owns. The actor system is declared first, so it goes last.
struct host::impl {
  explicit impl(config settings);

  /// Asks an actor of the node and waits on the calling thread. `Answer` is `void` for an empty answer.
  template <class Answer, class Handle, class Message>
  result<Answer> ask(const Handle& to, std::chrono::milliseconds deadline, Message message) const {
    if (!running) return fail(error_code::unavailable, "the host has been stopped");
    caf::scoped_actor self{*system};
    result<Answer> outcome = fail(error_code::internal, "no answer");
    auto pending = self->request(to, deadline, std::move(message));
    const auto failed = [&](const caf::error& why) { outcome = fail(from_caf(why)); };
    if constexpr (std::is_void_v<Answer>) pending.receive([&] { outcome = {}; }, failed);
    else pending.receive([&](Answer& answer) { outcome = std::move(answer); }, failed);
    return outcome;
  }

  system_config settings;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<troupe::node> node;
  principal_ptr caller;
  std::shared_ptr<std::promise<std::string>> stop_requested;
  std::shared_future<std::string> stop_reason;
  std::atomic<bool> running = false;  ///< Calls may come from any thread while another stops the host.
  bool left_behind = false;           ///< Something did not stop: its threads go on using all of this.
};

}  // namespace troupe
