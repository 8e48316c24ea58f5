#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <caf/actor_control_block.hpp>

#include <troupe/actors/commands/admission.hpp>
#include <troupe/actors/commands/caller_cache.hpp>
#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/commands/performance_monitor.hpp>
#include <troupe/actors/commands/registry.hpp>
#include <troupe/actors/commands/resolver.hpp>
#include <troupe/actors/commands/work_schedule.hpp>
#include <troupe/actors/commands/worker.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

/// The state behind `dispatcher_actor`. The steps up to admission are in dispatcher.cpp, running
/// and the passing of time in dispatcher_run.cpp, cancelling in dispatcher_cancel.cpp, the
/// register and what links ask in dispatcher_service.cpp.
class dispatcher_state {
public:
  using interface = dispatcher_actor;
  static constexpr const char* name = "dispatcher";

  dispatcher_state(interface::pointer self, const dispatcher_config& config, const log_target& log);

  interface::behavior_type make_behavior();

private:
  using clock_type = std::chrono::steady_clock;
  using time_point = clock_type::time_point;

  /// Names a request to whoever may cancel it: its sender, by a ticket that is not 0.
  struct request_origin {
    caf::actor_id sender = caf::invalid_actor_id;
    std::uint64_t ticket = 0;

    friend bool operator==(const request_origin&, const request_origin&) = default;
  };
  struct origin_hash {
    std::size_t operator()(const request_origin& origin) const noexcept {
      return std::hash<std::uint64_t>{}(origin.ticket * 0x9e3779b97f4a7c15u ^ origin.sender);
    }
  };
  /// A request that a handler was asked for.
  struct handled_request {
    command_handler_actor handler;
    std::uint64_t ticket;
  };
  /// Where a request is until it is answered.
  using request_place = std::variant<queue_ticket, work_schedule::work_id, handled_request>;

  /// A request that has passed validation.
  struct accepted_request {
    command_index index;
    std::shared_ptr<const command_spec> spec;
    arguments given;
    principal_ptr caller;
    trace_id trace;
    time_point deadline;
    request_origin origin;
  };
  struct waiting_request {
    accepted_request request;
    reply_to<value> reply;
  };
  /// A function that waits for a worker or runs on one.
  struct function_run {
    waiting_request asked;
    std::shared_ptr<const command_function> function;
    time_point started;
    std::stop_source stop{};
  };
  using stored_handler =
      std::variant<inline_handler, std::shared_ptr<const command_function>, command_handler_actor>;

  // -- the steps ----------------------------------------------------------------------------------
  template <class Answer>
  caf::result<Answer> execute(execute_command& wanted);
  result<value> run_inline(const inline_handler& function, const registered_command& command,
                           execute_command& wanted, time_point deadline, time_point started);

  // -- running ------------------------------------------------------------------------------------
  void start(waiting_request asked, time_point now);
  void ask_handler(const command_handler_actor& handler, waiting_request asked, time_point now);
  void give_out_work(time_point now);
  void finish_function(function_done& done);
  void record(const command_index& index, const std::string& command, command_outcome outcome,
              time_point started, time_point now);
  void release(const admission_release& freed, time_point now);
  void answer(waiting_request& asked, result<value> outcome);
  void keep_place(const request_origin& origin, request_place place);
  void forget_place(const request_origin& origin);
  void cancel(std::uint64_t ticket);
  void cancel_waiting(queue_ticket ticket);

  // -- time ---------------------------------------------------------------------------------------
  void expire();
  void expire(queue_ticket ticket);
  void end_early(const work_schedule::unwanted_work& unwanted, command_outcome outcome,
                 time_point now);
  void schedule_expiry();
  caf::result<void> stop(const stop_commands& order);
  void turn_away_all_who_wait();
  void check_stopped(time_point now);

  // -- the register -------------------------------------------------------------------------------
  result<void> add(add_command& offered);
  void remove(const std::string& command);
  bool is_handled_by(const std::string& command, caf::actor_id handler) const;
  command_list list(const list_commands& wanted, const permit* by) const;
  result<command_spec> describe(const describe_command& wanted, const permit* by) const;
  result<metrics_list> metrics(const get_metrics& wanted) const;

  // -- over links ---------------------------------------------------------------------------------
  caf::result<payload> serve(service_call& call);

