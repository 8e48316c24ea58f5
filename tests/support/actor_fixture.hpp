#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>

#include <spdlog/sinks/base_sink.h>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/runtime/node.hpp>
#include <troupe/tests/support/eventually.hpp>

namespace troupe::test {

using namespace std::chrono_literals;

/// How long something may take that happens by itself, on a busy machine.
inline constexpr auto patience = 20s;

/// Call before a test answers for an actor outside of the actor's turn: CAF would hand the answer
/// to the execution unit of the latest turn, which has gone.
template <class Handle>
void leave_turn(const Handle& whom) {
  static_cast<caf::local_actor*>(caf::actor_cast<caf::abstract_actor*>(whom))->context(nullptr);
}

/// What an actor answers, or will answer.
template <class T>
class answer {
public:
  explicit answer(std::shared_future<result<T>> coming) : coming_(std::move(coming)) {}

  bool ready() const { return coming_.wait_for(0s) == std::future_status::ready; }
  /// Waits. @throws std::runtime_error when no answer comes.
  const result<T>& get() const {
    if (coming_.wait_for(patience) != std::future_status::ready)
      throw std::runtime_error{"an actor does not answer"};
    return coming_.get();
  }
  /// @throws as `get`, and when the answer is an error.
  const auto& value() const requires(!std::is_void_v<T>) { return get().value(); }
  /// The error's code; `none` when there is none.
  error_code code() const { return get() ? error_code::none : get().error().code; }
  /// The error's message; empty when there is none.
  std::string problem() const { return get() ? std::string{} : get().error().message; }

private:
  std::shared_future<result<T>> coming_;
};

/// An actor system whose owned actors end with it.
class system_fixture {
public:
  system_fixture(const system_fixture&) = delete;
  system_fixture& operator=(const system_fixture&) = delete;

  caf::actor_system& caf() { return *system_; }

  /// Ends this actor with the system, whatever the test did to it.
  template <class Handle>
  Handle own(Handle made) {
    owned_.push_back(caf::actor_cast<caf::actor>(made));
    return made;
  }

  /// Asks an actor for a `T`, from an actor of its own.
  template <class T, class Handle, class Message>
  answer<T> ask(const Handle& to, Message message) {
    auto promise = std::make_shared<std::promise<result<T>>>();
    answer<T> made{promise->get_future().share()};
    caf().spawn([to, promise, message = std::move(message)](caf::event_based_actor* self) {
      const auto failed = [promise](const caf::error& why) {
        promise->set_value(fail(from_caf(why)));
      };
      auto asked = self->request(to, caf::infinite, message);
      if constexpr (std::is_void_v<T>)
        std::move(asked).then([promise] { promise->set_value({}); }, failed);
      else
        std::move(asked).then([promise](T& got) { promise->set_value(std::move(got)); }, failed);
    });
    return made;
  }

protected:
  explicit system_fixture(std::function<std::unique_ptr<caf::actor_system_config>()> make_config) {
    register_messages();
    config_ = make_config();
    system_ = std::make_unique<caf::actor_system>(*config_);
  }
  ~system_fixture() = default;

  void end_owned() {
    for (auto each = owned_.rbegin(); each != owned_.rend(); ++each)
      caf::anon_send_exit(*each, caf::exit_reason::kill);
    owned_.clear();
  }

private:
  std::unique_ptr<caf::actor_system_config> config_;
  std::unique_ptr<caf::actor_system> system_;
  std::vector<caf::actor> owned_;
};

/// Actors run when the test says so, one after the other, and time is what the test makes of it.
/// Not for detached actors and brokers.
class virtual_system : public system_fixture {
public:
  virtual_system()
      : system_fixture([] {
          auto made = std::make_unique<caf::actor_system_config>();
          made->set("caf.scheduler.policy", "testing");
          return made;
        }) {}
  ~virtual_system() {
    end_owned();
    run();
  }

  /// Runs until nobody has anything to do.
  void run() { coordinator().run(); }
  /// Lets time pass, in steps small enough for whatever repeats itself.
  void pass(std::chrono::milliseconds time) {
    run();
    for (; time > 0ms; time -= step) {
      coordinator().advance_time(std::min(step, time));
      run();
    }
  }

  /// How many timers are set.
  std::size_t timers() {
    const auto& all = coordinator().clock().schedule;
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [](const auto& each) { return !each.second.f.disposed(); }));
  }

  /// Asks, runs, and takes the answer, which must have come without time passing.
  template <class T, class Handle, class Message>
  result<T> demand(const Handle& to, Message message) {
    auto asked = ask<T>(to, std::move(message));
    run();
    if (!asked.ready()) throw std::runtime_error{"an actor does not answer at once"};
    return asked.get();
  }

private:
  static constexpr std::chrono::milliseconds step{5};

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(caf().scheduler());
  }
};

/// Actors run on threads, and connections work.
class real_system : public system_fixture {
public:
  real_system() : system_fixture([] { return std::make_unique<system_config>(); }) {}
  ~real_system() { end_owned(); }
};

/// Keeps what is logged.
class recorded_log {
public:
  log_target target() const { return {sink_, log_format::text, spdlog::level::debug}; }

  /// How many lines contain this text.
  std::size_t count(std::string_view text) const { return sink_->count(text); }
  bool contains(std::string_view text) const { return count(text) > 0; }

private:
  class keeping_sink : public spdlog::sinks::base_sink<std::mutex> {
  public:
    std::size_t count(std::string_view text) {
      const std::lock_guard guard{mutex_};
      return static_cast<std::size_t>(
          std::count_if(lines_.begin(), lines_.end(),
                        [&](const auto& line) { return line.find(text) != std::string::npos; }));
    }

  private:
    void sink_it_(const spdlog::details::log_msg& line) override {
      lines_.emplace_back(line.payload.data(), line.payload.size());
    }
    void flush_() override {}

    std::vector<std::string> lines_;
  };

  std::shared_ptr<keeping_sink> sink_ = std::make_shared<keeping_sink>();
};

/// A party that may do everything.
inline principal_ptr the_host() {
  return std::make_shared<const principal>(
      principal{.name = "host", .kind = principal_kind::host, .capabilities = {}});
}
inline principal_ptr a_plugin(std::string name, std::vector<std::string> capabilities) {
  return std::make_shared<const principal>(principal{.name = std::move(name),
                                                     .kind = principal_kind::plugin,
                                                     .capabilities = std::move(capabilities)});
}

/// A request as it comes over a link.
template <class Params>
service_call call_of(std::string method, const Params& params, principal_ptr caller = the_host(),
                     std::chrono::milliseconds deadline = 5s) {
  return {std::move(caller), std::move(method), {encode(params)}, deadline, {}};
}

template <request_message Request>
service_call call_of(const Request& wanted, principal_ptr caller = the_host(),
                     std::chrono::milliseconds deadline = 5s) {
  return call_of(std::string{Request::method}, wanted, std::move(caller), deadline);
}

}  // namespace troupe::test
