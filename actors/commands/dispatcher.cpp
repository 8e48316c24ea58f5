// A request's way in: resolve, permit, validate, admit.

#include <troupe/actors/commands/dispatcher.hpp>

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

error malformed_capabilities() {
  return {error_code::permission_denied, "the caller's capabilities are malformed", {}};
}

dispatcher_state::dispatcher_state(interface::pointer self, const dispatcher_config& config,
                                   const log_target& log)
    : self_(self),
      registry_(config.max_commands),
      resolver_(registry_),
      requests_({config.max_waiting, config.max_workers, config.handler_grace}),
      monitor_(config.max_commands),
      log_(log.logger("commands")) {
  watched_.attach(self_);
}

dispatcher_state::interface::behavior_type dispatcher_state::make_behavior() {
  return {
      [this](execute_command& wanted) { return execute<value>(wanted); },
      [this](const cancel_request& gone) {
        carry_out(requests_.cancel(origin_of(gone.ticket), now()));
      },
      [this](add_command& offered) { return reply(add(offered)); },
      [this](const remove_commands& gone) {
        for (const auto& name : gone.names) remove(name);
      },
      [this](const retract_commands& gone) {
        for (const auto& name : gone.names)
          if (is_handled_by(name, gone.handler)) remove(name);
      },
      [this](const list_commands& wanted) { return list(wanted, nullptr); },
      [this](const describe_command& wanted) { return reply(describe(wanted, nullptr)); },
      [this](const get_metrics& wanted) { return reply(metrics(wanted)); },
      [this](reset_metrics) { monitor_.reset_metrics(); },
      [this](service_call& call) { return serve(call); },
      [this](const service_notification& notification) {
        log_->warn("command.notification_refused caller={} method={}",
                   printable_quoted(notification.caller->name, 64),
                   printable_quoted(notification.method, 64));
      },
      [this](const stop_commands& order) { return stop(order); },
      [this](function_done& done) { finish(done.execution, std::move(done.outcome)); },
      [this](tick) { expire(); },
  };
}

/// Resolves, permits and validates. The pointer is valid until the command is removed.
result<const registered_command*> dispatcher_state::accept(execute_command& wanted) {
  if (requests_.is_stopping()) return fail(error_code::unavailable, "the node is being stopped");
  auto* caller = callers_.find(wanted.caller);
  if (caller == nullptr) return fail(malformed_capabilities());

  auto resolved = resolver_.resolve(wanted.command, [&](const registered_command& each) {
    return caller->rights().allows(each);
  });
  if (!resolved) return resolved;
  const registered_command& command = **resolved;
  if (!caller->may_run(command))
    return fail(refuse(command, command_outcome::denied, caller->rights().denial(command)));
  if (auto valid = command.arguments.validate(wanted.arguments); !valid)
    return fail(refuse(command, command_outcome::invalid, std::move(valid.error())));
  return resolved;
}

result<value> dispatcher_state::run_inline(const inline_handler& function,
                                           const registered_command& command,
                                           execute_command& wanted, time_point deadline,
                                           time_point started) {
  auto outcome =
      call_function(function.run, wanted.arguments, {wanted.caller->name, wanted.trace, deadline});
  const auto ended = now();
  monitor_.record_command(command.index, command.spec->name, ended - started, outcome_of(outcome));
  requests_.end_inline(command.index, ended - started, ended);
  return outcome;
}

result<open_requests::opened> dispatcher_state::open(const registered_command& command,
                                                     const execute_command& wanted,
                                                     time_point deadline, time_point now) {
  const auto* actor = std::get_if<command_handler_actor>(&handlers_[command.index.slot]);
  auto verdict = requests_.open(
      {.command = command.index,
       .spec = command.spec,
       .handler = actor != nullptr ? std::optional<handler_id>{(*actor)->id()} : std::nullopt,
       .origin = origin_of(wanted.ticket),
       .deadline = deadline},
      now);
  if (const auto* no = std::get_if<rejected>(&verdict)) return fail(reject(command, *no));
  return std::get<open_requests::opened>(std::move(verdict));
}

error dispatcher_state::reject(const registered_command& command, const rejected& verdict) {
  return refuse(command, command_outcome::rejected, to_error(verdict, command.spec->name));
}

/// Counts a request that was not admitted.
error dispatcher_state::refuse(const registered_command& command, command_outcome outcome,
                               error why) {
  monitor_.record_unstarted(command.index, command.spec->name, outcome);
  return why;
}

/// An anonymous sender cannot cancel.
request_origin dispatcher_state::origin_of(std::uint64_t ticket) const {
  const auto sender = sender_id(self_);
  return sender != caf::invalid_actor_id ? request_origin{sender, ticket} : request_origin{};
}

dispatcher_actor spawn_dispatcher(caf::actor_system& system, const dispatcher_config& config,
                                  const log_target& log) {
  return spawn_shell<dispatcher_state>(system, config, log);
}

child_spec dispatcher_child(caf::actor_system& system, const dispatcher_config& config,
                            const log_target& log, on_started<dispatcher_actor> started) {
  auto made = make_child(
      "dispatcher", [&system, config, log] { return spawn_dispatcher(system, config, log); },
      std::move(started));
  made.farewell = farewell<stop_commands>();
  return made;
}

}  // namespace troupe
