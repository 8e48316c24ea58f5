// How a plugin starts, and what its policy and time change.

#include <troupe/actors/plugins/life/plugin_life.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/commands/registry.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/plugins/policy/call_check.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto launch_slack = 2000ms;  // the launcher may be busy with another plugin
constexpr auto offer_deadline = 30s;   // of the dispatcher, whatever the plugin's own deadlines are

}  // namespace

plugin_life::plugin_life(std::shared_ptr<const plugin_manifest> manifest, std::string package)
    : manifest_(std::move(manifest)), package_(std::move(package)), restarts_(manifest_->restart) {}

std::string plugin_life::quoted_name() const { return "the plugin " + manifest_->name; }

// -- orders ---------------------------------------------------------------------------------------

life_effects plugin_life::start(time_point now) {
  life_effects out;
  start_is_awaited_ = true;
  switch (phase_) {
    case plugin_phase::running: answer_starts(out, {}); break;
    case plugin_phase::stopping:
    case plugin_phase::stopped:
      answer_starts(out, fail(error_code::unavailable, quoted_name() + " is being stopped"));
      break;
    case plugin_phase::starting: break;
    case plugin_phase::discovered:
    case plugin_phase::failed:
    case plugin_phase::quarantined:
      restarts_.clear();
      // While the last launch is being ended, its end starts the next.
      if (!crash_ || crash_->retry_at) launch(out, now);
      break;
  }
  return out;
}

life_effects plugin_life::stop() {
  life_effects out;
  if (phase_ == plugin_phase::stopped) {
    TROUPE_ASSERT(stop_.outcome.has_value(), "a stopped plugin has an outcome of its stop");
    out.emplace_back(life_effect::answer_stops{*stop_.outcome});
    return out;
  }
  if (phase_ == plugin_phase::stopping) return out;
  const bool can_be_asked = phase_ == plugin_phase::running && is_connected();
  phase_ = plugin_phase::stopping;
  restart_at_.reset();
  if (crash_) report_crash(out);
  crash_.reset();
  retract_all(out);
  answer_starts(out, fail(error_code::unavailable, quoted_name() + " is being stopped"));
  if (can_be_asked)
    out.emplace_back(life_effect::ask_stop{manifest_->deadlines.stop});
  else
    end_for_stop(out);
  return out;
}

life_effects plugin_life::abandon() {
  life_effects out;
  if (phase_ == plugin_phase::stopped) return out;
  retract_all(out);
  out.emplace_back(life_effect::end_process{.cause = end_cause::stop, .deadline = stop_end_slack});
  return out;
}

// -- the launch -----------------------------------------------------------------------------------

void plugin_life::launch(life_effects& out, time_point now) {
  TROUPE_ASSERT(!is_connected(), "a plugin has one process at a time");
  phase_ = plugin_phase::starting;
  problem_.clear();
  restart_at_.reset();
  crash_.reset();
  const auto deadline = manifest_->deadlines.start + launch_slack;
  launch_ = {.number = launch_.number + 1, .start_by = now + deadline};
  out.emplace_back(life_effect::launch{launch_.number, deadline});
}

life_effects plugin_life::launched(launch_number number, plugin_launched process) {
  life_effects out;
  if (!awaits(number, stage::unconnected)) return out;
  launch_.reached = stage::connected;
  launch_.process = process.process;
  std::string layers;
  for (const auto& layer : process.layers)
    layers += (layers.empty() ? "" : "; ") + layer.name + ": " + layer.mechanism;
  out.emplace_back(life_effect::connect{number, std::move(process)});
  out.emplace_back(life_effect::log{
      log_severity::info, "plugin.launched",
      "process=" + std::to_string(launch_.process) + " layers=" + printable_quoted(layers)});
  return out;
}

life_effects plugin_life::launch_failed(launch_number number, error why) {
  life_effects out;
  if (awaits(number, stage::unconnected)) crash(out, std::move(why));
  return out;
}

life_effects plugin_life::session_opened() {
  life_effects out;
  if (!awaits(launch_.number, stage::connected)) return out;
  launch_.reached = stage::opened;
  out.emplace_back(life_effect::ask_commands{launch_.number, manifest_->deadlines.start});
  return out;
}

life_effects plugin_life::opening_refused(error why) {
  life_effects out;
  if (is_connected()) crash(out, std::move(why));
  return out;
}

