#include <troupe/actors/commands/dispatcher.hpp>

#include <array>
#include <unordered_map>

#include <troupe/actors/commands/admission.hpp>
#include <troupe/actors/commands/performance_monitor.hpp>
#include <troupe/actors/commands/permit.hpp>
#include <troupe/actors/commands/registry.hpp>
#include <troupe/actors/commands/resolver.hpp>
#include <troupe/actors/commands/worker_pool.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using time_point = clock_type::time_point;
using promise_type = caf::typed_response_promise<value>;

constexpr auto expiry_interval = 10ms;
constexpr std::size_t max_callers = 1024;

command_outcome outcome_of(const result<value>& outcome) noexcept {
  if (outcome) return command_outcome::ok;
  switch (outcome.error().code) {
    case error_code::deadline_exceeded: return command_outcome::timeout;
    case error_code::cancelled: return command_outcome::cancelled;
    default: return command_outcome::error;
  }
}

/// A request that has passed validation.
struct accepted_request {
  command_index index;
  std::shared_ptr<const command_spec> spec;
  arguments given;
  principal_ptr caller;
  trace_id trace;
  time_point deadline;
};

/// A caller and which commands it was found to be allowed lately. Neither permits nor commands ever change, and a serial is
/// never used twice, so what was found once holds.
class known_caller {
public:
  explicit known_caller(permit rights) : rights_(std::move(rights)) {}

  bool may_run(const registered_command& command) {
    auto& found = allowed_[command.index.serial % allowed_.size()];
    if (found == command.index.serial) return true;
    if (!rights_.decide(command).allowed) return false;
    found = command.index.serial;
    return true;
  }
  const permit& rights() const noexcept { return rights_; }

private:
  permit rights_;
  std::array<std::uint64_t, 16> allowed_{};  ///< Serials of commands.
};

class dispatcher_state {
public:
  using interface = dispatcher_actor;
  static constexpr const char* name = "dispatcher";

  dispatcher_state(interface::pointer self, const dispatcher_config& config, const log_target& log)
      : self_(self),
        registry_(config.max_commands),
        resolver_(registry_),
        admission_(config.max_waiting),
        monitor_(config.max_commands),
        pool_(config.max_workers),
        log_(log.logger("commands")) {}

  interface::behavior_type make_behavior() {
    return {
        [this](execute_command& wanted) { return execute(wanted); },
        [this](add_command& offered) { return reply(add(offered)); },
        [this](const remove_commands& gone) {
          for (const auto& name : gone.names) remove(name);
        },
        [this](const list_commands& wanted) { return list(wanted, nullptr); },
        [this](const describe_command& wanted) { return reply(describe(wanted, nullptr)); },
        [this](const get_metrics& wanted) { return reply(metrics(wanted)); },
        [this](reset_metrics) { monitor_.reset_metrics(); },
        [this](service_call& call) { return serve(call); },
        [this](const service_notice& notice) {
          log_->warn("command.notice_refused caller=\"{}\" method=\"{}\"", notice.caller->name, notice.method);
        },
        [this](const stop_commands& order) { return stop(order); },
        [this](function_done& done) { finish_function(done); },
        [this](tick) { expire(); },
    };
  }

private:
  // -- the six steps --------------------------------------------------------------------------------------------------

