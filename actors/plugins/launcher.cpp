#include <troupe/actors/plugins/launcher.hpp>

#include <algorithm>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/plugins/manager.hpp>
#include <troupe/actors/plugins/output_lines.hpp>
#include <troupe/actors/plugins/package_reader.hpp>
#include <troupe/plugins/sandbox/bwrap_command.hpp>
#include <troupe/plugins/sandbox/process_handle.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 20ms;
constexpr auto limits_interval = 1000ms;
constexpr std::size_t max_output_at_once = 64 * 1024;

class launcher_state {
public:
  using interface = launcher_actor;
  static constexpr const char* name = "launcher";

  launcher_state(interface::pointer self, const sandbox_factory& make, package_reader_actor reader,
                 const log_target& log)
      : self_(self), log_(log.logger("plugins")), reader_(std::move(reader)) {
    sandbox_ = make([this](std::string_view plugin, std::string_view operation) {
      return check(plugin, operation);
    });
    if (!sandbox_) {
      log_->error("plugin.no_sandbox reason={}", printable_quoted(sandbox_.error().message));
      return;
    }
    if (const auto cleaned = (*sandbox_)->remove_leftovers(); !cleaned)
      log_->warn("plugin.leftovers reason={}", printable_quoted(cleaned.error().message));
    else if (*cleaned > 0)
      log_->info("plugin.leftovers hosts={}", *cleaned);
  }

  interface::behavior_type make_behavior() {
    return {
        [this](const read_package& wanted) -> caf::result<package_read> {
          auto promise = self_->make_response_promise<package_read>();
          ask(self_, reader_, read_deadline, wanted)
              .then([promise](package_read& read) mutable { promise.deliver(std::move(read)); },
                    [promise](const error& why) mutable { promise.deliver(to_caf(why)); });
          return promise;
        },
        [this](const launch_plugin& wanted) { return launch(wanted); },
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
  using clock = std::chrono::steady_clock;

  struct running_plugin {
    exit_watcher watcher;
    unique_fd output;
    output_lines lines;
    clock::time_point check_at;  ///< When its limits are looked at next.
    bool excess_told = false;
    bool exit_told = false;
    bool ending = false;
    bool asked = false;  ///< To end.
    bool for_good = false;
    clock::time_point ask_at, force_at;
    std::vector<caf::typed_response_promise<plugin_ended>> ended;
  };

  caf::result<plugin_launched> launch(const launch_plugin& wanted) {
    if (!sandbox_) return to_caf(sandbox_.error());
    if (!wanted.manifest || wanted.manifest->integrity.empty()) return reply(start(wanted));
    auto promise = self_->make_response_promise<plugin_launched>();
    const auto& plugin = wanted.spec.plugin;
    const auto turn = verifying_[plugin] = ++turns_;
    const auto is_wanted = [this, plugin, turn] {
      const auto found = verifying_.find(plugin);
      return found != verifying_.end() && found->second == turn && verifying_.erase(plugin) > 0;
    };
    ask(self_, reader_, wanted.spec.start_deadline,
        verify_package{wanted.spec.package, wanted.manifest})
        .then(
            [this, promise, wanted, is_wanted]() mutable {
              auto started =
                  is_wanted() ? start(wanted)
                              : fail(error_code::unavailable, "the plugin " + wanted.spec.plugin +
                                                                  " was ended before it started");
              if (started)
                promise.deliver(std::move(*started));
              else
                promise.deliver(to_caf(std::move(started.error())));
            },
            [promise, is_wanted](const error& why) mutable {
              is_wanted();
              promise.deliver(to_caf(why));
            });
    return promise;
  }

  result<plugin_launched> start(const launch_plugin& wanted) {
    auto spec = wanted.spec;
    std::error_code ignored;
    for (const auto& file : wanted.files)
      if (std::filesystem::is_regular_file(file, ignored)) spec.readable.push_back(file);
    for (const auto& tree : wanted.trees) {
      const auto fine = check_readable(tree);
      if (fine)
        spec.readable.push_back(tree);
      else
        log_->warn("plugin.not_shown plugin={} reason={}", wanted.spec.plugin,
                   printable_quoted(fine.error().message));
    }
    auto made = (*sandbox_)->create(spec);
    if (!made) return fail(std::move(made.error()));
    auto& plugin = running_[wanted.spec.plugin];
    plugin = running_plugin{.watcher = wanted.watcher,
                            .output = std::move(made->output),
                            .check_at = clock::now() + limits_interval};
    schedule_tick();
    return plugin_launched{std::make_shared<unique_fd>(std::move(made->socket)),
                           static_cast<std::uint64_t>(made->pid), std::move(made->layers)};
  }

  caf::result<plugin_ended> end(const end_plugin& wanted) {
    verifying_.erase(wanted.plugin);
    const auto found = running_.find(wanted.plugin);
    if (found == running_.end()) {
      if (wanted.for_good) policies_.erase(wanted.plugin);
      return plugin_ended{};
    }
    auto& plugin = found->second;
    plugin.for_good = wanted.for_good;
    if (!plugin.ending) {
      plugin.ending = true;
      plugin.asked = wanted.grace.count() == 0;  // force follows in any case
      plugin.ask_at = clock::now() + wanted.patience;
      plugin.force_at = plugin.ask_at + wanted.grace;
    }
    auto promise = self_->make_response_promise<plugin_ended>();
    plugin.ended.push_back(promise);
    pass_time();
    return promise;
  }

  void pass_time() {
    const auto now = clock::now();
    std::vector<std::pair<std::string, std::optional<exit_status>>> gone;
    for (auto& [plugin, state] : running_) {
      log_output(plugin, state, now);
      const auto exited = (*sandbox_)->poll_exit(plugin);
      const auto status = exited ? *exited : std::nullopt;
      if (status && !state.exit_told && !state.ending) {
        state.exit_told = true;
        log_output(plugin, state, now);  // what it printed since, at its very end
        tell(self_, state.watcher, plugin_exited{plugin, *status, printable(state.lines.last())});
      }
      if (!state.ending) continue;
      if (status || now >= state.force_at)
        gone.emplace_back(plugin, status);
      else if (now >= state.ask_at && !std::exchange(state.asked, true))
        (void)(*sandbox_)->request_stop(plugin);
    }
    for (const auto& [plugin, status] : gone) reap(plugin, status);
    check_limits(now);
  }

  /// To look at a plugin may mean to look at every process of the machine: so at most one at a
  /// time, in turn.
  void check_limits(clock::time_point now) {
    const auto next = std::ranges::min_element(
        running_, {}, [](const auto& entry) { return entry.second.check_at; });
    if (next == running_.end() || next->second.check_at > now) return;
    auto& [plugin, state] = *next;
    state.check_at = now + limits_interval;
    if (state.ending || state.exit_told || state.excess_told) return;
    const auto checked = (*sandbox_)->check_limits(plugin);
    if (checked) return;
    state.excess_told = true;
    tell(self_, state.watcher, plugin_exceeded{plugin, checked.error().message});
  }

  void schedule_tick() {
    if (!std::exchange(ticking_, true)) tick_after(self_, interval, tick::fast);
  }

  void reap(const std::string& plugin, const std::optional<exit_status>& status) {
    const auto found = running_.find(plugin);
    auto& state = found->second;
    auto destroyed = (*sandbox_)->destroy(plugin, 0ms);
    log_output(plugin, state, clock::now());
    const auto last_output = printable(state.lines.last());
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
      if (destroyed)
        promise.deliver(plugin_ended{status, last_output});
      else
        promise.deliver(to_caf(destroyed.error()));
    }
  }