life_effects plugin_life::commands_received(launch_number number,
                                            std::vector<command_spec> commands,
                                            const permissions& policy) {
  life_effects out;
  if (!awaits(number, stage::opened)) return out;
  retract_all(out);  // of the launch before, whose names stayed known
  if (auto checked = check_offer(out, commands, policy); !checked) {
    crash(out, std::move(checked.error()));
    return out;
  }
  launch_.reached = stage::offering;
  launch_.awaited_offers = commands.size();
  open_offers_ += commands.size();
  if (commands.empty()) become_running(out);
  for (auto& spec : commands) {
    spec.timeout = std::min(spec.timeout, manifest_->deadlines.call);
    out.emplace_back(life_effect::offer_command{number, std::move(spec), offer_deadline});
  }
  return out;
}

result<void> plugin_life::check_offer(life_effects& out, const std::vector<command_spec>& commands,
                                      const permissions& policy) const {
  if (commands.size() > max_commands)
    return fail(error_code::limit_exceeded,
                quoted_name() + " offers " + std::to_string(commands.size()) +
                    " commands; at most " + std::to_string(max_commands) + " are accepted");
  for (const auto& spec : commands) {
    if (spec.name.size() > registry::max_name_bytes)
      return fail(error_code::limit_exceeded,
                  quoted_name() + " offers a command with a name of " +
                      std::to_string(spec.name.size()) + " bytes; at most " +
                      std::to_string(registry::max_name_bytes) + " are accepted");
    auto decision = check_provide(policy, spec.name);
    if (decision.allowed) continue;
    out.emplace_back(life_effect::deny{std::move(decision)});
    return fail(error_code::permission_denied, quoted_name() + " may not provide the command " +
                                                   spec.name + "; its commands start with " +
                                                   manifest_->name + '.');
  }
  return {};
}

life_effects plugin_life::commands_refused(launch_number number, error why) {
  life_effects out;
  if (awaits(number, stage::opened)) crash(out, std::move(why));
  return out;
}

life_effects plugin_life::offer_accepted(launch_number number, const std::string& command) {
  life_effects out;
  TROUPE_ASSERT(open_offers_ > 0, "an offer is answered once");
  --open_offers_;
  if (awaits(number, stage::offering)) {
    commands_.push_back(command);
    if (--launch_.awaited_offers == 0) become_running(out);
  } else {
    out.emplace_back(life_effect::retract{{command}});  // too late for its launch
    complete_stop(out);
  }
  return out;
}

life_effects plugin_life::offer_refused(launch_number number, const std::string& command,
                                        error why) {
  life_effects out;
  TROUPE_ASSERT(open_offers_ > 0, "an offer is answered once");
  --open_offers_;
  // A refusal by the deadline says nothing: the command may be accepted later.
  out.emplace_back(life_effect::retract{{command}});
  if (awaits(number, stage::offering)) crash(out, std::move(why));
  complete_stop(out);
  return out;
}

void plugin_life::become_running(life_effects& out) {
  phase_ = plugin_phase::running;
  launch_.reached = stage::running;
  std::ranges::sort(commands_);
  out.emplace_back(life_effect::log{log_severity::info, "plugin.running",
                                    "version=" + to_string(manifest_->version) +
                                        " commands=" + std::to_string(commands_.size())});
  out.emplace_back(life_effect::audit{"plugin.started", package_, "operator"});
  answer_starts(out, {});
}

// -- time and policy ------------------------------------------------------------------------------

life_effects plugin_life::tick(time_point now) {
  life_effects out;
  if (crash_ && crash_->retry_at && *crash_->retry_at <= now) end_crashed(out);
  if (restart_at_ && *restart_at_ <= now) launch(out, now);
  if (phase_ == plugin_phase::starting && now > launch_.start_by)
    crash(out, {error_code::deadline_exceeded,
                quoted_name() + " did not start within " +
                    std::to_string(manifest_->deadlines.start.count()) + " ms",
                {}});
  return out;
}

life_effects plugin_life::policy_changed(const permissions& policy) {
  life_effects out;
  const auto denied =
      std::stable_partition(commands_.begin(), commands_.end(), [&](const std::string& command) {
        return policy.check(capability_verb::command_provide, command).allowed;
      });
  if (denied == commands_.end()) return out;
  out.emplace_back(life_effect::retract{{denied, commands_.end()}});
  commands_.erase(denied, commands_.end());
  return out;
}

void plugin_life::retract_all(life_effects& out) {
  if (!commands_.empty()) out.emplace_back(life_effect::retract{std::exchange(commands_, {})});
}

void plugin_life::answer_starts(life_effects& out, result<void> outcome) {
  if (std::exchange(start_is_awaited_, false))
    out.emplace_back(life_effect::answer_starts{std::move(outcome)});
}

}  // namespace troupe
