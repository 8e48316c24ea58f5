#include <troupe/actors/kernel/supervision/supervision.hpp>

#include <deque>
#include <optional>

#include <caf/exit_reason.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/kernel/supervision/restart_window.hpp>
#include <troupe/actors/kernel/supervision/stop_shares.hpp>

namespace troupe {

namespace {

class supervisor_tree_state {
public:
  using interface = supervisor_tree;
  static constexpr const char* name = "supervisor_tree";

  supervisor_tree_state(interface::pointer self, std::vector<child_spec> children,
                        failure_watcher on_failure, const log_target& log)
      : self_(self), on_failure_(std::move(on_failure)), log_(log.logger("kernel")) {
    ends_.attach(self_);
    for (auto& spec : children) children_.emplace_back(std::move(spec));
    for (auto& each : children_) start(each);
  }

  interface::behavior_type make_behavior() {
    return {[this](const stop_children& order) -> caf::result<stop_report> {
      if (stop_)
        return to_caf({error_code::unavailable, "the children are being stopped already", {}});
      return reply_later<stop_report>(self_, [&](reply_to<stop_report> to) {
        stop_.emplace(now() + bounded_timespan(order.deadline), std::move(to));
        to_stop_ = children_.size();
        stop_next();
      });
    }};
  }

private:
  struct child {
    explicit child(child_spec given) : spec(std::move(given)) {}

    child_spec spec;
    caf::actor actor;
    restart_window restarts{child_spec::max_restarts, child_spec::restart_period};
  };

  struct stop {
    stop(stop_shares::time_point by, reply_to<stop_report> to)
        : shares(by), answer(std::move(to)) {}

    stop_shares shares;
    reply_to<stop_report> answer;
    stop_report report;
  };

  void start(child& which) {
    which.actor = which.spec.start();
    if (!which.actor) return;
    ends_.watch(self_, which.actor,
                [this, &which](const caf::error& reason) { on_end(which, reason); });
  }

  void on_end(child& which, const caf::error& reason) {
    which.actor = nullptr;
    if (stop_) {
      if (&which == current_) stopped();
      return;
    }
    log_->error("kernel.child_ended child={} reason={}", which.spec.name,
                printable_quoted(end_reason(reason)));
    if (which.spec.kind == child_kind::replaceable && which.restarts.admit(now()))
      start(which);
    else if (auto report = std::exchange(on_failure_, nullptr))
      report({which.spec.name, end_reason(reason)});
  }

  // -- stopping: one child after the other, from the last to the first ----------------------------

  void stop_next() {
    while (to_stop_ > 0 && !children_[to_stop_ - 1].actor) --to_stop_;
    if (to_stop_ == 0) {
      stop_->answer(std::move(stop_->report));
      end_normally(self_);
      return;
    }
    current_ = &children_[to_stop_ - 1];
    const auto turn = ++turn_;
    if (!current_->spec.farewell) return exit(turn);
    const auto allowed = share();
    ask(self_, current_->actor, allowed, current_->spec.farewell(stop_shares::announced(allowed)))
        .then([this, turn] { exit(turn); },
              [this, turn](const error& why) {
                if (turn != turn_) return;
                block(current_->spec.name + ": " + why.message);
                exit(turn);
              });
  }

  void exit(std::uint64_t turn) {
    if (turn != turn_) return;
    self_->run_delayed(share(), [this, turn] {
      if (turn != turn_) return;
      block(current_->spec.name);
      self_->send_exit(current_->actor, caf::exit_reason::kill);
      stopped();
    });
    dismiss(current_->actor);
  }

  void block(std::string what) {
    log_->error("kernel.stop_blocked by={}", printable_quoted(what));
    stop_->report.blocked.push_back(std::move(what));
  }

  /// How long the step of the current child that begins now may take.
  stop_shares::duration share() const {
    return stop_->shares.share(now(), current_->spec.stop_deadline);
  }

  void stopped() {
    ++turn_;
    current_ = nullptr;
    --to_stop_;
    stop_next();
  }

  stop_shares::time_point now() const { return self_->clock().now(); }

  interface::pointer self_;
  failure_watcher on_failure_;
  std::shared_ptr<spdlog::logger> log_;
  std::deque<child> children_;  ///< Never shrinks or moves: handlers refer to its elements.
  watch_list ends_;
  std::optional<stop> stop_;  ///< While the children are being stopped.
  std::size_t to_stop_ = 0;   ///< The children before this index have not been stopped yet.
  child* current_ = nullptr;  ///< The child that is being stopped.
  std::uint64_t turn_ = 0;    ///< Changes when `current_` does: tells late answers apart.
};

}  // namespace

supervisor_tree spawn_supervisor_tree(caf::actor_system& system, std::vector<child_spec> children,
                                      failure_watcher on_failure, const log_target& log) {
  return spawn_shell<supervisor_tree_state>(system, std::move(children), std::move(on_failure),
                                            log);
}

}  // namespace troupe