  void log_output(const std::string& plugin, running_plugin& state, clock::time_point now) {
    for (const auto& line :
         state.lines.take(read_available(state.output.get(), max_output_at_once), now))
      log_line(plugin, line);
    if (const auto dropped = state.lines.take_dropped(); dropped > 0)
      log_->warn("plugin.output_dropped plugin={} lines={}", plugin, dropped);
  }

  void log_line(const std::string& plugin, const std::string& line) {
    log_->info("plugin.output plugin={} line={}", plugin, printable_quoted(line));
  }

  result<permission_decision> check(std::string_view plugin, std::string_view operation) const {
    const auto found = policies_.find(plugin);
    if (found == policies_.end())
      return fail(error_code::not_found, "there is no plugin \"" + std::string{plugin} + "\"");
    return found->second->check(operation);
  }

  interface::pointer self_;
  std::shared_ptr<spdlog::logger> log_;
  package_reader_actor reader_;
  std::map<std::string, std::shared_ptr<const permissions>, std::less<>> policies_;
  result<std::unique_ptr<plugin_sandbox>> sandbox_;
  std::map<std::string, running_plugin> running_;
  std::map<std::string, std::uint64_t>
      verifying_;  ///< Launches whose package is being verified, each with a number of its own.
  std::uint64_t turns_ = 0;
  bool ticking_ = false;
};

}  // namespace

launcher_actor spawn_launcher(caf::actor_system& system, sandbox_factory make,
                              package_reader_actor reader, const log_target& log) {
  return spawn_blocking<launcher_state>(system, std::move(make), std::move(reader), log);
}

child_spec launcher_child(caf::actor_system& system, sandbox_factory make,
                          std::function<package_reader_actor()> reader, const log_target& log,
                          on_started<launcher_actor> started) {
  return make_child(
      "launcher",
      [&system, make = std::move(make), reader = std::move(reader), log] {
        return spawn_launcher(system, make, reader(), log);
      },
      std::move(started));
}

}  // namespace troupe
