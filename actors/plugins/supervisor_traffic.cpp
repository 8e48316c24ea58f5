// What passes between a plugin and the node, and whether it may.

#include <algorithm>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/plugins/policy/call_check.hpp>
#include <troupe/actors/plugins/supervisor_state.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>

namespace troupe {

namespace {

/// A level that this build does not know counts as info: a newer SDK may have it. Only the node
/// itself logs `critical` lines.
log_severity severity_of(const log_line& line) {
  return std::min(parse_enum<log_severity>(line.level).value_or(log_severity::info),
                  log_severity::error);
}

}  // namespace

// -- into the plugin ------------------------------------------------------------------------------

/// Answers when the plugin has answered, however late, or when nothing can come any more: the
/// plugin is busy with the command until then. The dispatcher keeps the caller's deadline.
void supervisor_state::invoke(const invocation& asked, reply_to<value> to) {
  if (life_.phase() != plugin_phase::running)
    return to(fail(error_code::unavailable,
                   "the plugin " + plugin() + " is " + std::string{name_of(life_.phase())}));
  auto passed_on = asked.command;
  const auto decision = check_provide(setup_.grants.policy(), passed_on.command);
  if (!decision.allowed) {
    deny(decision, passed_on.trace);
    return to(fail(error_code::permission_denied, "the plugin " + plugin() + " may not answer " +
                                                      passed_on.command + ": " + decision.rule));
  }
  passed_on.deadline = std::min(passed_on.deadline, setup_.manifest->deadlines.call);
  const auto ticket = asked.ticket;
  const auto called = connected().call(
      invoke_command::method, encode(passed_on), passed_on.deadline,
      [this, ticket, to](result<std::string> answer) mutable {
        invocations_.erase(ticket);
        if (answer)
          to(value::from_msgpack(*answer));
        else
          to(fail(cut_error(std::move(answer.error()))));
      },
      call_patience::until_answer);
  if (!called) return to(fail(called.error()));
  if (ticket != 0) invocations_.emplace(ticket, *called);
}

void supervisor_state::cancel(const cancel_request& gone) {
  const auto found = invocations_.find(gone.ticket);
  if (connection_ && found != invocations_.end()) connection_->cancel(found->second);
}

// -- out of the plugin ----------------------------------------------------------------------------

result<session_grant> supervisor_state::admit(const session_open& opening) const {
  if (opening.kind != session_kind::plugin || opening.name != plugin())
    return fail(error_code::permission_denied, "this connection is for the plugin " + plugin());
  auto answer = setup_.environment.introduction;
  const auto& allowed = setup_.grants.context().allowed_capabilities;
  answer.capabilities = {allowed.begin(), allowed.end()};
  return session_grant{*setup_.grants.caller(), std::move(answer)};
}

result<void> supervisor_state::check_request(const method_rule& rule, std::string_view params,
                                             const rpc::envelope& beside) {
  const auto decision = check_call(setup_.grants.policy(), rule, params);
  if (!decision) return fail(decision.error());
  if (decision->allowed) return {};
  deny(*decision, beside.trace);
  return fail(error_code::permission_denied, "the plugin " + plugin() + " is not allowed " +
                                                 decision->operation + ": " + decision->rule);
}

void supervisor_state::on_session(session_began&) { carry_out(life_.session_opened()); }

void supervisor_state::on_notification(const notification_came& notification) {
  if (!setup_.grants.policy().check(capability_verb::log, {}).allowed) {
    log_lines_.drop();
    return;
  }
  if (!log_lines_.admit()) return;
  if (const auto line = decode_checked<log_line>(notification.params))
    log_->log(to_spdlog(severity_of(*line)), "plugin.log plugin={} line={}", plugin(),
              printable_quoted(line->message));
  else
    log_->warn("plugin.log_refused plugin={} reason={}", plugin(),
               printable_quoted(line.error().message));
}

void supervisor_state::on_refused(const notification_refused& refused) {
  log_->warn("plugin.notification_refused plugin={} method={}", plugin(),
             printable_quoted(refused.method, 64));
}

void supervisor_state::on_more_refused(std::uint64_t count) {
  log_->warn("plugin.notifications_refused plugin={} more={}", plugin(), count);
}

void supervisor_state::on_failure(connection_failed& failed) {
  switch (failed.cause) {
    case failure_cause::opening: return carry_out(life_.opening_refused(std::move(failed.reason)));
    case failure_cause::violation: return carry_out(life_.protocol_violated(failed.reason));
    case failure_cause::overdue: return carry_out(life_.given_up(failed.reason));
    case failure_cause::closed: return carry_out(life_.connection_closed());
  }
}

}  // namespace troupe
