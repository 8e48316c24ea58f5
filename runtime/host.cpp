#include <troupe/runtime/host.hpp>

#include <algorithm>
#include <iterator>

#include <troupe/runtime/caf.hpp>
#include <troupe/runtime/host_impl.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto answer_deadline = 10s;
constexpr auto disk_deadline = 60s;
constexpr auto plugin_deadline = 2min;
constexpr auto slack = 1s;  // so that the dispatcher's own deadline error comes first

log_target log_of(const config& settings) {
  if (settings.level == log_level::off) return {};
  const auto level = settings.level == log_level::debug     ? spdlog::level::debug
                     : settings.level == log_level::info    ? spdlog::level::info
                     : settings.level == log_level::warning ? spdlog::level::warn
                                                            : spdlog::level::err;
  return standard_error_log(settings.style == log_style::json ? log_format::json : log_format::text, level);
}

}  // namespace

// -- host -----------------------------------------------------------------------------------------------------------------

host::impl::impl(config given)
    : settings((register_messages(), system_config{})),
      system(std::make_unique<caf::actor_system>(settings)),
      caller(std::make_shared<const principal>(principal{.name = "host", .kind = principal_kind::host})),
      stop_requested(std::make_shared<std::promise<std::string>>()),
      stop_reason(stop_requested->get_future().share()) {
  auto once = std::make_shared<std::atomic_flag>();
  const auto on_stop = [promise = stop_requested, once](std::string reason) {
    if (!once->test_and_set()) promise->set_value(std::move(reason));
  };
  auto log = log_of(given);
  auto started = node::start(*system, std::move(given), on_stop, std::move(log));
  if (!started) throw failure{std::move(started.error())};
  node = std::move(*started);
  watches = spawn_watch_keeper(*system);
  running = true;
}

host::host(config settings) : impl_(std::make_unique<impl>(std::move(settings))) {}

host::~host() {
  stop();
  // What blocks holds its threads, and CAF would wait for them without end: all that they use is left behind with them.
  if (impl_->left_behind) (void)impl_.release();
}

std::vector<std::string> host::stop() {
  if (!impl_->running.exchange(false)) return {};
  const auto until = std::chrono::steady_clock::now() + impl_->node->settings().stop_deadline;
  auto blocked = impl_->node->stop().blocked;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  const auto for_watches = std::max<std::chrono::milliseconds>(left, 20ms);
  auto watches = ask_and_wait<stop_report>(*impl_->system, impl_->watches, for_watches + slack, stop_children{for_watches});
  if (watches) std::move(watches->blocked.begin(), watches->blocked.end(), std::back_inserter(blocked));
  else blocked.push_back("watch_keeper: " + watches.error().message);
  impl_->left_behind = !blocked.empty();
  return blocked;
}

result<value> host::execute(const std::string& command, arguments given, std::chrono::milliseconds deadline) {
  const auto limit = deadline.count() > 0 ? deadline + slack : std::chrono::milliseconds{24h};
  return impl_->ask<value>(impl_->node->actors().dispatcher, limit,
                           execute_command{command, std::move(given), impl_->caller, deadline, {random_uuid()}});
}

std::future<result<value>> host::execute_async(const std::string& command, arguments given,
                                               std::chrono::milliseconds deadline) {
  auto promise = std::make_shared<std::promise<result<value>>>();
  auto future = promise->get_future();
  execute(command, std::move(given), [promise](result<value> outcome) { promise->set_value(std::move(outcome)); }, deadline);
  return future;
}

void host::execute(const std::string& command, arguments given, callback done, std::chrono::milliseconds deadline) {
  if (!impl_->running) return done(fail(error_code::unavailable, "the host has been stopped"));
  const auto limit = deadline.count() > 0 ? deadline + slack : std::chrono::milliseconds{24h};
  execute_command wanted{command, std::move(given), impl_->caller, deadline, {random_uuid()}};
  impl_->system->spawn([dispatcher = impl_->node->actors().dispatcher, wanted = std::move(wanted), limit,
                        done = std::move(done)](caf::event_based_actor* self) mutable {
    ask(self, dispatcher, limit, std::move(wanted))
        .then([done](value& answer) { done(std::move(answer)); }, [done](const error& why) { done(fail(why)); });
  });
}

