#include <troupe/actors/plugins/launcher.hpp>

#include <algorithm>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/plugins/output_lines.hpp>
#include <troupe/plugins/sandbox/process_handle.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 20ms;
constexpr std::size_t max_output_at_once = 64 * 1024;

class launcher_state {
public:
  using interface = launcher_actor;
  static constexpr const char* name = "launcher";

  launcher_state(interface::pointer self, const sandbox_factory& make, const log_target& log)
      : self_(self), log_(log.logger("plugins")) {
    sandbox_ = make([this](std::string_view plugin, std::string_view operation) { return check(plugin, operation); });
    if (!sandbox_) {
      log_->error("plugin.no_sandbox reason=\"{}\"", sandbox_.error().message);
      return;
    }
    if (const auto cleaned = (*sandbox_)->remove_leftovers(); !cleaned)
      log_->warn("plugin.leftovers reason=\"{}\"", cleaned.error().message);
    else if (*cleaned > 0) log_->info("plugin.leftovers hosts={}", *cleaned);
  }

  interface::behavior_type make_behavior() {
    return {
        [](const read_package& wanted) -> caf::result<package_read> {
          auto manifest = load_manifest(wanted.directory);
          if (!manifest) return to_caf(std::move(manifest.error()));
          return package_read{std::make_shared<const plugin_manifest>(std::move(*manifest))};
        },
        [this](const launch_plugin& wanted) { return reply(launch(wanted)); },
        [this](const end_plugin& wanted) { return end(wanted); },
        [this](const track_plugin& wanted) -> caf::result<resource_usage> {
          if (!sandbox_) return to_caf(sandbox_.error());
          return reply((*sandbox_)->track_resources(wanted.plugin));
        },
        [this](const policy_changed& change) { policies_[change.plugin] = change.policy; },
        [this](const check_operation& wanted) -> caf::result<permission_decision> {
          if (!sandbox_) return to_caf(sandbox_.error());
          return reply((*sandbox_)->check_permission(wanted.plugin, wanted.operation));
        },
        [this](tick) {
          ticking_ = false;
          pass_time();
          if (!running_.empty()) schedule_tick();
        },
    };
  }

private:
  struct running_plugin {
    exit_watcher watcher;
    unique_fd output;
    output_lines lines;
    bool exit_told = false;
    bool ending = false;
    bool for_good = false;
    std::chrono::steady_clock::time_point force_at;
    std::vector<caf::typed_response_promise<void>> ended;
  };

  result<plugin_launched> launch(const launch_plugin& wanted) {
    if (!sandbox_) return fail(sandbox_.error());
    auto made = (*sandbox_)->create(wanted.spec);
    if (!made) return fail(std::move(made.error()));
    auto& plugin = running_[wanted.spec.plugin];
    plugin = running_plugin{.watcher = wanted.watcher, .output = std::move(made->output)};
    schedule_tick();
    return plugin_launched{std::make_shared<unique_fd>(std::move(made->socket)),
                           static_cast<std::uint64_t>(made->pid), std::move(made->layers)};
  }

  caf::result<void> end(const end_plugin& wanted) {
    const auto found = running_.find(wanted.plugin);
    if (found == running_.end()) {
      if (wanted.for_good) policies_.erase(wanted.plugin);
      return {};
    }
    auto& plugin = found->second;
    plugin.for_good = wanted.for_good;
    if (!plugin.ending) {
      plugin.ending = true;
      plugin.force_at = std::chrono::steady_clock::now() + wanted.grace;
      if (wanted.grace.count() > 0) (void)(*sandbox_)->request_stop(wanted.plugin);  // force follows in any case
    }
    auto promise = self_->make_response_promise<void>();
    plugin.ended.push_back(promise);
    if (wanted.grace.count() == 0) pass_time();
    return promise;
  }

  void pass_time() {
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::string> gone;
    for (auto& [plugin, state] : running_) {
      log_output(plugin, state, now);
      const auto exited = (*sandbox_)->poll_exit(plugin);
      if (exited && *exited && !state.exit_told && !state.ending) {
        state.exit_told = true;
        tell(self_, state.watcher, plugin_exited{plugin, **exited});
      }
      if (state.ending && ((exited && *exited) || now >= state.force_at)) gone.push_back(plugin);
    }
    for (const auto& plugin : gone) bury(plugin);
  }

  void schedule_tick() {
    if (!std::exchange(ticking_, true)) tick_after(self_, interval, tick::fast);
  }

  void bury(const std::string& plugin) {
    const auto found = running_.find(plugin);
    auto& state = found->second;
    auto destroyed = (*sandbox_)->destroy(plugin, 0ms);
    log_output(plugin, state, std::chrono::steady_clock::now());
    auto ended = std::exchange(state.ended, {});
    if (destroyed) {
      for (const auto& line : state.lines.finish()) log_line(plugin, line);
      if (state.for_good) policies_.erase(plugin);
      running_.erase(found);
    } else {
      // It keeps its place, for the next order to try again; until then its exit is no news.
      state.ending = false;
      state.exit_told = true;
    }
    for (auto& promise : ended) {
      if (destroyed) promise.deliver();
      else promise.deliver(to_caf(destroyed.error()));
    }
  }

  void log_output(const std::string& plugin, running_plugin& state, std::chrono::steady_clock::time_point now) {
    for (const auto& line : state.lines.take(read_available(state.output.get(), max_output_at_once), now))
      log_line(plugin, line);
    if (const auto dropped = state.lines.take_dropped(); dropped > 0)
      log_->warn("plugin.output_dropped plugin={} lines={}", plugin, dropped);
  }

  void log_line(const std::string& plugin, const std::string& line) {
    log_->info("plugin.output plugin={} line=\"{}\"", plugin, printable(line));
  }

  result<permission_decision> check(std::string_view plugin, std::string_view operation) const {
    const auto found = policies_.find(plugin);
    if (found == policies_.end())
      return fail(error_code::not_found, "there is no plugin \"" + std::string{plugin} + "\"");
    return found->second->check(operation);
  }

  interface::pointer self_;
  std::shared_ptr<spdlog::logger> log_;
  std::map<std::string, std::shared_ptr<const permissions>, std::less<>> policies_;
  result<std::unique_ptr<plugin_sandbox>> sandbox_;
  std::map<std::string, running_plugin> running_;
  bool ticking_ = false;
};

}  // namespace

launcher_actor spawn_launcher(caf::actor_system& system, sandbox_factory make, const log_target& log) {
  return spawn_blocking<launcher_state>(system, std::move(make), log);
}

}  // namespace troupe
