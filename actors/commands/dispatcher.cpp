// What the dispatcher is asked.

#include <troupe/actors/commands/dispatcher.hpp>

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

dispatcher_state::dispatcher_state(interface::pointer self, const dispatcher_config& config,
                                   const log_target& log)
    : self_(self),
      desk_({config.max_commands, {config.max_waiting, config.max_workers, config.handler_grace}}),
      log_(log.logger("commands")) {
  watched_.attach(self_);
}

dispatcher_state::interface::behavior_type dispatcher_state::make_behavior() {
  return {
      [this](execute_command& wanted) { return execute<value>(wanted); },
      [this](const cancel_request& gone) {
        carry_out(desk_.cancel(origin_of(gone.ticket), now()));
      },
      [this](add_command& offered) { return reply(add(offered)); },
      [this](const remove_commands& gone) {
        for (const auto& name : gone.names) clear(name, desk_.remove(name, now()));
      },
      [this](const retract_commands& gone) {
        for (const auto& name : gone.names) clear(name, desk_.retract(name, gone.handler, now()));
      },
      [this](const list_commands& wanted) { return desk_.list(wanted.prefix); },
      [this](const describe_command& wanted) { return reply(desk_.describe(wanted.command)); },
      [this](const get_metrics& wanted) { return reply(desk_.metrics(wanted.command)); },
      [this](reset_metrics) { desk_.reset_metrics(); },
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

// -- requests -------------------------------------------------------------------------------------

template <class Answer>
caf::result<Answer> dispatcher_state::execute(execute_command& wanted) {
  const auto now = this->now();
  request_effects effects;
  const auto admitted = desk_.admit({.command = wanted.command,
                                     .given = wanted.arguments,
                                     .caller = wanted.caller,
                                     .callers_time = wanted.deadline,
                                     .origin = origin_of(wanted.ticket)},
                                    now, effects);
  if (!admitted) return to_caf(admitted.error());
  const auto& handler = handlers_[admitted->command->index.slot];
  if (admitted->request == 0)
    return reply_as<Answer>(
        run_inline(std::get<inline_handler>(handler).run, wanted, *admitted, now));
  return reply_later_as<Answer, value>(self_, [&](reply_to<value> reply) {
    held_.emplace(admitted->request,
                  held_request{handler, std::move(wanted.arguments), wanted.caller, wanted.trace,
                               admitted->deadline, std::move(reply)});
    carry_out(std::move(effects));
  });
}
// dispatcher_service.cpp uses this one.
template caf::result<payload> dispatcher_state::execute<payload>(execute_command& wanted);

result<value> dispatcher_state::run_inline(const command_function& function,
                                           execute_command& wanted,
                                           const command_desk::admitted& admitted,
                                           time_point started) {
  auto outcome = call_function(function, wanted.arguments,
                               {wanted.caller->name, wanted.trace, admitted.deadline});
  desk_.end_inline(*admitted.command, outcome, started, now());
  return outcome;
}

/// An anonymous sender cannot cancel, nor can one that gave no ticket.
request_origin dispatcher_state::origin_of(std::uint64_t ticket) const {
  if (ticket == 0) return {};
  const auto sender = sender_id(self_);
  return sender != caf::invalid_actor_id ? request_origin{sender, ticket} : request_origin{};
}

// -- commands -------------------------------------------------------------------------------------

result<void> dispatcher_state::add(add_command& offered) {
  using kind = execution_place::kind;
  const auto* actor = std::get_if<command_handler_actor>(&offered.handler);
  const execution_place place = actor != nullptr ? execution_place{kind::handler, (*actor)->id()}
                                : std::holds_alternative<worker_handler>(offered.handler)
                                    ? execution_place{kind::worker}
                                    : execution_place{kind::dispatcher};
  const auto name = offered.spec.name;
  const auto index = desk_.add(std::move(offered.spec), std::move(offered.checks), place);
  if (!index) return fail(index.error());
  if (handlers_.size() <= index->slot) handlers_.resize(index->slot + 1);
  auto& handler = handlers_[index->slot];
  if (actor != nullptr) {
    handler = *actor;
    watched_.watch(self_, *actor, [this, ended = (*actor)->id()](const caf::error&) {
      carry_out(desk_.end_handler(ended, now()));
    });
  } else if (auto* function = std::get_if<worker_handler>(&offered.handler)) {
    handler = std::make_shared<const command_function>(std::move(function->run));
  } else {
    handler = std::get<inline_handler>(std::move(offered.handler));
  }
  log_->debug("command.added command={}", name);
  return {};
}

void dispatcher_state::clear(const std::string& command,
                             std::optional<command_desk::removal> removed) {
  if (!removed) return;
  handlers_[removed->index.slot] = {};
  carry_out(std::move(removed->effects));
  log_->debug("command.removed command={}", command);
}

caf::result<void> dispatcher_state::stop(const stop_commands& order) {
  const auto began = now();
  auto effects = desk_.stop(began + order.deadline, began);
  if (!effects) return to_caf(std::move(effects.error()));
  return reply_later<void>(self_, [&](reply_to<void> to) {
    stopped_ = std::move(to);
    carry_out(std::move(*effects));
  });
}

// -- the actor ------------------------------------------------------------------------------------

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