std::string host::address() const { return impl_->node->address(); }

result<std::vector<peer_info>> host::peers() const {
  auto known = impl_->ask<peer_list>(impl_->node->actors().mesh, answer_deadline, no_parameters{});
  if (!known) return fail(std::move(known.error()));
  return std::move(known->peers);
}

std::optional<std::string> host::wait_for_stop_request(std::chrono::milliseconds deadline) const {
  if (impl_->stop_reason.wait_for(deadline) != std::future_status::ready) return std::nullopt;
  return impl_->stop_reason.get();
}

// -- commands -------------------------------------------------------------------------------------------------------------

result<void> host_commands::add(command_spec spec, function run, run_on where) {
  auto wrapped = [run = std::move(run)](const arguments& given, const command_context&) { return run(given); };
  auto handler = where == run_on::worker ? command_handler{worker_handler{std::move(wrapped)}}
                                         : command_handler{inline_handler{std::move(wrapped)}};
  return host_.impl_->ask<void>(host_.impl_->node->actors().dispatcher, answer_deadline,
                                add_command{std::move(spec), std::move(handler), {}});
}

result<void> host_commands::remove(const std::string& name) {
  return host_.impl_->ask<void>(host_.impl_->node->actors().dispatcher, answer_deadline, remove_commands{{name}});
}

result<std::vector<command_spec>> host_commands::list() const {
  auto all = host_.impl_->ask<command_list>(host_.impl_->node->actors().dispatcher, answer_deadline, list_commands{});
  if (!all) return fail(std::move(all.error()));
  return std::move(all->commands);
}

result<std::vector<command_metrics>> host_commands::metrics() const {
  auto all = host_.impl_->ask<metrics_list>(host_.impl_->node->actors().dispatcher, answer_deadline, get_metrics{});
  if (!all) return fail(std::move(all.error()));
  return std::move(all->commands);
}

result<void> host_commands::reset_metrics() {
  return host_.impl_->ask<void>(host_.impl_->node->actors().dispatcher, answer_deadline, troupe::reset_metrics{});
}

// -- context --------------------------------------------------------------------------------------------------------------

result<value> host_context::get(std::string_view where) const {
  auto parsed = path::parse(where);
  if (!parsed) return fail(std::move(parsed.error()));
  auto found = host_.impl_->ask<value_found>(host_.impl_->node->actors().replica, answer_deadline, get_value{*parsed});
  if (!found) return fail(std::move(found.error()));
  if (!found->found) return fail(error_code::not_found, "there is no value at " + parsed->text());
  return std::move(found->value);
}

result<change_id> host_context::set(std::string_view where, value given, durability level) {
  auto parsed = path::parse(where);
  if (!parsed) return fail(std::move(parsed.error()));
  auto written = host_.impl_->ask<values_written>(
      host_.impl_->node->actors().replica, disk_deadline,
      write_values{.entries = {{*parsed, std::move(given)}}, .durability = level, .principal = "host"});
  if (!written) return fail(std::move(written.error()));
  return written->ids.front();
}

result<change_id> host_context::erase(std::string_view where, durability level) {
  auto parsed = path::parse(where);
  if (!parsed) return fail(std::move(parsed.error()));
  auto written = host_.impl_->ask<values_written>(
      host_.impl_->node->actors().replica, disk_deadline,
      write_values{.entries = {{*parsed, {}}}, .what = operation::erase, .durability = level, .principal = "host"});
  if (!written) return fail(std::move(written.error()));
  return written->ids.front();
}

