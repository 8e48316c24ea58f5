// How a plugin starts, ends and starts again.

#include <algorithm>

#include <troupe/actors/commands/registry.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/plugins/supervisor_state.hpp>
#include <troupe/messages/plugin_protocol.hpp>
#include <troupe/messages/utf8.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto slow_interval = 1000ms;
constexpr auto launch_slack = 2000ms;  // the launcher may be busy with another plugin
constexpr auto longest_wait = 60s;     // between two attempts to end what does not end
constexpr std::size_t max_commands = 256;

constexpr auto offer_deadline =
    30s;  // of the dispatcher, which the plugin's own deadlines do not concern
constexpr auto exit_patience = 2s;  // for a process that has closed its connection
constexpr std::size_t max_message_bytes = 1024;
constexpr std::size_t max_detail_bytes = 64 * 1024;

}  // namespace

error cut_error(error from_plugin) {
  from_plugin.message.resize(utf8_prefix(from_plugin.message, max_message_bytes).size());
  if (from_plugin.detail.size() > max_detail_bytes) from_plugin.detail.clear();
  return from_plugin;
}

supervisor_state::supervisor_state(pointer self, supervisor_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      policy_(make_policy(*setup_.manifest, setup_.grants).value()),
      restarts_(setup_.manifest->restart),
      log_(setup_.environment.log.logger("plugins")),
      random_(std::random_device{}()) {
  publish_policy();
}

supervisor_state::~supervisor_state() {
  if (phase_ == plugin_phase::stopped) return;
  if (!commands_.empty())
    tell(setup_.environment.dispatcher, retract_commands{commands_, self_->id()});
  tell(setup_.environment.launcher, end_plugin{.plugin = plugin(), .for_good = true});
}

supervisor_state::interface::behavior_type supervisor_state::make_behavior() {
  tick_after(self_, slow_interval, tick::slow);
  return {
      [this](const invocation& asked) { return invoke(asked); },
      [this](const cancel_request& gone) { cancel(gone); },
      [this](plugin_order order) { return obey(order); },
      [this](describe_plugin) { return describe(); },
      [this](const alter_grant& change) { return reply(alter(change)); },
      [this](const plugin_exited& exited) {
        if (run_)
          fail_run({error_code::plugin_crashed,
                    describe_exit(exited.status, exited.last_output, reached()),
                    {}},
                   exited.status.is_success() ? exit_reason::normal : exit_reason::abnormal);
      },
      [this](const plugin_exceeded& found) {
        if (!run_) return;
        audit("plugin.exceeded", plugin(), found.what);
        fail_run({error_code::limit_exceeded, found.what, {}}, exit_reason::abnormal);
      },
      [this](tick pace) { pass_time(pace); },
      [this](const caf::io::new_data_msg& data) { read(data); },
      [this](const caf::io::connection_closed_msg&) {
        fail_run(
            {error_code::plugin_crashed, "the plugin " + plugin() + " closed its connection", {}},
            exit_reason::abnormal, exit_patience);
      },
  };
}

caf::result<void> supervisor_state::obey(plugin_order order) {
  auto promise = self_->make_response_promise<void>();
  if (order == plugin_order::stop) {
    stopping_.push_back(promise);
    if (phase_ != plugin_phase::stopping) begin_stop();
    return promise;
  }
  if (phase_ == plugin_phase::running) {
    promise.deliver();
    return promise;
  }
  if (phase_ == plugin_phase::stopping || phase_ == plugin_phase::stopped) {
    promise.deliver(
        to_caf({error_code::unavailable, "the plugin " + plugin() + " is being stopped", {}}));
    return promise;
  }
  starting_.push_back(promise);
  if (phase_ == plugin_phase::starting) return promise;
  restarts_.clear();
  // While the last run is being ended, its end starts the next.
  if (!crash_ || crash_->retry_at) launch();
  return promise;
}

// -- starting -------------------------------------------------------------------------------------

void supervisor_state::launch() {
  phase_ = plugin_phase::starting;
  problem_.clear();
  restart_at_.reset();
  crash_.reset();
  const auto deadline = setup_.manifest->deadlines.start + launch_slack;
  start_by_ = now() + deadline;
  const auto generation = ++generation_;
  ask(self_, setup_.environment.launcher, deadline, describe_launch())
      .then(
          [this, generation](const plugin_launched& launched) {
            if (generation == generation_ && phase_ == plugin_phase::starting) connect(launched);
          },
          [this, generation](const error& why) {
            if (generation == generation_ && phase_ == plugin_phase::starting)
              fail_run(why, exit_reason::abnormal);
          });
}

void supervisor_state::connect(const plugin_launched& launched) {
  link_limits limits;
  limits.in_flight = 256;
  limits.default_deadline = setup_.manifest->deadlines.call;
  limits.max_deadline = setup_.manifest->deadlines.call;
  limits.ping_interval = 1s;
  process_ = launched.process;
  const auto connection = self_->add_scribe(launched.socket->release());
  run_ = std::make_shared<run>(++runs_, stream{self_, connection}, limits, now());
  run_->session.await_opening();
  run_->bytes.start();
  std::string layers;
  for (const auto& layer : launched.layers)
    layers += (layers.empty() ? "" : "; ") + layer.name + ": " + layer.mechanism;
  log_->info("plugin.launched plugin={} process={} layers={}", plugin(), process_,
             printable_quoted(layers));
}

void supervisor_state::open_session(std::uint32_t id, std::string_view method,
                                    std::string_view params) {
  auto& session = run_->session;
  const auto opening = [&]() -> result<session_open> {
    if (method != session_open::method)
      return fail(error_code::protocol_violation, "the first request must be session.open");
    auto read = decode_checked<session_open>(params);
    if (!read) return read;
    if (auto agreed = agree_on_protocol(read->protocol); !agreed)
      return fail(std::move(agreed.error()));
    if (read->kind != session_kind::plugin || read->name != plugin())
      return fail(error_code::permission_denied, "this connection is for the plugin " + plugin());
    return read;
  }();
  if (!opening) {
    session.refuse(id, opening.error());
    flush();
    return fail_run(opening.error(), exit_reason::abnormal);
  }
  run_->opened = true;
  session.opened();
  auto answer = setup_.environment.introduction;
  answer.capabilities = effective_;
  session.respond(id, encode(answer));
  ask_commands();
}

void supervisor_state::ask_commands() {
  const auto take = [this, generation = generation_](const result<std::string_view>& answer) {
    if (generation != generation_ || phase_ != plugin_phase::starting) return;
    auto started = answer ? decode_checked<plugin_started>(*answer)
                          : result<plugin_started>{fail(answer.error())};
    if (started)
      offer_commands(std::move(started->commands));
    else
      fail_run(started.error(), exit_reason::abnormal);
  };
  call(start_plugin::method, rpc::no_params, setup_.manifest->deadlines.start, take);
}

void supervisor_state::offer_commands(std::vector<command_spec> commands) {
  retract_all();
  if (commands.size() > max_commands)
    return fail_run({error_code::limit_exceeded,
                     "the plugin " + plugin() + " offers " + std::to_string(commands.size()) +
                         " commands; at most " + std::to_string(max_commands) + " are accepted",
                     {}},
                    exit_reason::abnormal);
  for (const auto& spec : commands) {
    if (spec.name.size() > registry::max_name_bytes)
      return fail_run({error_code::limit_exceeded,
                       "the plugin " + plugin() + " offers a command with a name of " +
                           std::to_string(spec.name.size()) + " bytes; at most " +
                           std::to_string(registry::max_name_bytes) + " are accepted",
                       {}},
                      exit_reason::abnormal);
    const auto decision = policy_.check(capability_verb::command_provide, spec.name);
    if (decision.allowed) continue;
    audit("plugin.denied", "command.provide:" + spec.name, decision.rule);
    ++denials_;
    return fail_run({error_code::permission_denied,
                     "the plugin " + plugin() + " may not provide the command " + spec.name +
                         "; its commands start with " + plugin() + ".",
                     {}},
                    exit_reason::abnormal);
  }
  if (commands.empty()) return become_running();
  const auto open = std::make_shared<std::size_t>(commands.size());
  for (auto& spec : commands) {
    spec.timeout = std::min(spec.timeout, setup_.manifest->deadlines.call);
    const auto command = spec.name;
    ++open_offers_;
    ask(self_, setup_.environment.dispatcher, offer_deadline,
        add_command{std::move(spec), caf::actor_cast<command_handler_actor>(self_), {}})
        .then(
            [this, command, open, generation = generation_] {
              --open_offers_;
              if (generation != generation_ || phase_ != plugin_phase::starting) {
                // It came too late for its run.
                tell(self_, setup_.environment.dispatcher,
                     retract_commands{{command}, self_->id()});
                return settle_stop();
              }
              commands_.push_back(command);
              if (--*open == 0) become_running();
            },
            [this, command, generation = generation_](const error& why) {
              --open_offers_;
              // It may have been taken all the same, after this was given up.
              tell(self_, setup_.environment.dispatcher, retract_commands{{command}, self_->id()});
              if (generation == generation_ && phase_ == plugin_phase::starting)
                fail_run(why, exit_reason::abnormal);
              settle_stop();
            });
  }
}

void supervisor_state::become_running() {
  phase_ = plugin_phase::running;
  std::sort(commands_.begin(), commands_.end());
  log_->info("plugin.running plugin={} version={} commands={}", plugin(),
             to_string(setup_.manifest->version), commands_.size());
  audit("plugin.started", setup_.package.native(), "operator");
  settle_starts({});
}

void supervisor_state::settle_starts(const result<void>& outcome) {
  for (auto& promise : std::exchange(starting_, {})) {
    if (outcome)
      promise.deliver();
    else
      promise.deliver(to_caf(outcome.error()));
  }
}

// -- ending ---------------------------------------------------------------------------------------

std::string supervisor_state::describe_exit(const exit_status& status,
                                            const std::string& last_output, stage reached) const {
  auto text = "the plugin " + plugin() + " ended with " + to_string(status);
  if (reached == stage::running) return text;
  const bool is_silent = status.is_success() && reached == stage::launched;
  if (is_silent) text += " before it opened its session; does it call plugin.run()?";
  if (!last_output.empty()) text += (is_silent ? " It said: " : ", it said: ") + last_output;
  return text;
}

/// Ends the run. @param patience When the process is ending by itself: how long to wait for its
/// status, which says why it fell.
void supervisor_state::fail_run(error reason, exit_reason kind,
                                std::chrono::milliseconds patience) {
  // What is to go need not behave, but nothing more is taken from it; the end of the connection
  // ends the stop's call.
  if (phase_ == plugin_phase::stopping)
    return disconnect({error_code::unavailable, "the plugin has stopped", {}});
  if (phase_ != plugin_phase::starting && phase_ != plugin_phase::running) return;
  reason = cut_error(std::move(reason));
  const bool first_start = phase_ == plugin_phase::starting && !starting_.empty();
  const auto reached_stage = reached();
  problem_ = reason.message;
  phase_ = plugin_phase::failed;
  disconnect({error_code::plugin_crashed, reason.message, {}});
  ++generation_;
  crash_ = crash_record{.reason = std::move(reason),
                        .kind = kind,
                        .reached = reached_stage,
                        .may_restart = !first_start,
                        .patience = patience};
  end_crashed();
  if (patience.count() == 0) tell_fall();
}

void supervisor_state::tell_fall() {
  if (std::exchange(crash_->is_told, true)) return;
  const auto& reason = crash_->reason;
  log_->warn("plugin.ended plugin={} reason={}", plugin(), printable_quoted(reason.message));
  audit("plugin.ended", plugin(), reason.message);
  // Whoever asked for the start is told; a plugin that never ran is not tried again by itself.
  if (!crash_->may_restart) {
    retract_all();
    settle_starts(fail(reason));
  }
}

/// The next run may start only when nothing of the last one is left. What cannot be ended is tried
/// again, but less and less often: each attempt may hold up the launcher, and with it every other
/// plugin.
void supervisor_state::end_crashed() {
  crash_->retry_at.reset();
  ask(self_, setup_.environment.launcher, 30s,
      end_plugin{.plugin = plugin(), .patience = crash_->patience})
      .then(
          [this, generation = generation_](const plugin_ended& end) {
            if (generation == generation_) take_end(end);
          },
          [this, generation = generation_](const error& why) {
            if (generation != generation_) return;
            tell_fall();
            crash_->retry_at = now() + crash_->wait;
            crash_->wait = std::min<std::chrono::milliseconds>(crash_->wait * 2, longest_wait);
            problem_ = "the plugin " + plugin() + " has not ended: " + why.message;
            settle_starts(fail(why.code, problem_));
            if (std::exchange(crash_->stuck, true)) return;
            log_->error("plugin.not_ended plugin={} reason={}", plugin(),
                        printable_quoted(why.message));
            audit("plugin.not_ended", plugin(), why.message);
            retract_all();
          });
}

void supervisor_state::take_end(const plugin_ended& end) {
  if (!crash_->is_told && end.status) {
    crash_->reason.message = describe_exit(*end.status, end.last_output, crash_->reached);
    crash_->kind = end.status->is_success() ? exit_reason::normal : exit_reason::abnormal;
  }
  problem_ = crash_->reason.message;
  tell_fall();
  const auto ended = *std::exchange(crash_, std::nullopt);
  if (!starting_.empty())
    launch();
  else if (ended.may_restart)
    decide_restart(ended.reason, ended.kind);
}

void supervisor_state::decide_restart(const error& reason, exit_reason kind) {
  const auto decision =
      restarts_.on_exit(kind, now(), std::uniform_real_distribution<>{0, 1}(random_));
  if (decision.action == restart_action::restart) {
    restart_at_ = now() + decision.delay;
    ++restarted_;
    audit("plugin.restarted", plugin(), reason.message);
    tick_after(self_, decision.delay, tick::fast);
    return;
  }
  retract_all();
  if (decision.action == restart_action::leave) return;
  phase_ = plugin_phase::quarantined;
  problem_ = "ended too often; the last time: " + reason.message;
  log_->error("plugin.quarantined plugin={} reason={}", plugin(), printable_quoted(reason.message));
  audit("plugin.quarantined", plugin(), reason.message);
}

void supervisor_state::disconnect(const error& reason) {
  // Calls that end here may disconnect in their turn.
  const auto ended = std::exchange(run_, nullptr);
  if (!ended) return;
  process_ = 0;
  for (const auto request : ended->session.end(reason, *this))
    cancel_served(self_, setup_.environment.services, ended->ticket(request));
  ended->bytes.flush(ended->session);
  ended->bytes.close();
}

void supervisor_state::begin_stop() {
  const bool connected = run_ && phase_ == plugin_phase::running;
  phase_ = plugin_phase::stopping;
  restart_at_.reset();
  if (crash_) tell_fall();
  crash_.reset();
  ++generation_;
  retract_all();
  settle_starts(fail(error_code::unavailable, "the plugin " + plugin() + " is being stopped"));
  if (!connected) return finish_stop();
  call(stop_plugin::method, rpc::no_params, setup_.manifest->deadlines.stop,
       [this](const result<std::string_view>&) { finish_stop(); });
}

void supervisor_state::finish_stop() {
  disconnect({error_code::unavailable, "the plugin has stopped", {}});
  const auto grace = setup_.manifest->deadlines.stop;
  const auto end = [this](const result<void>& outcome) {
    ended_ = outcome;
    settle_stop();
  };
  ask(self_, setup_.environment.launcher, grace + 10s, end_plugin{plugin(), grace, true})
      .then([end](const plugin_ended&) { end({}); }, [end](const error& why) { end(fail(why)); });
}

/// A command that the dispatcher may still take is waited for: nobody could cancel it when the
/// supervisor has ended.
void supervisor_state::settle_stop() {
  if (!ended_ || open_offers_ > 0 || phase_ == plugin_phase::stopped) return;
  retract_all();
  phase_ = plugin_phase::stopped;
  audit("plugin.stopped", plugin(), *ended_ ? "operator" : ended_->error().message);
  for (auto& promise : std::exchange(stopping_, {})) {
    if (*ended_)
      promise.deliver();
    else
      promise.deliver(to_caf(ended_->error()));
  }
  self_->quit();
}

void supervisor_state::retract_all() {
  if (commands_.empty()) return;
  tell(self_, setup_.environment.dispatcher,
       retract_commands{std::exchange(commands_, {}), self_->id()});
}

supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_setup setup) {
  return spawn_io<supervisor_state>(system, std::move(setup));
}

}  // namespace troupe
