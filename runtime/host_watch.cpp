// The watches of a host: a function of the host for each change.

#include <troupe/runtime/caf.hpp>
#include <troupe/runtime/call_gate.hpp>
#include <troupe/runtime/host.hpp>
#include <troupe/runtime/host_impl.hpp>

namespace troupe {

namespace {

/// Calls a host's function for each change. Has a thread of its own, because the function may
/// wait.
class watcher_state {
public:
  using interface = context_watcher;
  static constexpr const char* name = "watcher";

  watcher_state(interface::pointer self, std::function<void(const change_record&)> function,
                std::shared_ptr<call_gate> gate)
      : self_(self), function_(std::move(function)), gate_(std::move(gate)) {}
  ~watcher_state() { gate_->close(); }

  interface::behavior_type make_behavior() {
    return {[this](const context_changed& told) -> caf::result<void> {
      try {
        for (const auto& change : told.changes) call(*change);
        return {};
      } catch (...) {
        end_normally(self_);
        return to_caf({error_code::handler_failed, "the function of a watch threw", {}});
      }
    }};
  }

private:
  void call(const change_record& change) {
    if (!gate_->begin()) return;
    function_(change);
    gate_->end();
  }

  interface::pointer self_;
  std::function<void(const change_record&)> function_;
  std::shared_ptr<call_gate> gate_;
};

}  // namespace

struct subscription::impl {
  context_watcher watcher;
  std::shared_ptr<call_gate> gate;
};

subscription::subscription() = default;
subscription::subscription(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
subscription::subscription(subscription&&) noexcept = default;
subscription& subscription::operator=(subscription&& other) noexcept {
  auto taken = std::move(other.impl_);  // before the end: the other may be this one
  end();
  impl_ = std::move(taken);
  return *this;
}
subscription::~subscription() { end(); }
void subscription::end() {
  if (!impl_) return;
  impl_->gate->close();
  dismiss(impl_->watcher);
  impl_ = nullptr;
}
bool subscription::active() const { return impl_ && !impl_->gate->closed(); }

subscription host_context::watch(std::string_view prefix,
                                 std::function<void(const change_record&)> function) {
  auto parsed = path::parse(prefix);
  if (!parsed || !host_.impl_->running) return {};
  auto gate = std::make_shared<call_gate>();
  auto watcher = spawn_blocking<watcher_state>(*host_.impl_->system, std::move(function), gate);
  const watch_context wanted{*parsed, watcher};
  auto added = host_.impl_->ask<void>(host_.impl_->functions, host::impl::answer_deadline, wanted);
  if (added)
    added = host_.impl_->ask<void>(host_.impl_->node->actors().replica, host::impl::answer_deadline,
                                   wanted);
  if (!added) {
    gate->close();
    dismiss(watcher);
  }
  return troupe::subscription{std::make_unique<troupe::subscription::impl>(
      troupe::subscription::impl{std::move(watcher), std::move(gate)})};
}

}  // namespace troupe
