// What a supervisor is asked, and what others learn from it.

#include <troupe/actors/plugins/supervisor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/plugins/supervisor_state.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto audit_deadline = 10s;
constexpr auto check_deadline = 5s;
constexpr std::uint64_t max_log_lines = 100;  // a second
constexpr std::uint64_t max_denials = 20;     // a second, that are recorded one by one

}  // namespace

supervisor_state::supervisor_state(pointer self, supervisor_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      life_(setup_.manifest, setup_.package.native()),
      log_(setup_.environment.log.logger("plugins")),
      random_(std::random_device{}()),
      denials_(max_denials),
      log_lines_(max_log_lines) {}

supervisor_state::~supervisor_state() {
  for (const auto& effect : life_.abandon()) {
    if (const auto* retract = std::get_if<life_effect::retract>(&effect))
      tell(setup_.environment.dispatcher, retract_commands{retract->commands, self_->id()});
    else
      tell(setup_.environment.launcher, end_plugin{.plugin = plugin()});
  }
}

supervisor_state::interface::behavior_type supervisor_state::make_behavior() {
  tick_after(self_, shell::slow_interval, tick::slow);
  return {
      [this](const invocation& asked) {
        return reply_later<value>(self_, [&](reply_to<value> to) { invoke(asked, std::move(to)); });
      },
      [this](const cancel_request& gone) { cancel(gone); },
      [this](plugin_order order) {
        return reply_later<void>(self_, [&](reply_to<void> to) { obey(order, std::move(to)); });
      },
      [this](describe_plugin) { return describe(); },
      [this](const alter_grant& change) { return reply(alter(change)); },
      [this](const check_operation& wanted) {
        return reply_later<permission_decision>(
            self_, [&](reply_to<permission_decision> to) { check(wanted, std::move(to)); });
      },
      [this](const plugin_exited& exit) { carry_out(life_.exited(exit.status, exit.last_output)); },
      [this](const plugin_exceeded& found) { carry_out(life_.exceeded(found.what)); },
      [this](tick pace) { pass_time(pace); },
      [this](const caf::io::new_data_msg& data) {
        if (connection_) connection_->receive(data);
      },
      [this](const caf::io::connection_closed_msg&) { carry_out(life_.connection_closed()); },
  };
}

void supervisor_state::obey(plugin_order order, reply_to<void> to) {
  if (order == plugin_order::start) {
    starting_.push_back(std::move(to));
    carry_out(life_.start(now()));
  } else {
    stopping_.push_back(std::move(to));
    carry_out(life_.stop());
  }
}

result<void> supervisor_state::alter(const alter_grant& change) {
  auto changed = change.what == alter_grant::kind::grant ? setup_.grants.grant(change.text)
                                                         : setup_.grants.revoke(change.text);
  if (!changed) return fail(std::move(changed.error()));
  audit(std::move(changed->event), change.text, std::move(changed->rule));
  carry_out(life_.policy_changed(setup_.grants.policy()));
  if (!connection_ || !connection_->is_open()) return {};
  connection_->set_caller(setup_.grants.caller());
  // The plugin may miss it: its grants are enforced here.
  const auto& now_allowed = setup_.grants.context().allowed_capabilities;
  (void)connection_->notify(grants_changed::method,
                            encode(grants_changed{{now_allowed.begin(), now_allowed.end()}}));
  return {};
}

/// The sandbox answers, by the plugin's one policy, which goes with the question.
void supervisor_state::check(const check_operation& wanted, reply_to<permission_decision> to) {
  ask(self_, setup_.environment.launcher, check_deadline,
      check_by_policy{plugin(), wanted.operation, setup_.grants.snapshot()})
      .then(pass_answer(to), pass_error(to));
}

plugin_info supervisor_state::describe() const {
  const auto& manifest = *setup_.manifest;
  const auto& context = setup_.grants.context();
  const auto* between = life_.problem().empty() || audit_problem_.empty() ? "" : "; ";
  return {
      .name = manifest.name,
      .version = to_string(manifest.version),
      .package = setup_.package.native(),
      .phase = life_.phase(),
      .level = context.permission_level,
      .capabilities = {context.allowed_capabilities.begin(), context.allowed_capabilities.end()},
      .commands = life_.commands(),
      .restarts = life_.restarts(),
      .denials = denials_.total(),
      .process = life_.process(),
      .limits = context.resource_limits,
      .problem = life_.problem() + between + audit_problem_};
}

void supervisor_state::pass_time(tick pace) {
  if (pace == tick::slow) {
    tick_after(self_, shell::slow_interval, tick::slow);
    begin_second();
  }
  carry_out(life_.tick(now()));
  if (connection_) connection_->pass_time(pace);
}

void supervisor_state::begin_second() {
  if (const auto dropped = log_lines_.renew(); dropped > 0)
    log_->warn("plugin.log_dropped plugin={} lines={}", plugin(), dropped);
  if (const auto more = denials_.renew(); more > 0) {
    log_->warn("plugin.denied plugin={} more={}", plugin(), more);
    audit("plugin.denied", std::to_string(more) + " more operations",
          "at most " + std::to_string(max_denials) + " a second are recorded one by one");
  }
}

/// Records a bounded number of denials a second one by one: a plugin must not be able to push
/// everything else out of the log and the audit trail.
void supervisor_state::deny(const permission_decision& decision, trace_id trace) {
  if (!denials_.admit()) return;
  log_->warn("plugin.denied plugin={} operation={} rule={}", plugin(),
             printable_quoted(decision.operation, 1100), printable_quoted(decision.rule, 1100));
  audit("plugin.denied", decision.operation, decision.rule, trace);
}

/// A plugin goes on when its trail cannot be written. The log says so once, the plugin's
/// description until it can be written again.
void supervisor_state::audit(std::string event, std::string subject, std::string rule,
                             trace_id trace) {
  ask(self_, setup_.environment.audit, audit_deadline,
      audit_record{.time_ms = 0,
                   .event = std::move(event),
                   .principal = plugin(),
                   .subject = std::move(subject),
                   .rule = std::move(rule),
                   .trace = trace})
      .then(
          [this] {
            if (!std::exchange(audit_problem_, {}).empty())
              log_->info("plugin.audited_again plugin={}", plugin());
          },
          [this](const error& why) {
            if (audit_problem_.empty())
              log_->error("plugin.not_audited plugin={} reason={}", plugin(),
                          printable_quoted(why.message, 1024));
            audit_problem_ = "the audit trail cannot be written: " + why.message;
          });
}

supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_setup setup) {
  return spawn_io<supervisor_state>(system, std::move(setup));
}

}  // namespace troupe
