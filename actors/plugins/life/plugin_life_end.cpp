// How a launch of a plugin ends, what follows from it, and how the plugin stops.

#include <troupe/actors/plugins/life/plugin_life.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto exit_patience = 2s;  // for a process that has closed its connection
constexpr auto crash_end_deadline = 30s;
constexpr std::chrono::milliseconds longest_retry_delay = 60s;
constexpr std::size_t max_message_bytes = 1024;
constexpr std::size_t max_detail_bytes = 64 * 1024;

error stopped_error() { return {error_code::unavailable, "the plugin has stopped", {}}; }

}  // namespace

error cut_error(error from_plugin) {
  from_plugin.message.resize(utf8_prefix(from_plugin.message, max_message_bytes).size());
  if (from_plugin.detail.size() > max_detail_bytes) from_plugin.detail.clear();
  return from_plugin;
}

// -- what happens to a launch ---------------------------------------------------------------------

life_effects plugin_life::exited(const exit_status& status, const std::string& last_output) {
  life_effects out;
  if (is_connected())
    crash(out,
          {error_code::plugin_crashed, describe_exit(status, last_output, launch_.reached), {}},
          status.is_success() ? exit_reason::normal : exit_reason::abnormal);
  return out;
}

life_effects plugin_life::exceeded(const std::string& what) {
  life_effects out;
  if (!is_connected()) return out;
  out.emplace_back(life_effect::audit{"plugin.exceeded", manifest_->name, what});
  crash(out, {error_code::limit_exceeded, what, {}});
  return out;
}

life_effects plugin_life::connection_closed() {
  life_effects out;
  // The process is probably ending by itself, and its exit status says why.
  if (is_connected())
    crash(out, {error_code::plugin_crashed, quoted_name() + " closed its connection", {}},
          exit_reason::abnormal, exit_patience);
  return out;
}

life_effects plugin_life::protocol_violated(const error& how) {
  life_effects out;
  if (!is_connected()) return out;
  out.emplace_back(life_effect::audit{"plugin.violation", manifest_->name, how.message});
  crash(out, {how.code, quoted_name() + " broke the protocol: " + how.message, {}});
  return out;
}

life_effects plugin_life::given_up(const error& why) {
  life_effects out;
  if (is_connected()) crash(out, {why.code, quoted_name() + " is given up: " + why.message, {}});
  return out;
}

std::string plugin_life::describe_exit(const exit_status& status, const std::string& last_output,
                                       stage reached) const {
  auto text = quoted_name() + " ended with " + to_string(status);
  if (reached == stage::running) return text;
  // The author of a plugin that never ran needs to know more.
  const bool is_silent = status.is_success() && reached == stage::connected;
  if (is_silent) text += " before it opened its session; does it call plugin.run()?";
  if (!last_output.empty()) text += (is_silent ? " It said: " : ", it said: ") + last_output;
  return text;
}

void plugin_life::crash(life_effects& out, error reason, exit_reason kind,
                        std::chrono::milliseconds patience) {
  // During the stop this is no crash. The plugin's answer is not awaited any more.
  if (phase_ == plugin_phase::stopping) {
    if (!stop_.is_ending) end_for_stop(out);
    return;
  }
  if (phase_ != plugin_phase::starting && phase_ != plugin_phase::running) return;
  reason = cut_error(std::move(reason));
  // A start that is awaited fails with this reason. Only other launches are repeated.
  const bool may_restart = phase_ == plugin_phase::running || !start_is_awaited_;
  const auto reached = launch_.reached;
  problem_ = reason.message;
  phase_ = plugin_phase::failed;
  disconnect(out, {error_code::plugin_crashed, reason.message, {}});
  crash_ = crash_state{.reason = std::move(reason),
                       .kind = kind,
                       .reached = reached,
                       .may_restart = may_restart,
                       .patience = patience};
  end_crashed(out);
  if (patience.count() == 0) report_crash(out);
}

void plugin_life::report_crash(life_effects& out) {
  TROUPE_ASSERT(crash_.has_value(), "only a crash is reported");
  if (std::exchange(crash_->is_reported, true)) return;
  const auto& reason = crash_->reason;
  out.emplace_back(life_effect::log{log_severity::warning, "plugin.ended",
                                    "reason=" + printable_quoted(reason.message)});
  out.emplace_back(life_effect::audit{"plugin.ended", manifest_->name, reason.message});
  if (crash_->may_restart) return;
  retract_all(out);
  answer_starts(out, fail(reason));
}

