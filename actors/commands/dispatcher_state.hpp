#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/commands/command_desk.hpp>
#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/commands/worker.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

/// The state behind `dispatcher_actor`. A `command_desk` decides. Requests come in through
/// dispatcher.cpp, and through dispatcher_service.cpp from links. dispatcher_effects.cpp carries
/// out what the desk decides.
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

  // -- what it is asked (dispatcher.cpp) ----------------------------------------------------------
  /// @tparam Answer `value` for an actor, `payload` for a link.
  template <class Answer>
  caf::result<Answer> execute(execute_command& wanted);
  result<value> run_inline(const command_function& function, execute_command& wanted,
                           const command_desk::admitted& admitted, time_point started);
  result<void> add(add_command& offered);
  void clear(const std::string& command, std::optional<command_desk::removal> removed);
  caf::result<void> stop(const stop_commands& order);
  request_origin origin_of(std::uint64_t ticket) const;

  // -- carrying out (dispatcher_effects.cpp) ------------------------------------------------------
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
  held_request& held(request_id request);

  // -- over links (dispatcher_service.cpp) --------------------------------------------------------
  caf::result<payload> serve(service_call& call);

  interface::pointer self_;
  command_desk desk_;
  std::shared_ptr<spdlog::logger> log_;
  std::vector<stored_handler> handlers_;               ///< By the slot of the command's index.
  std::unordered_map<request_id, held_request> held_;  ///< The unanswered requests of `desk_`.
  std::vector<worker_actor> workers_;
  watch_list watched_;                     ///< Handlers.
  std::optional<reply_to<void>> stopped_;  ///< Until the stop is reported.
  bool tick_scheduled_ = false;
};

}  // namespace troupe