result<std::vector<context_entry>> host_context::list(std::string_view prefix) const {
  auto parsed = path::parse(prefix);
  if (!parsed) return fail(std::move(parsed.error()));
  std::vector<context_entry> all;
  list_values wanted{.prefix = *parsed, .after = {}, .limit = 10'000};
  while (true) {
    auto page = host_.impl_->ask<value_page>(host_.impl_->node->actors().replica, answer_deadline, wanted);
    if (!page) return fail(std::move(page.error()));
    std::move(page->entries.begin(), page->entries.end(), std::back_inserter(all));
    if (!page->more) return all;
    wanted.after = all.back().path;
  }
}

// -- watch ----------------------------------------------------------------------------------------------------------------

namespace {

/// Calls a host's function for each change. Has a thread of its own, because such functions may wait.
class watcher_state {
public:
  using interface = context_watcher;
  static constexpr const char* name = "watcher";

  watcher_state(interface::pointer self, std::function<void(const change_record&)> function, std::shared_ptr<std::atomic<bool>> active)
      : self_(self), function_(std::move(function)), active_(std::move(active)) {}
  ~watcher_state() { *active_ = false; }

  interface::behavior_type make_behavior() {
    return {[this](const context_changed& told) -> caf::result<void> {
      try {
        for (const auto& change : told.changes)
          if (*active_) function_(*change);
        return {};
      } catch (...) {  // whatever a program's function throws
        self_->quit();
        return to_caf({error_code::handler_failed, "the function of a watch has thrown", {}});
      }
    }};
  }

private:
  interface::pointer self_;
  std::function<void(const change_record&)> function_;
  std::shared_ptr<std::atomic<bool>> active_;
};

}  // namespace

struct watch::impl {
  context_watcher watcher;
  std::shared_ptr<std::atomic<bool>> active;
};

watch::watch() = default;
watch::watch(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
watch::watch(watch&&) noexcept = default;
watch& watch::operator=(watch&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
watch::~watch() {
  if (!impl_) return;
  *impl_->active = false;
  dismiss(impl_->watcher);
}
bool watch::active() const { return impl_ && *impl_->active; }

watch host_context::watch(std::string_view prefix, std::function<void(const change_record&)> function) {
  auto parsed = path::parse(prefix);
  if (!parsed || !host_.impl_->running) return {};
  auto active = std::make_shared<std::atomic<bool>>(true);
  auto watcher = spawn_blocking<watcher_state>(*host_.impl_->system, std::move(function), active);
  const watch_context wanted{*parsed, watcher};
  auto added = host_.impl_->ask<void>(host_.impl_->watches, answer_deadline, wanted);
  if (added) added = host_.impl_->ask<void>(host_.impl_->node->actors().replica, answer_deadline, wanted);
  if (!added) {
    *active = false;
    dismiss(watcher);
  }
  return troupe::watch{std::make_unique<troupe::watch::impl>(troupe::watch::impl{std::move(watcher), std::move(active)})};
}

// -- plugins --------------------------------------------------------------------------------------------------------------

result<plugin_info> host_plugins::load(const std::filesystem::path& package, std::vector<std::string> grants) {
  return host_.impl_->ask<plugin_info>(host_.impl_->node->actors().plugins, plugin_deadline,
                                       load_plugin{std::filesystem::absolute(package).native(), std::move(grants)});
}

result<void> host_plugins::unload(const std::string& name) {
  return host_.impl_->ask<void>(host_.impl_->node->actors().plugins, plugin_deadline, unload_plugin{name});
}

result<std::vector<plugin_info>> host_plugins::list() const {
  auto all = host_.impl_->ask<plugin_list>(host_.impl_->node->actors().plugins, answer_deadline, no_parameters{});
  if (!all) return fail(std::move(all.error()));
  return std::move(all->plugins);
}

// -- CAF ------------------------------------------------------------------------------------------------------------------

caf::actor_system& caf_access::system(host& from) { return *from.impl_->system; }

const node_actors& caf_access::actors(host& from) { return from.impl_->node->actors(); }

result<std::unique_ptr<node>> caf_access::start_node(caf::actor_system& system, config settings) {
  auto log = log_of(settings);
  return node::start(system, std::move(settings), [](const std::string&) {}, std::move(log));
}

}  // namespace troupe
