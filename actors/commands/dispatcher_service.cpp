// The register of commands, and the methods that links ask of the dispatcher.

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

// -- the register ---------------------------------------------------------------------------------

result<void> dispatcher_state::add(add_command& offered) {
  const auto running = offered.spec.concurrency;
  const auto waiting = offered.spec.queue;
  const auto name = offered.spec.name;
  auto index = registry_.add(std::move(offered.spec), std::move(offered.checks));
  if (!index) return fail(std::move(index.error()));
  requests_.add_command(*index, running, waiting);
  if (handlers_.size() <= index->slot) handlers_.resize(index->slot + 1);
  if (auto* function = std::get_if<worker_handler>(&offered.handler))
    handlers_[index->slot] = std::make_shared<const command_function>(std::move(function->run));
  else if (auto* quick = std::get_if<inline_handler>(&offered.handler))
    handlers_[index->slot] = std::move(*quick);
  else
    offer_from(std::get<command_handler_actor>(offered.handler), index->slot);
  log_->debug("command.added command={}", name);
  return {};
}

void dispatcher_state::offer_from(const command_handler_actor& handler, std::uint32_t slot) {
  handlers_[slot] = handler;
  watched_.watch(self_, handler, [this, ended = handler->id()](const caf::error&) {
    carry_out(requests_.end_handler(ended, now()));
  });
}

void dispatcher_state::remove(const std::string& command) {
  const auto index = registry_.remove(command);
  if (!index) return;
  handlers_[index->slot] = {};
  carry_out(requests_.remove_command(*index, now()));
  log_->debug("command.removed command={}", command);
}

bool dispatcher_state::is_handled_by(const std::string& command, caf::actor_id handler) const {
  const auto* known = registry_.find(command);
  if (known == nullptr) return false;
  const auto* actor = std::get_if<command_handler_actor>(&handlers_[known->index.slot]);
  return actor != nullptr && (*actor)->id() == handler;
}

/// The commands that a caller with these rights may run. All commands without rights given.
command_list dispatcher_state::list(const list_commands& wanted, const permit* by) const {
  command_list all;
  for (const auto& spec : registry_.list()) {
    if (!spec->name.starts_with(wanted.prefix)) continue;
    if (by == nullptr || by->allows(*registry_.find(spec->name))) all.commands.push_back(*spec);
  }
  return all;
}

result<command_spec> dispatcher_state::describe(const describe_command& wanted,
                                                const permit* by) const {
  const auto found = resolver_.look_up(wanted.command, [by](const registered_command& each) {
    return by == nullptr || by->allows(each);
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

namespace {

/// Calls `make` with the caller's rights.
template <class Make>
auto with_rights(caller_cache& callers, const service_call& call, Make&& make)
    -> decltype(make(std::declval<const permit&>())) {
  const auto* caller = callers.find(call.caller);
  if (caller == nullptr) return fail(malformed_capabilities());
  return make(caller->rights());
}

}  // namespace

caf::result<payload> dispatcher_state::serve(service_call& call) {
  using served =
      message_types<execute_request, list_commands, describe_command, get_metrics, reset_metrics>;
  return serve_method(
      served{}, call,
      overloaded{[this](execute_request& wanted, service_call& asked) {
                   execute_command request{std::move(wanted.command),
                                           std::move(wanted.arguments),
                                           asked.caller,
                                           asked.deadline,
                                           asked.trace,
                                           asked.ticket};
                   return execute<payload>(request);
                 },
                 [this](const list_commands& wanted, const service_call& asked) {
                   return with_rights(callers_, asked,
                                      [&](const permit& rights) -> result<command_list> {
                                        return list(wanted, &rights);
                                      });
                 },
                 [this](const describe_command& wanted, const service_call& asked) {
                   return with_rights(callers_, asked, [&](const permit& rights) {
                     return describe(wanted, &rights);
                   });
                 },
                 [this](const get_metrics& wanted, const service_call&) { return metrics(wanted); },
                 [this](reset_metrics, const service_call&) { monitor_.reset_metrics(); }});
}

}  // namespace troupe
