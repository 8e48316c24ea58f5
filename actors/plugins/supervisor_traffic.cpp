// What passes between a plugin and the node, and whether it may.

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/plugins/supervisor_state.hpp>
#include <troupe/messages/plugin_protocol.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto slow_interval = 1000ms;
constexpr auto fast_interval = 20ms;
constexpr auto audit_deadline = 10s;
constexpr std::uint32_t max_log_lines = 100;    // a second
constexpr std::uint64_t max_denials_told = 20;  // a second

}  // namespace

// -- into the plugin ------------------------------------------------------------------------------

caf::result<value> supervisor_state::invoke(const invocation& asked) {
  const auto& wanted = asked.command;
  if (phase_ != plugin_phase::running)
    return to_caf({error_code::unavailable,
                   "the plugin " + plugin() + " is " + std::string{name_of(phase_)},
                   {}});
  const auto decision = policy_.check(capability_verb::command_provide, wanted.command);
  if (!decision.allowed) {
    tell_denial({false, "command.provide:" + wanted.command, decision.rule}, wanted.trace);
    return to_caf(
        {error_code::permission_denied,
         "the plugin " + plugin() + " may not answer " + wanted.command + ": " + decision.rule,
         {}});
  }
  auto promise = self_->make_response_promise<value>();
  const auto deadline = std::min(wanted.deadline, setup_.manifest->deadlines.call);
  auto passed_on = wanted;
  passed_on.deadline = deadline;
  const auto ticket = asked.ticket;
  const auto id =
      call(invoke_command::method, encode(passed_on), deadline,
           [promise, ticket, asked = std::weak_ptr{run_}](result<std::string_view> answer) mutable {
             if (const auto run = asked.lock()) run->invocations.erase(ticket);
             if (!answer) return promise.deliver(to_caf(cut_error(std::move(answer.error()))));
             auto read = value::from_msgpack(*answer);
             if (read)
               promise.deliver(std::move(*read));
             else
               promise.deliver(to_caf(std::move(read.error())));
           });
  if (id && ticket != 0) run_->invocations.emplace(ticket, *id);
  return promise;
}

void supervisor_state::cancel(const cancel_request& gone) {
  if (!run_) return;
  const auto found = run_->invocations.extract(gone.ticket);
  if (!found) return;
  run_->bytes.refresh(run_->session);
  run_->session.cancel(found.mapped());
  flush();
}

/// Starts a call and returns its number; when a bound refuses it, `done` is told.
std::optional<std::uint32_t> supervisor_state::call(std::string_view method,
                                                    std::string_view params,
                                                    std::chrono::milliseconds deadline,
                                                    call_completion done) {
  run_->bytes.refresh(run_->session);
  const auto started = run_->session.call(method, params, now() + deadline, done);
  if (!started) done(fail(started.error()));
  flush();
  return started ? std::optional{*started} : std::nullopt;
}

// -- out of the plugin ----------------------------------------------------------------------------

void supervisor_state::read(const caf::io::new_data_msg& data) {
  const auto current = run_;
  if (!current) return;
  current->bytes.refresh(current->session);
  const auto generation = generation_;
  const auto outcome = current->session.receive(
      {reinterpret_cast<const char*>(data.buf.data()), data.buf.size()}, now(), *this);
  if (generation != generation_) return;  // what was read has ended this run
  if (!outcome) {
    audit("plugin.violation", plugin(), outcome.error().message);
    return fail_run({outcome.error().code,
                     "the plugin " + plugin() + " broke the protocol: " + outcome.error().message,
                     {}},
                    exit_reason::abnormal);
  }
  flush();
}

void supervisor_state::on_request(std::uint32_t id, std::string_view method,
                                  std::string_view params, const rpc::envelope& beside) {
  if (!run_) return;
  if (!run_->opened) return open_session(id, method, params);
  auto& session = run_->session;
  const auto to = find_route(setup_.environment.services, principal_kind::plugin, method);
  if (!to) {
    session.refuse(id, to.error());
    return;
  }
  const auto decision = check_call(policy_, *to->rule, params);
  if (!decision) {
    session.refuse(id, decision.error());
  } else if (!decision->allowed) {
    tell_denial(*decision, beside.trace);
    session.refuse(id, {error_code::permission_denied,
                        "the plugin " + plugin() + " is not allowed " + decision->operation + ": " +
                            decision->rule,
                        {}});
  } else {
    forward({*to, id, std::string{params}, beside, now()});
  }
}

/// Every denial is counted, and so many a second are told one by one: a plugin must not be able to
/// push everything else out of the log and the audit trail.
void supervisor_state::tell_denial(const call_decision& decision, trace_id trace) {
  ++denials_;
  if (++denials_this_second_ > max_denials_told) return;
  log_->warn("plugin.denied plugin={} operation={} rule={}", plugin(),
             printable_quoted(decision.operation, 1100), printable_quoted(decision.rule, 1100));
  audit("plugin.denied", decision.operation, decision.rule, trace);
}

