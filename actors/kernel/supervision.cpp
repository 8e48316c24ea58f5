#include <troupe/actors/kernel/supervision.hpp>

#include <algorithm>
#include <deque>

#include <caf/exit_reason.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

class supervisor_tree_state {
public:
  using interface = supervisor_tree;
  static constexpr const char* name = "supervisor_tree";

  supervisor_tree_state(interface::pointer self, std::vector<child_spec> children,
                        failure_watcher on_failure, const log_target& log)
      : self_(self), on_failure_(std::move(on_failure)), log_(log.logger("kernel")) {
    ends_.attach(self_);
    for (auto& spec : children) children_.push_back({std::move(spec), nullptr, {}});
    for (auto& each : children_) start(each);
  }

  interface::behavior_type make_behavior() {
    return {[this](const stop_children& order) -> caf::result<stop_report> {
      if (stopping_)
        return to_caf({error_code::unavailable, "the children are being stopped already", {}});
      stop_by_ = self_->clock().now() + bounded_timespan(order.deadline);
      to_stop_ = children_.size();
      stopping_ = self_->make_response_promise<stop_report>();
      stop_next();
      return *stopping_;
    }};
  }

private:
  using clock = std::chrono::steady_clock;

  struct child {
    child_spec spec;
    caf::actor actor;
    std::deque<clock::time_point> restarts;
  };

  void start(child& which) {
    which.actor = which.spec.start();
    ends_.watch(self_, which.actor,
                [this, &which](const caf::error& reason) { on_end(which, reason); });
  }

  void on_end(child& which, const caf::error& reason) {
    which.actor = nullptr;
    if (stopping_) {
      if (&which == current_) stopped();
      return;
    }
    log_->error("kernel.child_ended child={} reason={}", which.spec.name,
                printable_quoted(end_reason(reason)));
    const auto now = self_->clock().now();
    while (!which.restarts.empty() && now - which.restarts.front() > 1min)
      which.restarts.pop_front();
    if (which.spec.kind == child_kind::replaceable &&
        which.restarts.size() < child_spec::max_restarts) {
      which.restarts.push_back(now);
      start(which);
    } else if (auto told = std::exchange(on_failure_, nullptr)) {
      told({which.spec.name, end_reason(reason)});
    }
  }

  // -- stopping: one child after the other, from the last to the first ----------------------------

  void stop_next() {
    while (to_stop_ > 0 && !children_[to_stop_ - 1].actor) --to_stop_;
    if (to_stop_ == 0) {
      stopping_->deliver(std::move(report_));
      self_->quit();
      return;
    }
    current_ = &children_[to_stop_ - 1];
    const auto turn = ++turn_;
    if (!current_->spec.farewell) return exit(turn);
    const auto allowed = allowance();
    self_->request(current_->actor, allowed, current_->spec.farewell(told(allowed)))
        .then([this, turn] { exit(turn); },
              [this, turn](const caf::error& why) {
                if (turn != turn_) return;
                block(current_->spec.name + ": " + from_caf(why).message);
                exit(turn);
              });
  }

  void exit(std::uint64_t turn) {
    if (turn != turn_) return;
    self_->run_delayed(allowance(), [this, turn] {
      if (turn != turn_) return;
      block(current_->spec.name);
      self_->send_exit(current_->actor, caf::exit_reason::kill);
      stopped();
    });
    self_->send_exit(current_->actor, caf::exit_reason::user_shutdown);
  }

  void block(std::string what) {
    log_->error("kernel.stop_blocked by={}", printable_quoted(what));
    report_.blocked.push_back(std::move(what));
  }

  /// What the current child may take of the time that is left for all, for its farewell or its
  /// exit.
  caf::timespan allowance() const {
    const caf::timespan left = stop_by_ - self_->clock().now();
    return std::max<caf::timespan>(std::min<caf::timespan>(left / 2, current_->spec.stop_deadline),
                                   20ms);
  }

  /// What a child is told of its allowance: less, so that it can still say in time what has kept
  /// it.
  static std::chrono::milliseconds told(caf::timespan allowed) {
    return std::chrono::floor<std::chrono::milliseconds>(
        allowed - std::min<caf::timespan>(allowed / 4, 250ms));
  }

  void stopped() {
    ++turn_;
    current_ = nullptr;
    --to_stop_;
    stop_next();
  }

  interface::pointer self_;
  failure_watcher on_failure_;
  std::shared_ptr<spdlog::logger> log_;
  std::deque<child>
      children_;  // a deque, and none is removed: watchers hold references to its elements
  watch_list ends_;
  std::optional<caf::typed_response_promise<stop_report>> stopping_;
  stop_report report_;
  clock::time_point stop_by_;
  std::size_t to_stop_ = 0;  ///< The first so many children have not been stopped yet.
  child* current_ = nullptr;
  std::uint64_t turn_ = 0;
};

}  // namespace

supervisor_tree spawn_supervisor_tree(caf::actor_system& system, std::vector<child_spec> children,
                                      failure_watcher on_failure, const log_target& log) {
  return spawn_shell<supervisor_tree_state>(system, std::move(children), std::move(on_failure),
                                            log);
}

}  // namespace troupe