  caf::result<value> execute(execute_command& wanted) {
    const time_point now = self_->clock().now();
    if (stopping_) return to_caf({error_code::unavailable, "the node is being stopped", {}});
    auto* caller = find_caller(wanted.caller);
    if (caller == nullptr) return to_caf(malformed_capabilities());

    const auto resolved = resolver_.resolve(wanted.command, [&](const registered_command& each) {
      return caller->rights().decide(each).allowed;
    });
    if (!resolved) return to_caf(resolved.error());
    const registered_command& command = **resolved;
    const auto turn_away = [&](error why, command_outcome outcome) -> caf::result<value> {
      monitor_.record_unstarted(command.index, command.spec->name, outcome);
      return to_caf(std::move(why));
    };

    if (!caller->may_run(command)) return turn_away(caller->rights().denial(command), command_outcome::denied);
    if (auto valid = command.arguments.validate(wanted.arguments); !valid)
      return turn_away(std::move(valid.error()), command_outcome::invalid);

    const auto limit = wanted.deadline.count() > 0 ? std::min(wanted.deadline, command.spec->timeout) : command.spec->timeout;
    const time_point deadline = now + limit;
    const auto verdict = admission_.offer(command.index, deadline, now);
    if (const auto* no = std::get_if<rejected>(&verdict))
      return turn_away(to_error(*no, command.spec->name), command_outcome::rejected);

    const auto& handler = handlers_[command.index.slot];
    if (const auto* function = std::get_if<inline_handler>(&handler); function && std::holds_alternative<admitted>(verdict))
      return run_inline(*function, command, wanted, deadline, now);

    accepted_request request{command.index, command.spec,  std::move(wanted.arguments),
                             wanted.caller, wanted.trace, deadline};
    auto promise = self_->make_response_promise<value>();
    if (const auto* wait = std::get_if<queued>(&verdict)) {
      waiting_.emplace(wait->ticket.number, waiting_request{std::move(request), promise});
      schedule_expiry();
    } else {
      start(std::move(request), promise, now);
    }
    return promise;
  }

  caf::result<value> run_inline(const inline_handler& function, const registered_command& command,
                                const execute_command& wanted, time_point deadline, time_point started) {
    auto outcome = call_function(function.run, wanted.arguments, {wanted.caller->name, wanted.trace, deadline});
    record(command.index, command.spec->name, outcome_of(outcome), started, self_->clock().now());
    return reply(std::move(outcome));
  }

  void start(accepted_request request, promise_type promise, time_point now) {
    auto& handler = handlers_[request.index.slot];
    if (auto* actor = std::get_if<command_handler_actor>(&handler)) {
      ask_handler(*actor, std::move(request), std::move(promise), now);
    } else if (auto* function = std::get_if<std::shared_ptr<const command_function>>(&handler)) {
      run_on_worker(*function, std::move(request), std::move(promise), now);
    } else {
      auto outcome = call_function(std::get<inline_handler>(handler).run, request.given,
                                   {request.caller->name, request.trace, request.deadline});
      deliver(promise, outcome);
      record(request.index, request.spec->name, outcome_of(outcome), now, self_->clock().now());
    }
  }