  interface::pointer self_;
  registry registry_;
  resolver resolver_;
  caller_cache callers_;
  admission admission_;
  work_schedule schedule_;
  performance_monitor monitor_;
  std::shared_ptr<spdlog::logger> log_;
  std::vector<stored_handler> handlers_;  ///< By the slot of the command's index.
  std::unordered_map<std::uint64_t, waiting_request>
      waiting_;  ///< By ticket; bounded by admission.
  std::unordered_map<work_schedule::work_id, function_run>
      functions_;  ///< Those that the schedule knows.
  std::vector<worker_actor> workers_;
  /// Of those requests that may be cancelled; bounded as the requests are.
  std::unordered_map<request_origin, request_place, origin_hash> places_;
  std::uint64_t last_invocation_ = 0;
  bool stopping_ = false;
  std::optional<caf::typed_response_promise<void>> stopped_;  ///< Until it is answered.
  time_point stop_by_;
  bool expiry_scheduled_ = false;
};

/// The error for whoever has cancelled a request.
error cancelled(const std::string& command);
/// The error for a caller whose capabilities are malformed.
error malformed_capabilities();

// -- the steps ------------------------------------------------------------------------------------

namespace detail {

inline caf::result<value> to_answer(result<value> outcome, const value*) {
  return reply(std::move(outcome));
}
inline caf::result<payload> to_answer(result<value> outcome, const payload*) {
  if (!outcome) return to_caf(std::move(outcome.error()));
  return payload{{std::move(*outcome).msgpack()}};
}

}  // namespace detail

template <class Answer>
caf::result<Answer> dispatcher_state::execute(execute_command& wanted) {
  const time_point now = self_->clock().now();
  if (stopping_) return to_caf({error_code::unavailable, "the node is being stopped", {}});
  auto* caller = callers_.find(wanted.caller);
  if (caller == nullptr) return to_caf(malformed_capabilities());

  const auto resolved = resolver_.resolve(wanted.command, [&](const registered_command& each) {
    return caller->rights().decide(each).allowed;
  });
  if (!resolved) return to_caf(resolved.error());
  const registered_command& command = **resolved;
  const auto turn_away = [&](error why, command_outcome outcome) -> caf::result<Answer> {
    monitor_.record_unstarted(command.index, command.spec->name, outcome);
    return to_caf(std::move(why));
  };

  if (!caller->may_run(command))
    return turn_away(caller->rights().denial(command), command_outcome::denied);
  if (auto valid = command.arguments.validate(wanted.arguments); !valid)
    return turn_away(std::move(valid.error()), command_outcome::invalid);

  const auto limit = wanted.deadline.count() > 0 ? std::min(wanted.deadline, command.spec->timeout)
                                                 : command.spec->timeout;
  const time_point deadline = now + limit;
  const auto& handler = handlers_[command.index.slot];
  const bool needs_worker =
      std::holds_alternative<std::shared_ptr<const command_function>>(handler);
  const auto verdict =
      needs_worker && schedule_.is_full()
          ? admission_verdict{rejected{rejection_reason::node_full, admission::blind_retry}}
          : admission_.offer(command.index, deadline, now);
  if (const auto* no = std::get_if<rejected>(&verdict))
    return turn_away(to_error(*no, command.spec->name), command_outcome::rejected);

  // What runs inside the dispatcher has always ended before the next request, so it never waits.
  if (const auto* function = std::get_if<inline_handler>(&handler))
    return detail::to_answer(run_inline(*function, command, wanted, deadline, now),
                             static_cast<const Answer*>(nullptr));

  const auto& sender = self_->current_sender();
  const auto origin = sender ? request_origin{sender->id(), wanted.ticket} : request_origin{};
  auto promise = self_->template make_response_promise<Answer>();  // takes the sender
  waiting_request asked{{command.index, command.spec, std::move(wanted.arguments), wanted.caller,
                         wanted.trace, deadline, origin},
                        reply_to<value>{promise}};
  if (const auto* wait = std::get_if<queued>(&verdict)) {
    keep_place(origin, wait->ticket);
    waiting_.emplace(wait->ticket.number, std::move(asked));
    schedule_expiry();
  } else {
    start(std::move(asked), now);
  }
  return promise;
}

}  // namespace troupe
