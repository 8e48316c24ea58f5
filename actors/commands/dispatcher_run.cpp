// Running what was admitted, and what becomes of it as time passes.

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto expiry_interval = 10ms;

command_outcome outcome_of(const result<value>& outcome) noexcept {
  if (outcome) return command_outcome::ok;
  switch (outcome.error().code) {
    case error_code::deadline_exceeded: return command_outcome::timeout;
    case error_code::cancelled: return command_outcome::cancelled;
    default: return command_outcome::error;
  }
}

}  // namespace

// -- running --------------------------------------------------------------------------------------

result<value> dispatcher_state::run_inline(const inline_handler& function,
                                           const registered_command& command,
                                           execute_command& wanted, time_point deadline,
                                           time_point started) {
  auto outcome =
      call_function(function.run, wanted.arguments, {wanted.caller->name, wanted.trace, deadline});
  record(command.index, command.spec->name, outcome_of(outcome), started, self_->clock().now());
  return outcome;
}

void dispatcher_state::start(waiting_request asked, time_point now) {
  const auto& handler = handlers_[asked.request.index.slot];
  if (const auto* actor = std::get_if<command_handler_actor>(&handler))
    return ask_handler(*actor, std::move(asked), now);
  const auto work = schedule_.add(asked.request.deadline);
  keep_place(asked.request.origin, work);
  functions_.emplace(work,
                     function_run{std::move(asked),
                                  std::get<std::shared_ptr<const command_function>>(handler), now});
  give_out_work(now);
  schedule_expiry();
}

void dispatcher_state::ask_handler(const command_handler_actor& handler, waiting_request asked,
                                   time_point now) {
  auto& request = asked.request;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(request.deadline - now);
  const auto ticket = ++last_invocation_;
  keep_place(request.origin, handled_request{handler, ticket});
  auto finish = [this, reply = std::move(asked.reply), now, index = request.index,
                 spec = request.spec, origin = request.origin](result<value> outcome) mutable {
    const auto ended = outcome_of(outcome);
    forget_place(origin);
    reply(std::move(outcome));
    record(index, spec->name, ended, now, self_->clock().now());
  };
  ask(self_, handler, request.deadline - now,
      invocation{{request.spec->name, std::move(request.given), request.caller->name,
                  std::max(left, 1ms), request.trace},
                 ticket})
      .then([finish](value& answer) mutable { finish(std::move(answer)); },
            [finish](const error& failure) mutable { finish(fail(failure)); });
}

void dispatcher_state::give_out_work(time_point now) {
  while (const auto next = schedule_.next()) {
    if (next->worker == workers_.size()) {
      workers_.push_back(spawn_worker(self_->system()));
      self_->link_to(workers_.back());
    }
    auto& run = functions_.at(next->work);
    auto& request = run.asked.request;
    run.started = now;
    tell(self_, workers_[next->worker],
         run_function{next->work, std::move(run.function), std::move(request.given), request.caller,
                      request.trace, request.deadline, run.stop.get_token()});
  }
}

void dispatcher_state::finish_function(function_done& done) {
  const auto overdue = schedule_.finished(done.execution);
  if (!overdue) return;
  auto run = functions_.extract(done.execution);
  auto& [asked, function, started, stop] = run.mapped();
  const auto now = self_->clock().now();
  if (*overdue) {  // answered and counted when nobody waited for it any more
    if (now >= asked.request.deadline)
      log_->warn("command.late command={} after_ms={}", asked.request.spec->name,
                 std::chrono::duration_cast<std::chrono::milliseconds>(now - started).count());
    release(admission_.finished(asked.request.index, now - started, now), now);
  } else {
    const auto outcome = outcome_of(done.outcome);
    answer(asked, std::move(done.outcome));
    record(asked.request.index, asked.request.spec->name, outcome, started, now);
  }
  give_out_work(now);
  if (stopping_) check_stopped(now);
}

void dispatcher_state::record(const command_index& index, const std::string& command,
                              command_outcome outcome, time_point started, time_point now) {
  const auto duration = now - started;
  monitor_.record_command(index, command, duration, outcome);
  release(admission_.finished(index, duration, now), now);
}

