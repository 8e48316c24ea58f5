#include <troupe/actors/commands/command_desk.hpp>

#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

error malformed_capabilities() {
  return {error_code::permission_denied, "the caller's capabilities are malformed", {}};
}

}  // namespace

command_desk::command_desk(const limits& bounds)
    : registry_(bounds.max_commands),
      resolver_(registry_),
      requests_(bounds.requests),
      monitor_(bounds.max_commands) {}

// -- the register ---------------------------------------------------------------------------------

result<command_index> command_desk::add(command_spec spec, std::vector<custom_check> checks,
                                        execution_place place) {
  const auto running = spec.concurrency;
  const auto waiting = spec.queue;
  auto index = registry_.add(std::move(spec), std::move(checks));
  if (!index) return index;
  requests_.add_command(*index, running, waiting);
  if (places_.size() <= index->slot) places_.resize(index->slot + 1);
  places_[index->slot] = place;
  return index;
}

std::optional<command_desk::removal> command_desk::remove(std::string_view command,
                                                          time_point now) {
  const auto index = registry_.remove(command);
  if (!index) return std::nullopt;
  return removal{*index, counted(requests_.remove_command(*index, now))};
}

std::optional<command_desk::removal> command_desk::retract(std::string_view command, handler_id by,
                                                           time_point now) {
  const auto* known = registry_.find(command);
  if (known == nullptr) return std::nullopt;
  const auto& place = places_[known->index.slot];
  if (place.where != execution_place::kind::handler || place.handler != by) return std::nullopt;
  return remove(command, now);
}

command_list command_desk::list(std::string_view prefix) const { return list(prefix, nullptr); }

result<command_list> command_desk::list_for(const principal_ptr& caller, std::string_view prefix) {
  const auto rights = rights_of(caller);
  if (!rights) return fail(rights.error());
  return list(prefix, *rights);
}

command_list command_desk::list(std::string_view prefix, const permit* by) const {
  command_list all;
  for (const auto& spec : registry_.list()) {
    if (!spec->name.starts_with(prefix)) continue;
    const auto* known = registry_.find(spec->name);
    TROUPE_ASSERT(known != nullptr, "a listed command is known");
    if (by == nullptr || by->allows(*known)) all.commands.push_back(*spec);
  }
  return all;
}

result<command_spec> command_desk::describe(std::string_view command) const {
  return describe(command, nullptr);
}

result<command_spec> command_desk::describe_for(const principal_ptr& caller,
                                                std::string_view command) {
  const auto rights = rights_of(caller);
  if (!rights) return fail(rights.error());
  return describe(command, *rights);
}

result<command_spec> command_desk::describe(std::string_view command, const permit* by) const {
  const auto found = resolver_.look_up(
      command, [by](const registered_command& each) { return by == nullptr || by->allows(each); });
  if (!found) return fail(found.error());
  return *(*found)->spec;
}

result<metrics_list> command_desk::metrics(std::string_view command) const {
  if (command.empty()) return metrics_list{monitor_.get_all_command_metrics()};
  if (auto one = monitor_.get_command_metrics(command)) return metrics_list{{std::move(*one)}};
  if (auto known = resolver_.resolve(command); !known) return fail(known.error());
  return metrics_list{};
}

result<const permit*> command_desk::rights_of(const principal_ptr& caller) {
  const auto* known = callers_.find(caller);
  if (known == nullptr) return fail(malformed_capabilities());
  return &known->rights();
}

// -- the way in -----------------------------------------------------------------------------------

result<command_desk::admitted> command_desk::admit(const command_call& wanted, time_point now,
                                                   request_effects& effects) {
  if (requests_.is_stopping()) return fail(error_code::unavailable, "the node is stopping");
  auto* caller = callers_.find(wanted.caller);
  if (caller == nullptr) return fail(malformed_capabilities());

  const auto resolved = resolver_.resolve(wanted.command, [&](const registered_command& each) {
    return caller->rights().allows(each);
  });
  if (!resolved) return fail(resolved.error());
  const registered_command& command = **resolved;
  if (!caller->may_run(command))
    return fail(refuse(command, command_outcome::denied, caller->rights().denial(command)));
  if (auto valid = command.arguments.validate(wanted.given); !valid)
    return fail(refuse(command, command_outcome::invalid, std::move(valid.error())));

  const auto deadline = deadline_of(*command.spec, wanted.callers_time, now);
  const auto& place = places_[command.index.slot];
  if (place.where == execution_place::kind::dispatcher) {
    if (const auto no = requests_.begin_inline(command.index, deadline, now))
      return fail(reject(command, *no));
    return admitted{&command, deadline, 0};
  }
  const bool has_handler = place.where == execution_place::kind::handler;
  auto verdict =
      requests_.open({.command = command.index,
                      .spec = command.spec,
                      .handler = has_handler ? std::optional{place.handler} : std::nullopt,
                      .origin = wanted.origin,
                      .deadline = deadline},
                     now);
  if (const auto* no = std::get_if<rejected>(&verdict)) return fail(reject(command, *no));
  auto& opened = std::get<open_requests::opened>(verdict);
  effects = counted(std::move(opened.effects));
  return admitted{&command, deadline, opened.request};
}

error command_desk::reject(const registered_command& command, const rejected& verdict) {
  return refuse(command, command_outcome::rejected, to_error(verdict, command.spec->name));
}

/// Counts a call that was not admitted.
error command_desk::refuse(const registered_command& command, command_outcome outcome, error why) {
  monitor_.record_unstarted(command.index, command.spec->name, outcome);
  return why;
}

void command_desk::end_inline(const registered_command& command, const result<value>& outcome,
                              time_point started, time_point ended) {
  monitor_.record_command(command.index, command.spec->name, ended - started, outcome_of(outcome));
  requests_.end_inline(command.index, ended - started, ended);
}

// -- on the way -----------------------------------------------------------------------------------

request_effects command_desk::counted(request_effects effects) {
  for (const auto& each : effects) {
    const auto* answer = std::get_if<request_effect::answer>(&each);
    if (answer == nullptr) continue;
    if (answer->ran)
      monitor_.record_command(answer->command, answer->spec->name, *answer->ran, answer->counted);
    else
      monitor_.record_unstarted(answer->command, answer->spec->name, answer->counted);
  }
  return effects;
}

request_effects command_desk::finish(request_id request, result<value> outcome, time_point now) {
  return counted(requests_.finish(request, std::move(outcome), now));
}

request_effects command_desk::cancel(const request_origin& origin, time_point now) {
  return counted(requests_.cancel(origin, now));
}

request_effects command_desk::end_handler(handler_id handler, time_point now) {
  return counted(requests_.end_handler(handler, now));
}

request_effects command_desk::expire(time_point now) { return counted(requests_.expire(now)); }

result<request_effects> command_desk::stop(time_point stop_by, time_point now) {
  auto effects = requests_.stop(stop_by, now);
  if (!effects) return effects;
  return counted(std::move(*effects));
}

}  // namespace troupe
