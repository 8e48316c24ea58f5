// How a supervisor carries out the effects of its plugin's life.

#include <algorithm>
#include <utility>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/plugins/supervisor_state.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

void answer_all(std::vector<reply_to<void>>& waiting, const result<void>& outcome) {
  for (auto& each : std::exchange(waiting, {})) each(outcome);
}

}  // namespace

/// Effects that one effect leads to at once are carried out after those that are there.
void supervisor_state::carry_out(life_effects effects) {
  const bool is_busy = !effects_.empty();
  std::ranges::move(effects, std::back_inserter(effects_));
  if (is_busy) return;
  for (; !effects_.empty(); effects_.pop_front())
    std::visit([this](auto& wanted) { carry_out(wanted); }, effects_.front());
}

// -- the process ----------------------------------------------------------------------------------

void supervisor_state::carry_out(life_effect::launch& wanted) {
  ask(self_, setup_.environment.launcher, wanted.deadline, describe_launch())
      .then([this, number = wanted.number](
                const plugin_launched& made) { carry_out(life_.launched(number, made)); },
            [this, number = wanted.number](const error& why) {
              carry_out(life_.launch_failed(number, why));
            });
}

launch_plugin supervisor_state::describe_launch() const {
  const auto& manifest = *setup_.manifest;
  auto visible = setup_.grants.visible();
  launch_plugin wanted{.spec = {.plugin = manifest.name,
                                .package = setup_.package,
                                .entry = manifest.entry,
                                .context = setup_.grants.context(),
                                .readable = std::move(visible.required),
                                .environment = {},
                                .start_deadline = manifest.deadlines.start},
                       .watcher = exit_watcher{self_},
                       .manifest = setup_.manifest,
                       .files = std::move(visible.files),
                       .trees = std::move(visible.trees)};
  if (const auto& sdk = setup_.environment.python_sdk; !sdk.empty()) {
    wanted.spec.readable.insert(wanted.spec.readable.begin(), sdk);
    wanted.spec.environment["PYTHONPATH"] = sdk.native();
  }
  return wanted;
}

void supervisor_state::carry_out(life_effect::end_process& wanted) {
  ask(self_, setup_.environment.launcher, wanted.deadline,
      end_plugin{.plugin = plugin(), .grace = wanted.grace, .patience = wanted.patience})
      .then(
          [this, cause = wanted.cause](const plugin_ended& end) {
            const auto jitter = std::uniform_real_distribution<>{0, 1}(random_);
            carry_out(life_.ended(cause, end, now(), jitter));
          },
          [this, cause = wanted.cause](const error& why) {
            carry_out(life_.end_failed(cause, why, now()));
          });
}

// -- the connection -------------------------------------------------------------------------------

void supervisor_state::carry_out(life_effect::connect& wanted) {
  const auto wire = adopt_connection(self_, std::move(*wanted.process.socket));
  connection_ = std::make_shared<shell>(self_, *this, wire, describe_connection(wanted.number),
                                        setup_.environment.services);
  connection_->start();
}

served_setup supervisor_state::describe_connection(launch_number number) {
  link_limits limits;
  limits.in_flight = 256;
  limits.default_deadline = setup_.manifest->deadlines.call;
  limits.max_deadline = setup_.manifest->deadlines.call;
  limits.ping_interval = 1s;
  return {
      .limits = limits,
      .gate = [this](const session_open& opening) { return admit(opening); },
      .other_side = *setup_.grants.caller(),
      .check = [this](const method_rule& rule, std::string_view params,
                      const rpc::envelope& beside) { return check_request(rule, params, beside); },
      .number = number};
}

supervisor_state::shell& supervisor_state::connected() {
  TROUPE_ASSERT(connection_, "the life connects before it asks");
  return *connection_;
}

void supervisor_state::carry_out(life_effect::disconnect& wanted) {
  TROUPE_ASSERT(connection_, "the life disconnects what it has connected");
  std::exchange(connection_, nullptr)->end(wanted.reason);
}

void supervisor_state::carry_out(life_effect::ask_commands& wanted) {
  const auto take = [this, number = wanted.number](const result<std::string>& answer) {
    auto started = answer ? decode_checked<plugin_started>(*answer)
                          : result<plugin_started>{fail(answer.error())};
    if (started)
      carry_out(
          life_.commands_received(number, std::move(started->commands), setup_.grants.policy()));
    else
      carry_out(life_.commands_refused(number, std::move(started.error())));
  };
  const auto called = connected().call(start_plugin::method, rpc::no_params, wanted.deadline, take);
  if (!called) take(fail(called.error()));
}

void supervisor_state::carry_out(life_effect::ask_stop& wanted) {
  const auto called = connected().call(stop_plugin::method, rpc::no_params, wanted.deadline,
                                       [this](const auto&) { carry_out(life_.stop_answered()); });
  if (!called) carry_out(life_.stop_answered());
}

// -- the commands ---------------------------------------------------------------------------------

void supervisor_state::carry_out(life_effect::offer_command& wanted) {
  const auto number = wanted.number;
  const auto command = wanted.spec.name;
  ask(self_, setup_.environment.dispatcher, wanted.deadline,
      add_command{std::move(wanted.spec), command_handler_actor{self_}, {}})
      .then([this, number, command] { carry_out(life_.offer_accepted(number, command)); },
            [this, number, command](const error& why) {
              carry_out(life_.offer_refused(number, command, why));
            });
}

void supervisor_state::carry_out(life_effect::retract& wanted) {
  tell(self_, setup_.environment.dispatcher,
       retract_commands{std::move(wanted.commands), self_->id()});
}

// -- orders, audit, log and timer -----------------------------------------------------------------

void supervisor_state::carry_out(life_effect::answer_starts& wanted) {
  answer_all(starting_, wanted.outcome);
}

void supervisor_state::carry_out(life_effect::answer_stops& wanted) {
  answer_all(stopping_, wanted.outcome);
}

void supervisor_state::carry_out(life_effect::audit& wanted) {
  audit(std::move(wanted.event), std::move(wanted.subject), std::move(wanted.rule));
}

void supervisor_state::carry_out(life_effect::deny& wanted) { deny(wanted.decision, {}); }

void supervisor_state::carry_out(life_effect::log& wanted) {
  log_->log(to_spdlog(wanted.severity), "{} plugin={} {}", wanted.event, plugin(), wanted.fields);
}

void supervisor_state::carry_out(life_effect::wake& wanted) {
  tick_after(self_, wanted.delay, tick::fast);
}

void supervisor_state::carry_out(life_effect::quit&) { end_normally(self_); }

}  // namespace troupe