void dispatcher_state::release(const admission_release& freed, time_point now) {
  for (const auto& ticket : freed.expired) expire(ticket);
  if (freed.run) start(std::move(waiting_.extract(freed.run->number).mapped()), now);
}

// -- time -----------------------------------------------------------------------------------------

void dispatcher_state::expire() {
  expiry_scheduled_ = false;
  const time_point now = self_->clock().now();
  for (const auto& ticket : admission_.expire(now)) expire(ticket);
  for (const auto& late : schedule_.expire(now)) end_early(late, command_outcome::timeout, now);
  if (stopping_) check_stopped(now);
  if (!waiting_.empty() || !schedule_.is_idle()) schedule_expiry();
}

void dispatcher_state::expire(queue_ticket ticket) {
  auto gone = waiting_.extract(ticket.number);
  const auto& request = gone.mapped().request;
  monitor_.record_unstarted(request.index, request.spec->name, command_outcome::timeout);
  answer(gone.mapped(),
         fail(error_code::deadline_exceeded,
              "the command " + request.spec->name + " waited for its turn until its deadline"));
}

/// Answers for a function in whose result nobody is interested any more, because of its deadline or
/// a cancellation.
void dispatcher_state::end_early(const work_schedule::unwanted_work& unwanted,
                                 command_outcome outcome, time_point now) {
  auto found = functions_.find(unwanted.work);
  auto& [asked, function, started, stop] = found->second;
  const auto index = asked.request.index;
  const auto& command = asked.request.spec->name;
  const bool is_late = outcome == command_outcome::timeout;
  if (unwanted.started) {  // its place is free when the function returns
    stop.request_stop();
    monitor_.record_command(index, command, now - started, outcome);
    if (is_late) log_->warn("command.timed_out command={}", command);
    return answer(asked, is_late ? fail(error_code::deadline_exceeded,
                                        "the command " + command + " did not finish in time")
                                 : fail(cancelled(command)));
  }
  monitor_.record_unstarted(index, command, outcome);
  answer(asked, is_late ? fail(error_code::deadline_exceeded,
                               "the command " + command + " waited for a worker until its deadline")
                        : fail(cancelled(command)));
  functions_.erase(found);
  release(admission_.abandoned(index, now), now);
}

void dispatcher_state::schedule_expiry() {
  if (std::exchange(expiry_scheduled_, true)) return;
  tick_after(self_, expiry_interval, tick::fast);
}

caf::result<void> dispatcher_state::stop(const stop_commands& order) {
  if (std::exchange(stopping_, true))
    return to_caf({error_code::already_exists, "the commands are being stopped already", {}});
  const auto now = self_->clock().now();
  stopped_ = self_->make_response_promise<void>();
  auto promise = *stopped_;
  stop_by_ = now + order.deadline;
  turn_away_all_who_wait();
  for (const auto work : schedule_.running()) functions_.at(work).stop.request_stop();
  check_stopped(now);
  return promise;
}

/// Nothing new begins during a stop.
void dispatcher_state::turn_away_all_who_wait() {
  const auto turn_away = [this](waiting_request& asked) {
    monitor_.record_unstarted(asked.request.index, asked.request.spec->name,
                              command_outcome::rejected);
    answer(asked, fail(error_code::unavailable, "the node is being stopped"));
  };
  admission_.cancel_waiting();
  for (auto& [ticket, asked] : std::exchange(waiting_, {})) turn_away(asked);
  for (const auto work : schedule_.cancel_waiting())
    turn_away(functions_.extract(work).mapped().asked);
}

void dispatcher_state::check_stopped(time_point now) {
  if (!stopped_) return;
  const auto running = schedule_.running();
  if (running.empty()) return std::exchange(stopped_, std::nullopt)->deliver();
  if (now < stop_by_) return;
  std::string names;
  for (const auto work : running)
    names += (names.empty() ? "" : ", ") + functions_.at(work).asked.request.spec->name;
  std::exchange(stopped_, std::nullopt)
      ->deliver(to_caf({error_code::deadline_exceeded, "still running: " + names, {}}));
}

}  // namespace troupe
