// The register of commands, and what is asked of the dispatcher over links.

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

// -- the register ---------------------------------------------------------------------------------

result<void> dispatcher_state::add(add_command& offered) {
  const auto running = offered.spec.concurrency;
  const auto waiting = offered.spec.queue;
  const auto name = offered.spec.name;
  auto index = registry_.add(std::move(offered.spec), std::move(offered.checks));
  if (!index) return fail(std::move(index.error()));
  admission_.add(*index, running, waiting);
  if (handlers_.size() <= index->slot) handlers_.resize(index->slot + 1);
  if (auto* function = std::get_if<worker_handler>(&offered.handler))
    handlers_[index->slot] = std::make_shared<const command_function>(std::move(function->run));
  else if (auto* quick = std::get_if<inline_handler>(&offered.handler))
    handlers_[index->slot] = std::move(*quick);
  else
    handlers_[index->slot] = std::get<command_handler_actor>(offered.handler);
  log_->debug("command.added command={}", name);
  return {};
}

void dispatcher_state::remove(const std::string& command) {
  const auto index = registry_.remove(command);
  if (!index) return;
  for (const auto& ticket : admission_.remove(*index)) {
    auto gone = waiting_.extract(ticket.number);
    monitor_.record_unstarted(*index, command, command_outcome::rejected);
    answer(gone.mapped(), fail(error_code::unavailable, "the command " + command + " was removed"));
  }
  handlers_[index->slot] = {};
  log_->debug("command.removed command={}", command);
}

bool dispatcher_state::is_handled_by(const std::string& command, caf::actor_id handler) const {
  const auto* known = registry_.find(command);
  if (known == nullptr) return false;
  const auto* actor = std::get_if<command_handler_actor>(&handlers_[known->index.slot]);
  return actor != nullptr && (*actor)->id() == handler;
}

/// The commands that a caller with these rights may run; without any, all.
command_list dispatcher_state::list(const list_commands& wanted, const permit* by) const {
  command_list all;
  for (const auto& spec : registry_.list()) {
    if (!spec->name.starts_with(wanted.prefix)) continue;
    if (by == nullptr || by->decide(*registry_.find(spec->name)).allowed)
      all.commands.push_back(*spec);
  }
  return all;
}

result<command_spec> dispatcher_state::describe(const describe_command& wanted,
                                                const permit* by) const {
  const auto found = resolver_.look_up(wanted.command, [by](const registered_command& each) {
    return by == nullptr || by->decide(each).allowed;
  });
  if (!found) return fail(found.error());
  return *(*found)->spec;
}

result<metrics_list> dispatcher_state::metrics(const get_metrics& wanted) const {
  if (wanted.command.empty()) return metrics_list{monitor_.get_all_command_metrics()};
  if (auto one = monitor_.get_command_metrics(wanted.command))
    return metrics_list{{std::move(*one)}};
  if (auto known = resolver_.resolve(wanted.command); !known) return fail(known.error());
  return metrics_list{};
}

// -- over links -----------------------------------------------------------------------------------

caf::result<payload> dispatcher_state::serve(service_call& call) {
  if (call.method == "command.execute") return serve_execute(call);
  if (call.method == "command.list")
    return serve_with<list_commands>(call, [&](const auto& wanted) -> result<command_list> {
      const auto* caller = callers_.find(call.caller);
      if (caller == nullptr) return fail(malformed_capabilities());
      return list(wanted, &caller->rights());
    });
  if (call.method == "command.describe")
    return serve_with<describe_command>(call, [&](const auto& wanted) -> result<command_spec> {
      const auto* caller = callers_.find(call.caller);
      if (caller == nullptr) return fail(malformed_capabilities());
      return describe(wanted, &caller->rights());
    });
  if (call.method == "metrics.get")
    return serve_with<get_metrics>(call, [&](const auto& wanted) { return metrics(wanted); });
  if (call.method == "metrics.reset") {
    monitor_.reset_metrics();
    return done_payload();
  }
  return to_caf({error_code::not_found, "the dispatcher does not serve " + call.method, {}});
}

caf::result<payload> dispatcher_state::serve_execute(service_call& call) {
  auto wanted = decode_checked<execute_request>(call.params.bytes);
  if (!wanted) return to_caf(std::move(wanted.error()));
  execute_command request{std::move(wanted->command),
                          std::move(wanted->arguments),
                          call.caller,
                          call.deadline,
                          call.trace,
                          call.ticket};
  return execute<payload>(request);
}

}  // namespace troupe
