#include <troupe/runtime/watch_keeper.hpp>

#include <map>
#include <optional>
#include <string>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

namespace {

class watch_keeper_state {
public:
  using interface = watch_keeper;
  static constexpr const char* name = "watch_keeper";

  explicit watch_keeper_state(interface::pointer self) : self_(self) { ends_.attach(self_); }

  interface::behavior_type make_behavior() {
    return {
        [this](const watch_context& added) { keep(added); },
        [this](const stop_children& order) { return stop(order); },
        [this](tick) { finish(); },
    };
  }

private:
  void keep(const watch_context& added) {
    const auto id = added.watcher.id();
    kept_[id] = added;
    ends_.watch(self_, added.watcher, [this, id](const caf::error&) {
      kept_.erase(id);
      if (stopping_ && kept_.empty()) finish();
    });
    if (stopping_) dismiss(added.watcher);
  }

  caf::result<stop_report> stop(const stop_children& order) {
    stopping_ = self_->make_response_promise<stop_report>();
    for (const auto& [id, each] : kept_) dismiss(each.watcher);
    if (kept_.empty()) finish();
    else tick_after(self_, order.deadline, tick::fast);
    return *stopping_;
  }

  void finish() {
    stop_report report;
    for (const auto& [id, each] : kept_)
      report.blocked.push_back("the function that watches " + (each.prefix.is_root() ? "/" : each.prefix.text()));
    stopping_->deliver(std::move(report));
    self_->quit();
  }

  interface::pointer self_;
  std::map<caf::actor_id, watch_context> kept_;  ///< The replica bounds how many watch it; the others end at once.
  watch_list ends_;
  std::optional<caf::typed_response_promise<stop_report>> stopping_;
};

}  // namespace

watch_keeper spawn_watch_keeper(caf::actor_system& system) { return spawn_shell<watch_keeper_state>(system); }

}  // namespace troupe
