#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/messages/error.hpp>

namespace troupe::bench {

/// How a benchmark makes its requests.
struct pipeline {
  std::size_t requests;   ///< How many are made; at least 1.
  std::size_t in_flight;  ///< How many may be unanswered at any time; at least 1.
};

/// The actor behind `run_pipeline`: makes the next request when an answer has come and was right.
///
/// Requests are plain messages, and so are the answers; they come in the order of the requests. CAF
/// searches an actor's open requests one by one, so with many of them in flight a client that kept
/// them would take longer than what is measured.
template <class Answer, class Handle, class Make, class Verify>
class pipeline_client {
public:
  static constexpr const char* name = "pipeline_client";
  using time_point = std::chrono::steady_clock::time_point;
  using outcome_promise = std::promise<result<time_point>>;

  pipeline_client(caf::event_based_actor* self, Handle to, pipeline plan, Make make, Verify verify,
                  std::shared_ptr<outcome_promise> outcome)
      : self_(self),
        to_(std::move(to)),
        plan_(plan),
        make_(make),
        verify_(verify),
        outcome_(std::move(outcome)) {}

  caf::behavior make_behavior() {
    self_->set_error_handler(
        [this](const caf::error& failure) { finish(fail(from_caf(failure))); });
    tick_after(self_, longest_run, tick::slow);
    while (sent_ < std::min(plan_.in_flight, plan_.requests)) make_request();
    return {
        [this](const Answer& answer) { take(answer); },
        [this](tick) {
          finish(fail(error_code::deadline_exceeded, "it did not finish in two minutes"));
        },
    };
  }

private:
  static constexpr std::chrono::minutes longest_run{2};

  void make_request() { tell(self_, to_, make_(sent_++)); }

  void take(const Answer& answer) {
    if (!verify_(answered_, answer))
      return finish(fail(error_code::corrupt_data,
                         "the answer to request " + std::to_string(answered_) + " is wrong"));
    if (++answered_ == plan_.requests) return finish(std::chrono::steady_clock::now());
    if (sent_ < plan_.requests) make_request();
  }

  void finish(result<time_point> outcome) {
    if (!std::exchange(finished_, true)) outcome_->set_value(std::move(outcome));
    self_->quit();
  }

  caf::event_based_actor* self_;
  Handle to_;
  pipeline plan_;
  Make make_;
  Verify verify_;
  std::shared_ptr<outcome_promise> outcome_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  bool finished_ = false;
};

/// Makes requests of `to` from one actor and waits until all is answered.
/// @param make Makes the request of a number; counted from 0. @param verify Whether the answer to
/// this number is right.
/// @returns requests per second, or the first error or wrong answer.
template <class Answer, class Handle, class Make, class Verify>
result<double> run_pipeline(caf::actor_system& system, const Handle& to, pipeline plan, Make make,
                            Verify verify) {
  using client = pipeline_client<Answer, Handle, Make, Verify>;
  auto outcome = std::make_shared<typename client::outcome_promise>();
  auto finished = outcome->get_future();
  const auto began = std::chrono::steady_clock::now();
  system.spawn<caf::stateful_actor<client>>(to, plan, make, verify, outcome);
  const auto ended = finished.get();
  if (!ended) return fail(ended.error());
  return static_cast<double>(plan.requests) / std::chrono::duration<double>(*ended - began).count();
}

}  // namespace troupe::bench
