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
      admission_(config.max_waiting),
      schedule_(config.max_workers, config.max_waiting),
      monitor_(config.max_commands),
      log_(log.logger("commands")) {}

dispatcher_state::interface::behavior_type dispatcher_state::make_behavior() {
  return {
      [this](execute_command& wanted) { return execute<value>(wanted); },
      [this](const cancel_request& gone) { cancel(gone.ticket); },
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
      [this](function_done& done) { finish_function(done); },
      [this](tick) { expire(); },
  };
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
