#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/commands/caller_cache.hpp>
#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/commands/open_requests.hpp>
#include <troupe/actors/commands/performance_monitor.hpp>
#include <troupe/actors/commands/registry.hpp>
#include <troupe/actors/commands/resolver.hpp>
#include <troupe/actors/commands/worker.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

/// The state behind `dispatcher_actor`. A request's way in is in dispatcher.cpp, what the ledger
/// `open_requests` then has carried out in dispatcher_run.cpp, the register and the methods for
/// links in dispatcher_service.cpp.
class dispatcher_state {
public:
  using interface = dispatcher_actor;
  static constexpr const char* name = "dispatcher";

  dispatcher_state(interface::pointer self, const dispatcher_config& config, const log_target& log);

  interface::behavior_type make_behavior();

private:
  using time_point = std::chrono::steady_clock::time_point;
  using stored_handler =
      std::variant<inline_handler, std::shared_ptr<const command_function>, command_handler_actor>;

  /// What carrying out the effects for a request needs, until the request is answered.
  struct held_request {
    stored_handler handler;  ///< Never inline.
    arguments given;
    principal_ptr caller;
    trace_id trace;
    time_point deadline;
    reply_to<value> reply;
    std::stop_source stop{std::nostopstate};  ///< Has a state once a function runs.
  };

  time_point now() const { return self_->clock().now(); }

  // -- the way in (dispatcher.cpp) ----------------------------------------------------------------
  template <class Answer>
  caf::result<Answer> execute(execute_command& wanted);
  result<const registered_command*> accept(execute_command& wanted);
  result<value> run_inline(const inline_handler& function, const registered_command& command,
                           execute_command& wanted, time_point deadline, time_point started);
  result<open_requests::opened> open(const registered_command& command,
                                     const execute_command& wanted, time_point deadline,
                                     time_point now);
  error reject(const registered_command& command, const rejected& verdict);
  error refuse(const registered_command& command, command_outcome outcome, error why);
  request_origin origin_of(std::uint64_t ticket) const;

  // -- carrying out (dispatcher_run.cpp) ----------------------------------------------------------
  void carry_out(request_effects effects);
  void carry_out(request_effect::answer& effect);
  void carry_out(request_effect::start_function& effect);
  void carry_out(request_effect::stop_function& effect);
  void carry_out(request_effect::ask_handler& effect);
  void carry_out(request_effect::cancel_at_handler& effect);
  void carry_out(request_effect::log& effect);
  void carry_out(request_effect::report_stop& effect);
  void finish(request_id request, result<value> outcome);
  void expire();
  caf::result<void> stop(const stop_commands& order);
  held_request& held(request_id request);

  // -- the register (dispatcher_service.cpp) ------------------------------------------------------
  result<void> add(add_command& offered);
  void offer_from(const command_handler_actor& handler, std::uint32_t slot);
  void remove(const std::string& command);
  bool is_handled_by(const std::string& command, caf::actor_id handler) const;
  command_list list(const list_commands& wanted, const permit* by) const;
  result<command_spec> describe(const describe_command& wanted, const permit* by) const;
  result<metrics_list> metrics(const get_metrics& wanted) const;

  // -- over links (dispatcher_service.cpp) --------------------------------------------------------
  caf::result<payload> serve(service_call& call);

  interface::pointer self_;
  registry registry_;
  resolver resolver_;
  caller_cache callers_;
  open_requests requests_;
  performance_monitor monitor_;
  std::shared_ptr<spdlog::logger> log_;
  std::vector<stored_handler> handlers_;               ///< By the slot of the command's index.
  std::unordered_map<request_id, held_request> held_;  ///< The unanswered requests of `requests_`.
  std::vector<worker_actor> workers_;
  watch_list watched_;                     ///< Handlers.
  std::optional<reply_to<void>> stopped_;  ///< Until the stop is reported.
  bool tick_scheduled_ = false;
};

/// The error for a caller whose capabilities are malformed.
error malformed_capabilities();

// -- the way in -----------------------------------------------------------------------------------

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
  const time_point now = this->now();
  const auto accepted = accept(wanted);
  if (!accepted) return to_caf(accepted.error());
  const registered_command& command = **accepted;
  const time_point deadline = deadline_of(*command.spec, wanted.deadline, now);
  const auto& handler = handlers_[command.index.slot];
  if (const auto* function = std::get_if<inline_handler>(&handler)) {
    if (const auto no = requests_.begin_inline(command.index, deadline, now))
      return to_caf(reject(command, *no));
    return detail::to_answer(run_inline(*function, command, wanted, deadline, now),
                             static_cast<const Answer*>(nullptr));
  }

  auto opened = open(command, wanted, deadline, now);
  if (!opened) return to_caf(std::move(opened.error()));
  auto promise = self_->template make_response_promise<Answer>();
  held_.emplace(opened->request, held_request{handler, std::move(wanted.arguments), wanted.caller,
                                              wanted.trace, deadline, reply_to<value>{promise}});
  carry_out(std::move(opened->effects));
  return promise;
}

}  // namespace troupe