void plugin_life::end_crashed(life_effects& out) {
  TROUPE_ASSERT(crash_.has_value(), "only a crashed process is ended so");
  crash_->retry_at.reset();
  out.emplace_back(life_effect::end_process{
      .cause = end_cause::crash, .patience = crash_->patience, .deadline = crash_end_deadline});
}

life_effects plugin_life::ended(end_cause cause, const plugin_ended& end, time_point now,
                                double jitter) {
  life_effects out;
  if (cause == end_cause::stop) {
    stop_.outcome = result<void>{};
    complete_stop(out);
    return out;
  }
  if (!crash_ || crash_->retry_at) return out;
  if (!crash_->is_reported && end.status) {
    crash_->reason.message = describe_exit(*end.status, end.last_output, crash_->reached);
    crash_->kind = end.status->is_success() ? exit_reason::normal : exit_reason::abnormal;
  }
  problem_ = crash_->reason.message;
  report_crash(out);
  const auto past = *std::exchange(crash_, std::nullopt);
  if (start_is_awaited_)
    launch(out, now);
  else if (past.may_restart)
    decide_restart(out, past.reason, past.kind, now, jitter);
  return out;
}

/// The next launch must wait until nothing of this one is left. Each further attempt to end it
/// waits longer, since an attempt may hold up the launcher and with it every other plugin.
life_effects plugin_life::end_failed(end_cause cause, const error& why, time_point now) {
  life_effects out;
  if (cause == end_cause::stop) {
    stop_.outcome = fail(why);
    complete_stop(out);
    return out;
  }
  if (!crash_ || crash_->retry_at) return out;
  report_crash(out);
  crash_->retry_at = now + crash_->retry_delay;
  crash_->retry_delay = std::min(crash_->retry_delay * 2, longest_retry_delay);
  problem_ = quoted_name() + " has not ended: " + why.message;
  answer_starts(out, fail(why.code, problem_));
  if (std::exchange(crash_->is_stuck, true)) return out;
  out.emplace_back(life_effect::log{log_severity::error, "plugin.not_ended",
                                    "reason=" + printable_quoted(why.message)});
  out.emplace_back(life_effect::audit{"plugin.not_ended", manifest_->name, why.message});
  retract_all(out);
  return out;
}

void plugin_life::decide_restart(life_effects& out, const error& reason, exit_reason kind,
                                 time_point now, double jitter) {
  const auto decision = restarts_.on_exit(kind, now, jitter);
  if (decision.action == restart_action::restart) {
    restart_at_ = now + decision.delay;
    ++restart_count_;
    out.emplace_back(life_effect::audit{"plugin.restarted", manifest_->name, reason.message});
    out.emplace_back(life_effect::wake{decision.delay});
    return;
  }
  retract_all(out);
  if (decision.action == restart_action::leave) return;
  phase_ = plugin_phase::quarantined;
  problem_ = "ended too often; the last time: " + reason.message;
  out.emplace_back(life_effect::log{log_severity::error, "plugin.quarantined",
                                    "reason=" + printable_quoted(reason.message)});
  out.emplace_back(life_effect::audit{"plugin.quarantined", manifest_->name, reason.message});
}

void plugin_life::disconnect(life_effects& out, error reason) {
  if (std::exchange(launch_.reached, stage::unconnected) == stage::unconnected) return;
  launch_.process = 0;
  out.emplace_back(life_effect::disconnect{std::move(reason)});
}

// -- the stop -------------------------------------------------------------------------------------

life_effects plugin_life::stop_answered() {
  life_effects out;
  if (phase_ == plugin_phase::stopping && !stop_.is_ending) end_for_stop(out);
  return out;
}

void plugin_life::end_for_stop(life_effects& out) {
  stop_.is_ending = true;
  disconnect(out, stopped_error());
  out.emplace_back(
      life_effect::end_process{.cause = end_cause::stop,
                               .grace = manifest_->deadlines.stop,
                               .deadline = manifest_->deadlines.stop + stop_end_slack});
}

/// Waits for the answers to all offers: an ended supervisor could not retract a command that the
/// dispatcher accepts late.
void plugin_life::complete_stop(life_effects& out) {
  if (!stop_.outcome || open_offers_ > 0 || phase_ == plugin_phase::stopped) return;
  retract_all(out);
  phase_ = plugin_phase::stopped;
  const auto& outcome = *stop_.outcome;
  out.emplace_back(life_effect::audit{"plugin.stopped", manifest_->name,
                                      outcome ? "operator" : outcome.error().message});
  out.emplace_back(life_effect::answer_stops{outcome});
  out.emplace_back(life_effect::quit{});
}

}  // namespace troupe
