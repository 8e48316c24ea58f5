#include <troupe/actors/plugins/launcher.hpp>

#include <map>
#include <utility>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/plugins/life/process_watch.hpp>
#include <troupe/actors/plugins/manager.hpp>
#include <troupe/actors/plugins/output_lines.hpp>
#include <troupe/actors/plugins/package_reader.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/plugins/sandbox/bwrap_command.hpp>
#include <troupe/plugins/sandbox/process_handle.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 20ms;
constexpr std::size_t max_output_at_once = 128 * 1024;  // of one plugin; as much as its pipe holds

class launcher_state {
public:
  using clock = std::chrono::steady_clock;
  using interface = launcher_actor;
  static constexpr const char* name = "launcher";

  launcher_state(interface::pointer self, const sandbox_factory& make, package_reader_actor reader,
                 const log_target& log)
      : self_(self), log_(log.logger("plugins")), reader_(std::move(reader)) {
    sandbox_ = make([this](std::string_view, std::string_view operation) {
      TROUPE_ASSERT(policy_of_question_, "a question about permissions brings its policy");
      return policy_of_question_->check(operation);
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
        [this](const read_package& wanted) {
          return reply_later<package_read>(self_, [&](reply_to<package_read> to) {
            ask(self_, reader_, read_deadline, wanted).then(pass_answer(to), pass_error(to));
          });
        },
        [this](const launch_plugin& wanted) {
          return reply_later<plugin_launched>(
              self_, [&](reply_to<plugin_launched> to) { launch(wanted, std::move(to)); });
        },
        [this](const end_plugin& wanted) {
          return reply_later<plugin_ended>(
              self_, [&](reply_to<plugin_ended> to) { end(wanted, std::move(to)); });
        },
        [this](const track_plugin& wanted) -> caf::result<resource_usage> {
          if (!sandbox_) return to_caf(sandbox_.error());
          return reply((*sandbox_)->track_resources(wanted.plugin));
        },
        [this](const check_by_policy& wanted) -> caf::result<permission_decision> {
          if (!sandbox_) return to_caf(sandbox_.error());
          policy_of_question_ = wanted.policy;
          auto decision = (*sandbox_)->check_permission(wanted.plugin, wanted.operation);
          policy_of_question_.reset();
          return reply(std::move(decision));
        },
        [this](tick) {
          ticking_ = false;
          pass_time();
          if (!watch_.is_empty()) schedule_tick();
        },
    };
  }

private:
  struct running_plugin {
    exit_watcher watcher;
    unique_fd output;
    output_lines lines;
    std::vector<reply_to<plugin_ended>> ending;  ///< Answered at its end.
  };

  // -- launch -------------------------------------------------------------------------------------

  void launch(const launch_plugin& wanted, reply_to<plugin_launched> to) {
    if (!sandbox_) return to(fail(sandbox_.error()));
    if (!wanted.manifest || wanted.manifest->integrity.empty()) return to(start(wanted));
    const auto number = watch_.begin_verification(wanted.spec.plugin);
    ask(self_, reader_, wanted.spec.start_deadline,
        verify_package{wanted.spec.package, wanted.manifest})
        .then(
            [this, to, wanted, number]() mutable {
              if (watch_.finish_verification(wanted.spec.plugin, number)) return to(start(wanted));
              to(fail(error_code::unavailable,
                      "the plugin " + wanted.spec.plugin + " was ended before it started"));
            },
            [this, to, plugin = wanted.spec.plugin, number](const error& why) mutable {
              (void)watch_.finish_verification(plugin, number);
              to(fail(why));
            });
  }

  result<plugin_launched> start(const launch_plugin& wanted) {
    auto spec = wanted.spec;
    std::error_code ignored;
    for (const auto& file : wanted.files)
      if (std::filesystem::is_regular_file(file, ignored)) spec.readable.push_back(file);
    for (const auto& tree : wanted.trees) {
      const auto checked = check_readable(tree);
      if (checked)
        spec.readable.push_back(tree);
      else
        log_->warn("plugin.not_shown plugin={} reason={}", wanted.spec.plugin,
                   printable_quoted(checked.error().message));
    }
    auto made = (*sandbox_)->create(spec);
    if (!made) return fail(std::move(made.error()));
    watch_.add(spec.plugin, clock::now());
    running_[spec.plugin] =
        running_plugin{.watcher = wanted.watcher, .output = std::move(made->output)};
    schedule_tick();
    return plugin_launched{std::make_shared<unique_fd>(std::move(made->socket)),
                           static_cast<std::uint64_t>(made->pid), std::move(made->layers)};
  }

  // -- end ----------------------------------------------------------------------------------------

  void end(const end_plugin& wanted, reply_to<plugin_ended> to) {
    if (!watch_.end(wanted.plugin, wanted.patience, wanted.grace, clock::now()))
      return to(plugin_ended{});
    auto& state = running(wanted.plugin);
    state.ending.push_back(std::move(to));
    if (const auto gone = look_at(wanted.plugin, state, clock::now())) reap(wanted.plugin, *gone);
  }

  /// How a process ended that is to be reaped: by force when there is no status.
  using reapable = std::optional<exit_status>;

  void pass_time() {
    const auto now = clock::now();
    std::vector<std::pair<std::string, reapable>> gone;
    for (auto& [plugin, state] : running_)
      if (auto ended = look_at(plugin, state, now)) gone.emplace_back(plugin, std::move(*ended));
    for (const auto& [plugin, status] : gone) reap(plugin, status);
    check_limits(now);
  }

  /// Does what is due for one process, short of reaping it. @returns something when that is due.
  std::optional<reapable> look_at(const std::string& plugin, running_plugin& state,
                                  clock::time_point now) {
    log_output(plugin, state, now);
    const auto exited = (*sandbox_)->poll_exit(plugin);
    const auto status = exited ? *exited : std::nullopt;
    const auto seen = status ? process_watch::seen::exited : process_watch::seen::running;
    switch (watch_.observe(plugin, seen, now)) {
      case process_watch::duty::nothing: break;
      case process_watch::duty::report_exit:
        log_output(plugin, state, now);  // the last lines, printed since
        tell(self_, state.watcher, plugin_exited{plugin, *status, printable(state.lines.last())});
        break;
      case process_watch::duty::ask_to_end: (void)(*sandbox_)->request_stop(plugin); break;
      case process_watch::duty::reap: return std::make_optional(status);
    }
    return std::nullopt;
  }

  void check_limits(clock::time_point now) {
    const auto plugin = watch_.next_sample(now);
    if (!plugin) return;
    const auto checked = (*sandbox_)->check_limits(*plugin);
    if (!checked && watch_.report_excess(*plugin))
      tell(self_, running(*plugin).watcher, plugin_exceeded{*plugin, checked.error().message});
  }

  void reap(const std::string& plugin, const reapable& status) {
    auto& state = running(plugin);
    const auto destroyed = (*sandbox_)->destroy(plugin, 0ms);
    log_output(plugin, state, clock::now());
    const auto last_output = printable(state.lines.last());
    auto waiting = std::exchange(state.ending, {});
    if (destroyed) {
      for (const auto& line : state.lines.finish()) log_line(plugin, line);
      watch_.remove(plugin);
      running_.erase(plugin);
    } else {
      watch_.end_failed(plugin);
    }
    for (auto& each : waiting) {
      if (destroyed)
        each(plugin_ended{status, last_output});
      else
        each(fail(destroyed.error()));
    }
  }

  void schedule_tick() {
    if (!std::exchange(ticking_, true)) tick_after(self_, interval, tick::fast);
  }

  // -- output -------------------------------------------------------------------------------------

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

  interface::pointer self_;
  std::shared_ptr<spdlog::logger> log_;
  package_reader_actor reader_;
  result<std::unique_ptr<plugin_sandbox>> sandbox_;
  /// By which the sandbox answers the question at hand; null without one.
  std::shared_ptr<const permissions> policy_of_question_;
  running_plugin& running(const std::string& plugin) {
    const auto found = running_.find(plugin);
    TROUPE_ASSERT(found != running_.end(), "a watched process is a running one");
    return found->second;
  }

  process_watch watch_;  ///< Of the same plugins as `running_`.
  std::map<std::string, running_plugin> running_;
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