void supervisor_state::forward(routed_request asked) {
  const auto at = asked.came;
  if (!asked.to.rule->access.reads) return hand_on(std::move(asked), at);
  if (auto ready = run_->reads.enter(std::move(asked))) hand_on(std::move(*ready), at);
}

void supervisor_state::hand_on(routed_request asked, link_session::time_point at) {
  const auto request = asked.request;
  auto wanted = asked.call(principal_, run_->ticket(request), at);
  const auto limit = wanted.deadline + answer_grace;
  const auto finish = [this, reads = asked.to.rule->access.reads,
                       of = std::weak_ptr{run_}](auto&& tell_plugin) {
    if (!run_ || of.lock() != run_) return;
    run_->bytes.refresh(run_->session);
    tell_plugin();
    flush();
    if (!reads || !run_) return;
    if (auto next = run_->reads.leave()) hand_on(std::move(*next), now());
  };
  ask(self_, asked.to.service, limit, std::move(wanted))
      .then(
          [this, request, finish](const payload& answer) {
            finish([&] { run_->session.respond(request, answer.msgpack.bytes); });
          },
          [this, request, finish](const error& failure) {
            finish([&] { run_->session.refuse(request, failure); });
          });
}

void supervisor_state::on_cancelled(request_serial request) {
  if (run_) cancel_served(self_, setup_.environment.services, run_->ticket(request));
}

void supervisor_state::on_notification(std::string_view method, std::string_view params) {
  if (method != log_line::method) {
    if (++log_lines_ > max_log_lines)
      ++log_lines_dropped_;
    else
      log_->warn("plugin.notification_refused plugin={} method={}", plugin(),
                 printable_quoted(method, 64));
    return;
  }
  const auto line = decode_checked<log_line>(params);
  if (!line || !policy_.check(capability_verb::log, {}).allowed || ++log_lines_ > max_log_lines) {
    ++log_lines_dropped_;
    return;
  }
  const auto level = line->level == "debug"     ? spdlog::level::debug
                     : line->level == "warning" ? spdlog::level::warn
                     : line->level == "error"   ? spdlog::level::err
                                                : spdlog::level::info;
  log_->log(level, "plugin.log plugin={} line={}", plugin(), printable_quoted(line->message));
}

void supervisor_state::flush() {
  if (!run_) return;
  run_->bytes.flush(run_->session);
  schedule_tick();
}

// -- time -----------------------------------------------------------------------------------------

void supervisor_state::pass_time(tick pace) {
  if (pace == tick::fast) {
    fast_tick_ = false;
  } else {
    tick_after(self_, slow_interval, tick::slow);
    log_lines_ = 0;
    if (log_lines_dropped_ > 0)
      log_->warn("plugin.log_dropped plugin={} lines={}", plugin(),
                 std::exchange(log_lines_dropped_, 0));
    if (const auto denials = std::exchange(denials_this_second_, 0); denials > max_denials_told) {
      log_->warn("plugin.denied plugin={} more={}", plugin(), denials - max_denials_told);
      audit("plugin.denied", std::to_string(denials - max_denials_told) + " more operations",
            "at most " + std::to_string(max_denials_told) + " a second are recorded one by one");
    }
  }
  if (crash_ && crash_->retry_at && *crash_->retry_at <= now()) end_crashed();
  if (restart_at_ && *restart_at_ <= now()) launch();
  if (phase_ == plugin_phase::starting && now() > start_by_)
    return fail_run({error_code::deadline_exceeded,
                     "the plugin " + plugin() + " did not start within " +
                         std::to_string(setup_.manifest->deadlines.start.count()) + " ms",
                     {}},
                    exit_reason::abnormal);
  const auto current = run_;
  if (!current) return;
  current->bytes.refresh(current->session);
  const auto generation = generation_;
  const auto outcome = current->session.tick(now(), *this);
  if (generation != generation_) return;
  if (!outcome)
    return fail_run({outcome.error().code,
                     "the plugin " + plugin() + " is given up: " + outcome.error().message,
                     {}},
                    exit_reason::abnormal);
  flush();
}

/// A slow tick is always on its way. While answers are awaited a fast one is added, so that
/// deadlines are kept.
void supervisor_state::schedule_tick() {
  if (fast_tick_ || !run_) return;
  if (!run_->session.has_deadlines() && !run_->bytes.paused()) return;
  fast_tick_ = true;
  tick_after(self_, fast_interval, tick::fast);
}

// -- told of it -----------------------------------------------------------------------------------

/// The plugin lives on when its trail cannot be written, for all to see: in the log once, in its
/// description until it can.
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

plugin_info supervisor_state::describe() const {
  const auto& manifest = *setup_.manifest;
  const auto* between = problem_.empty() || audit_problem_.empty() ? "" : "; ";
  return {.name = manifest.name,
          .version = to_string(manifest.version),
          .package = setup_.package.native(),
          .phase = phase_,
          .level = manifest.permission_level,
          .capabilities = effective_,
          .commands = commands_,
          .restarts = restarted_,
          .denials = denials_,
          .process = process_,
          .limits = manifest.resource_limits,
          .problem = problem_ + between + audit_problem_};
}

}  // namespace troupe
