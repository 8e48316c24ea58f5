#include <troupe/runtime/function_keeper.hpp>

#include <map>
#include <optional>
#include <string>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

pending_call::~pending_call() {
  if (done_) finish(fail(error_code::unavailable, "the host has been stopped"));
}

void pending_call::finish(result<value> outcome) {
  if (const auto done = std::exchange(done_, nullptr)) done(std::move(outcome));
}

namespace {

/// Runs one command and its callback, then ends.
class call_runner_state {
public:
  using interface = caf::typed_actor<caf::result<void>(tick)>;
  static constexpr const char* name = "call_runner";

  call_runner_state(interface::pointer self, std::shared_ptr<pending_call> call)
      : self_(self), call_(std::move(call)) {}

  interface::behavior_type make_behavior() {
    ask(self_, call_->dispatcher(), call_->limit(), call_->take())
        .then([this](value& answer) { finish(std::move(answer)); },
              [this](const error& why) { finish(fail(why)); });
    return {[](tick) {}};
  }

private:
  void finish(result<value> outcome) {
    end_normally(self_);  // first, as the callback may throw
    call_->finish(std::move(outcome));
  }

  interface::pointer self_;
  std::shared_ptr<pending_call> call_;
};

class function_keeper_state {
public:
  using interface = function_keeper;
  static constexpr const char* name = "function_keeper";

  explicit function_keeper_state(interface::pointer self) : self_(self) { ends_.attach(self_); }

  interface::behavior_type make_behavior() {
    return {
        [this](const watch_context& added) { keep_watcher(added); },
        [this](const start_call& wanted) { start(wanted.call); },
        [this](const stop_children& order) { return stop(order); },
        [this](tick) { finish(); },
    };
  }

private:
  void keep_watcher(const watch_context& added) {
    keep(added.watcher,
         "the function that watches " + (added.prefix.is_root() ? "/" : added.prefix.text()));
    watchers_.emplace(added.watcher.id(), added.watcher);
    if (stopping_) dismiss(added.watcher);
  }

  void start(const std::shared_ptr<pending_call>& call) {
    auto what = "the callback of " + call->command();
    keep(spawn_shell<call_runner_state>(self_->system(), call), std::move(what));
  }

  template <class Handle>
  void keep(const Handle& caller, std::string what) {
    const auto id = caller.id();
    functions_.emplace(id, std::move(what));
    ends_.watch(self_, caller, [this, id](const caf::error&) {
      functions_.erase(id);
      watchers_.erase(id);
      if (stopping_ && functions_.empty()) finish();
    });
  }

  caf::result<stop_report> stop(const stop_children& order) {
    if (stopping_)
      return to_caf({error_code::unavailable, "the functions are being stopped already", {}});
    return reply_later<stop_report>(self_, [&](reply_to<stop_report> to) {
      stopping_ = std::move(to);
      for (const auto& [id, watcher] : watchers_) dismiss(watcher);
      if (functions_.empty())
        finish();
      else
        tick_after(self_, order.deadline, tick::fast);
    });
  }

  void finish() {
    TROUPE_ASSERT(stopping_.has_value(), "only a stop is finished");
    stop_report report;
    for (auto& [id, what] : functions_) report.blocked.push_back(std::move(what));
    (*stopping_)(std::move(report));
    end_normally(self_);
  }

  interface::pointer self_;
  // Bounded: the replica bounds its watchers, the dispatcher the commands that wait. Others end at
  // once.
  std::map<caf::actor_id, std::string> functions_;
  std::map<caf::actor_id, context_watcher>
      watchers_;  ///< Those of them that end when they are dismissed.
  watch_list ends_;
  std::optional<reply_to<stop_report>> stopping_;
};

}  // namespace

function_keeper spawn_function_keeper(caf::actor_system& system) {
  return spawn_shell<function_keeper_state>(system);
}

}  // namespace troupe