  void ask_handler(const command_handler_actor& handler, accepted_request request, promise_type promise, time_point now) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(request.deadline - now);
    auto finish = [this, promise, now, index = request.index, spec = request.spec](result<value> outcome) mutable {
      deliver(promise, outcome);
      record(index, spec->name, outcome_of(outcome), now, self_->clock().now());
    };
    ask(self_, handler, request.deadline - now,
        invoke_command{request.spec->name, std::move(request.given), request.caller->name, std::max(left, 1ms),
                       request.trace})
        .then([finish](value& answer) mutable { finish(std::move(answer)); },
              [finish](const error& failure) mutable { finish(fail(failure)); });
  }

  void run_on_worker(const std::shared_ptr<const command_function>& function, accepted_request request,
                     promise_type promise, time_point now) {
    const auto worker = pool_.take();
    if (worker == workers_.size()) {
      workers_.push_back(spawn_worker(self_->system()));
      self_->link_to(workers_.back());
    }
    const auto execution = ++last_execution_;
    tell(self_, workers_[worker], run_function{execution, function, std::move(request.given), request.caller,
                                               request.trace, request.deadline});
    running_.emplace(execution, running_function{request.index, request.spec, std::move(promise), worker, now, request.deadline});
    schedule_expiry();
  }

  void finish_function(function_done& done) {
    auto found = running_.extract(done.execution);
    if (found.empty()) return;
    auto& run = found.mapped();
    pool_.give_back(run.worker);
    if (run.answered) {
      log_->warn("command.late command={}", run.spec->name);
    } else {
      deliver(run.promise, done.outcome);
    }
    record(run.index, run.spec->name, run.answered ? command_outcome::timeout : outcome_of(done.outcome), run.started,
           self_->clock().now());
  }

  void record(command_index index, const std::string& command, command_outcome outcome, time_point started,
              time_point now) {
    const auto duration = now - started;
    monitor_.record_command(index, command, duration, outcome);
    auto release = admission_.finished(index, duration, now);
    for (const auto& ticket : release.expired) expire(ticket);
    if (!release.run) return;
    auto next = waiting_.extract(release.run->number);
    start(std::move(next.mapped().request), std::move(next.mapped().promise), now);
  }

  // -- time -----------------------------------------------------------------------------------------------------------

  void expire() {
    expiry_scheduled_ = false;
    const time_point now = self_->clock().now();
    for (const auto& ticket : admission_.expire(now)) expire(ticket);
    for (auto& [execution, run] : running_) {
      if (run.answered || run.deadline > now) continue;
      run.answered = true;  // its worker is still busy; its place is free when the function returns
      run.promise.deliver(to_caf({error_code::deadline_exceeded, "the command " + run.spec->name + " did not finish in time", {}}));
    }
    if (stopping_) check_stopped(now);
    if (!waiting_.empty() || !running_.empty()) schedule_expiry();
  }

  caf::result<void> stop(const stop_commands& order) {
    stopping_ = self_->make_response_promise<void>();
    stop_by_ = self_->clock().now() + order.deadline;
    check_stopped(self_->clock().now());
    return *stopping_;
  }

  void check_stopped(time_point now) {
    if (running_.empty()) return stopping_->deliver();
    if (now < stop_by_) return;
    std::string names;
    for (const auto& [execution, run] : running_) names += (names.empty() ? "" : ", ") + run.spec->name;
    stopping_->deliver(to_caf({error_code::deadline_exceeded, "still running: " + names, {}}));
  }

  void expire(queue_ticket ticket) {
    auto gone = waiting_.extract(ticket.number);
    auto& request = gone.mapped().request;
    monitor_.record_unstarted(request.index, request.spec->name, command_outcome::timeout);
    gone.mapped().promise.deliver(
        to_caf({error_code::deadline_exceeded, "the command " + request.spec->name + " waited for its turn until its deadline", {}}));
  }

  void schedule_expiry() {
    if (std::exchange(expiry_scheduled_, true)) return;
    tick_after(self_, expiry_interval, tick::fast);
  }

  // -- the register ---------------------------------------------------------------------------------------------------

  result<void> add(add_command& offered) {
    const auto running = offered.spec.concurrency;
    const auto waiting = offered.spec.queue;
    const auto name = offered.spec.name;
    auto index = registry_.add(std::move(offered.spec), std::move(offered.checks));
    if (!index) return fail(std::move(index.error()));
    admission_.add(*index, running, waiting);
    if (handlers_.size() <= index->slot) handlers_.resize(index->slot + 1);
    if (auto* function = std::get_if<worker_handler>(&offered.handler))
      handlers_[index->slot] = std::make_shared<const command_function>(std::move(function->run));
    else if (auto* quick = std::get_if<inline_handler>(&offered.handler)) handlers_[index->slot] = std::move(*quick);
    else handlers_[index->slot] = std::get<command_handler_actor>(offered.handler);
    log_->debug("command.added command={}", name);
    return {};
  }

  void remove(const std::string& command) {
    const auto index = registry_.remove(command);
    if (!index) return;
    for (const auto& ticket : admission_.remove(*index)) {
      auto gone = waiting_.extract(ticket.number);
      gone.mapped().promise.deliver(to_caf({error_code::unavailable, "the command " + command + " was removed", {}}));
    }
    handlers_[index->slot] = {};
    log_->debug("command.removed command={}", command);
  }

  /// The commands that a caller with these rights may run; without any, all.
  command_list list(const list_commands& wanted, const permit* by) const {
    command_list all;
    for (const auto& spec : registry_.list()) {
      if (!spec->name.starts_with(wanted.prefix)) continue;
      if (by == nullptr || by->decide(*registry_.find(spec->name)).allowed) all.commands.push_back(*spec);
    }
    return all;
  }

  result<command_spec> describe(const describe_command& wanted, const permit* by) const {
    const auto found = resolver_.look_up(wanted.command, [by](const registered_command& each) {
      return by == nullptr || by->decide(each).allowed;
    });
    if (!found) return fail(found.error());
    return *(*found)->spec;
  }

  result<metrics_list> metrics(const get_metrics& wanted) const {
    if (wanted.command.empty()) return metrics_list{monitor_.get_all_command_metrics()};
    if (auto one = monitor_.get_command_metrics(wanted.command)) return metrics_list{{std::move(*one)}};
    if (auto known = resolver_.resolve(wanted.command); !known) return fail(known.error());
    return metrics_list{};
  }

  /// Null when the caller's capabilities are malformed.
  known_caller* find_caller(const principal_ptr& caller) {
    if (const auto found = callers_.find(caller.get()); found != callers_.end()) return &found->second;
    auto made = permit::make(caller);
    if (!made) return nullptr;
    if (callers_.size() >= max_callers) callers_.clear();  // a cache: whoever is missing is made anew
    return &callers_.emplace(caller.get(), known_caller{std::move(*made)}).first->second;
  }

  static error malformed_capabilities() {
    return {error_code::permission_denied, "the caller's capabilities are malformed", {}};
  }

  // -- over links -----------------------------------------------------------------------------------------------------

  caf::result<payload> serve(service_call& call) {
    if (call.method == "command.execute") return serve_execute(call);
    if (call.method == "command.list")
      return serve_with<list_commands>(call, [&](const auto& wanted) -> result<command_list> {
        const auto* caller = find_caller(call.caller);
        if (caller == nullptr) return fail(malformed_capabilities());
        return list(wanted, &caller->rights());
      });
    if (call.method == "command.describe")
      return serve_with<describe_command>(call, [&](const auto& wanted) -> result<command_spec> {
        const auto* caller = find_caller(call.caller);
        if (caller == nullptr) return fail(malformed_capabilities());
        return describe(wanted, &caller->rights());
      });
    if (call.method == "metrics.get")
      return serve_with<get_metrics>(call, [&](const auto& wanted) { return metrics(wanted); });
    if (call.method == "metrics.reset") {
      monitor_.reset_metrics();
      return done_payload();
    }
    return to_caf({error_code::not_found, "the dispatcher does not serve " + call.method, {}});
  }

  caf::result<payload> serve_execute(service_call& call) {
    auto wanted = decode_checked<execute_request>(call.params.bytes);
    if (!wanted) return to_caf(std::move(wanted.error()));
    auto promise = self_->make_response_promise<payload>();
    // The request goes through the dispatcher's own mailbox, where it gets its turn like every other.
    ask(self_, interface{self_}, call.deadline + 1s,
        execute_command{std::move(wanted->command), std::move(wanted->arguments), call.caller, call.deadline, call.trace})
        .then([promise](value& answer) mutable { promise.deliver(payload{{std::move(answer).msgpack()}}); },
              deliver_error(promise));
    return promise;
  }

  static void deliver(promise_type& promise, result<value>& outcome) {
    if (outcome) promise.deliver(std::move(*outcome));
    else promise.deliver(to_caf(outcome.error()));
  }

  struct waiting_request {
    accepted_request request;
    promise_type promise;
  };
  struct running_function {
    command_index index;
    std::shared_ptr<const command_spec> spec;
    promise_type promise;
    worker_pool::worker_index worker;
    time_point started;
    time_point deadline;
    bool answered = false;
  };
  using stored_handler = std::variant<inline_handler, std::shared_ptr<const command_function>, command_handler_actor>;

  interface::pointer self_;
  registry registry_;
  resolver resolver_;
  admission admission_;
  performance_monitor monitor_;
  worker_pool pool_;
  std::shared_ptr<spdlog::logger> log_;
  std::vector<stored_handler> handlers_;  ///< By the slot of the command's index.
  std::unordered_map<const principal*, known_caller> callers_;
  std::unordered_map<std::uint64_t, waiting_request> waiting_;   ///< By ticket; bounded by admission.
  std::unordered_map<std::uint64_t, running_function> running_;  ///< Bounded by the concurrency limits.
  std::vector<worker_actor> workers_;
  std::uint64_t last_execution_ = 0;
  std::optional<caf::typed_response_promise<void>> stopping_;
  time_point stop_by_;
  bool expiry_scheduled_ = false;
};

}  // namespace

dispatcher_actor spawn_dispatcher(caf::actor_system& system, const dispatcher_config& config, const log_target& log) {
  return spawn_shell<dispatcher_state>(system, config, log);
}

}  // namespace troupe
