#include <troupe/actors/kernel/supervision.hpp>

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

  supervisor_tree_state(interface::pointer self, std::vector<child_spec> children, failure_watcher on_failure,
                        const log_target& log)
      : self_(self), on_failure_(std::move(on_failure)), log_(log.logger("kernel")) {
    ends_.attach(self_);
    for (auto& spec : children) children_.push_back({std::move(spec), nullptr, {}});
    for (auto& each : children_) start(each);
  }

  interface::behavior_type make_behavior() {
    return {[this](stop_children) {
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
    ends_.watch(self_, which.actor, [this, &which](const caf::error& reason) { on_end(which, reason); });
  }

  void on_end(child& which, const caf::error& reason) {
    which.actor = nullptr;
    if (stopping_) {
      if (&which == current_) stopped();
      return;
    }
    log_->error("kernel.child_ended child={} reason=\"{}\"", which.spec.name, from_caf(reason).message);
    const auto now = self_->clock().now();
    while (!which.restarts.empty() && now - which.restarts.front() > 1min) which.restarts.pop_front();
    if (which.spec.kind == child_kind::replaceable && which.restarts.size() < child_spec::max_restarts) {
      which.restarts.push_back(now);
      start(which);
    } else if (auto told = std::exchange(on_failure_, nullptr)) {
      told({which.spec.name, from_caf(reason).message});
    }
  }

  // -- stopping: one child after the other, from the last to the first ---------------------------------------------------

  void stop_next() {
    while (!children_.empty() && !children_.back().actor) children_.pop_back();
    if (children_.empty()) {
      stopping_->deliver(std::move(report_));
      self_->quit();
      return;
    }
    current_ = &children_.back();
    const auto turn = ++turn_;
    self_->run_delayed(current_->spec.stop_deadline, [this, turn] {
      if (turn == turn_) give_up();
    });
    if (!current_->spec.farewell) return self_->send_exit(current_->actor, caf::exit_reason::user_shutdown);
    const auto exit = [this, turn] {
      if (turn == turn_ && current_->actor) self_->send_exit(current_->actor, caf::exit_reason::user_shutdown);
    };
    self_->request(current_->actor, current_->spec.stop_deadline, *current_->spec.farewell)
        .then([exit](const caf::message&) { exit(); },
              [this, exit, child = current_->spec.name](const caf::error& why) {
                log_->warn("kernel.farewell_failed child={} reason=\"{}\"", child, from_caf(why).message);
                exit();
              });
  }

  void give_up() {
    log_->error("kernel.child_blocks child={} deadline_ms={}", current_->spec.name, current_->spec.stop_deadline.count());
    report_.blocked.push_back(current_->spec.name);
    self_->send_exit(current_->actor, caf::exit_reason::kill);
    stopped();
  }

  void stopped() {
    ++turn_;
    current_ = nullptr;
    children_.pop_back();
    stop_next();
  }

  interface::pointer self_;
  failure_watcher on_failure_;
  std::shared_ptr<spdlog::logger> log_;
  std::deque<child> children_;  // a deque: watchers hold references to its elements
  watch_list ends_;
  std::optional<caf::typed_response_promise<stop_report>> stopping_;
  stop_report report_;
  child* current_ = nullptr;
  std::uint64_t turn_ = 0;
};

}  // namespace

supervisor_tree spawn_supervisor_tree(caf::actor_system& system, std::vector<child_spec> children,
                                      failure_watcher on_failure, const log_target& log) {
  return spawn_shell<supervisor_tree_state>(system, std::move(children), std::move(on_failure), log);
}

}  // namespace troupe
