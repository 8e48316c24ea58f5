#include <troupe/runtime/host.hpp>

#include <algorithm>
#include <iterator>

#include <troupe/messages/text/utf8.hpp>
#include <troupe/runtime/caf.hpp>
#include <troupe/runtime/host_impl.hpp>
#include <troupe/runtime/surroundings.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto disk_deadline = 60s;
constexpr auto plugin_deadline = load_deadline + 10s;  // the most that a manifest may ask for
constexpr std::chrono::milliseconds longest_deadline = 24h;
constexpr auto slack = 1s;  // so that the dispatcher's own deadline error comes first

/// How long to wait for the dispatcher's answer. @param deadline For the command, or 0.
std::chrono::milliseconds answer_limit(std::chrono::milliseconds deadline) {
  return deadline.count() > 0 ? std::min(deadline, longest_deadline) + slack : longest_deadline;
}

log_target log_of(const config& settings) {
  if (settings.level == log_level::off) return {};
  const auto level = settings.level == log_level::debug     ? spdlog::level::debug
                     : settings.level == log_level::info    ? spdlog::level::info
                     : settings.level == log_level::warning ? spdlog::level::warn
                                                            : spdlog::level::err;
  return standard_error_log(settings.format, level);
}

}  // namespace

// -- host -----------------------------------------------------------------------------------------

host::impl::impl()
    : system_settings((register_messages(), system_config{})),
      system(std::make_unique<caf::actor_system>(system_settings)),
      caller(std::make_shared<const principal>(
          principal{.name = "host", .kind = principal_kind::host})),
      stop_requested(std::make_shared<std::promise<stop_request>>()),
      wanted_stop(stop_requested->get_future().share()),
      stop_outcome(stopped.get_future().share()) {}

result<void> host::impl::start(config given) {
  auto once = std::make_shared<std::atomic_flag>();
  const auto on_stop = [promise = stop_requested, once](stop_request wanted) {
    if (!once->test_and_set()) promise->set_value(std::move(wanted));
  };
  auto log = log_of(given);
  auto started = node::start(*system, std::move(given), on_stop, std::move(log));
  if (!started) {
    left_behind = !started.error().blocked.empty();
    return fail(std::move(started.error().why));
  }
  node = std::move(*started);
  functions = spawn_function_keeper(*system);
  running = true;
  return {};
}

std::vector<std::string> host::impl::stop() {
  const auto until = std::chrono::steady_clock::now() + node->settings().stop_deadline;
  auto blocked = node->stop().blocked;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      until - std::chrono::steady_clock::now());
  const auto for_functions = std::max<std::chrono::milliseconds>(left, 20ms);
  auto ended = ask_and_wait<stop_report>(*system, functions, for_functions + slack,
                                         stop_children{for_functions});
  if (ended)
    std::move(ended->blocked.begin(), ended->blocked.end(), std::back_inserter(blocked));
  else
    blocked.push_back("function_keeper: " + ended.error().message);
  return blocked;
}

host::host(config settings) : impl_(std::make_unique<impl>()) {
  auto started = impl_->start(std::move(settings));
  if (started) return;
  if (impl_->left_behind) (void)impl_.release();  // as below
  throw failure{std::move(started.error())};
}

host::~host() {
  stop();
  // CAF would wait for the threads that block for ever: leave them behind, with all that they use.
  if (impl_->left_behind) (void)impl_.release();
}

std::vector<std::string> host::stop() {
  if (impl_->running.exchange(false)) {
    auto blocked = impl_->stop();
    impl_->left_behind = !blocked.empty();
    impl_->stopped.set_value(std::move(blocked));
  }
  return impl_->stop_outcome.get();
}

result<value> host::execute(const std::string& command, arguments given,
                            std::chrono::milliseconds deadline) {
  return impl_->ask<value>(impl_->node->actors().dispatcher, answer_limit(deadline),
                           execute_command{command,
                                           std::move(given),
                                           impl_->caller,
                                           std::min(deadline, longest_deadline),
                                           {random_uuid()}});
}

std::future<result<value>> host::execute_async(const std::string& command, arguments given,
                                               std::chrono::milliseconds deadline) {
  auto promise = std::make_shared<std::promise<result<value>>>();
  auto future = promise->get_future();
  execute(
      command, std::move(given),
      [promise](result<value> outcome) { promise->set_value(std::move(outcome)); }, deadline);
  return future;
}

void host::execute(const std::string& command, arguments given, callback done,
                   std::chrono::milliseconds deadline) {
  if (!impl_->running) return done(fail(error_code::unavailable, "the host has been stopped"));
  execute_command wanted{command,
                         std::move(given),
                         impl_->caller,
                         std::min(deadline, longest_deadline),
                         {random_uuid()}};
  tell(impl_->functions, start_call{std::make_shared<pending_call>(
                             impl_->node->actors().dispatcher, std::move(wanted),
                             answer_limit(deadline), std::move(done))});
}

std::string host::address() const { return impl_->node->address(); }

result<std::vector<peer_info>> host::peers() const {
  auto known =
      impl_->ask<peer_list>(impl_->node->actors().mesh, host::impl::answer_deadline, list_peers{});
  if (!known) return fail(std::move(known.error()));
  return std::move(known->peers);
}

std::optional<stop_request> host::wait_for_stop_request(std::chrono::milliseconds deadline) const {
  if (impl_->wanted_stop.wait_for(std::min(deadline, longest_deadline)) !=
      std::future_status::ready)
    return std::nullopt;
  return impl_->wanted_stop.get();
}

// -- commands -------------------------------------------------------------------------------------

result<void> host_commands::add(command_spec spec, function run, run_on where,
                                std::vector<custom_check> checks) {
  auto wrapped = [run = std::move(run)](arguments& given, const command_context&) {
    return run(given);
  };
  auto handler = where == run_on::worker ? command_handler{worker_handler{std::move(wrapped)}}
                                         : command_handler{inline_handler{std::move(wrapped)}};
  return host_.impl_->ask<void>(
      host_.impl_->node->actors().dispatcher, host::impl::answer_deadline,
      add_command{std::move(spec), std::move(handler), std::move(checks)});
}

result<void> host_commands::add(command_spec spec, long_function run,
                                std::vector<custom_check> checks) {
  worker_handler handler{[run = std::move(run)](arguments& given, const command_context& about) {
    return run(given, about.stop);
  }};
  return host_.impl_->ask<void>(
      host_.impl_->node->actors().dispatcher, host::impl::answer_deadline,
      add_command{std::move(spec), std::move(handler), std::move(checks)});
}

result<void> host_commands::remove(const std::string& name) {
  return host_.impl_->ask<void>(host_.impl_->node->actors().dispatcher, host::impl::answer_deadline,
                                remove_commands{{name}});
}

result<std::vector<command_spec>> host_commands::list() const {
  auto all = host_.impl_->ask<command_list>(host_.impl_->node->actors().dispatcher,
                                            host::impl::answer_deadline, list_commands{});
  if (!all) return fail(std::move(all.error()));
  return std::move(all->commands);
}

result<std::vector<command_metrics>> host_commands::metrics() const {
  auto all = host_.impl_->ask<metrics_list>(host_.impl_->node->actors().dispatcher,
                                            host::impl::answer_deadline, get_metrics{});
  if (!all) return fail(std::move(all.error()));
  return std::move(all->commands);
}

result<void> host_commands::reset_metrics() {
  return host_.impl_->ask<void>(host_.impl_->node->actors().dispatcher, host::impl::answer_deadline,
                                troupe::reset_metrics{});
}

// -- context --------------------------------------------------------------------------------------

result<value_found> host_context::find(std::string_view where) const {
  auto parsed = path::parse(where);
  if (!parsed) return fail(std::move(parsed.error()));
  return host_.impl_->ask<value_found>(host_.impl_->node->actors().replica,
                                       host::impl::answer_deadline, get_value{*parsed, true});
}

result<value> host_context::get(std::string_view where) const {
  auto parsed = path::parse(where);
  if (!parsed) return fail(std::move(parsed.error()));
  auto found = host_.impl_->ask<value_found>(host_.impl_->node->actors().replica,
                                             host::impl::answer_deadline, get_value{*parsed});
  if (!found) return fail(std::move(found.error()));
  if (!found->found) return fail(error_code::not_found, "there is no value at " + parsed->text());
  return std::move(found->value);
}

result<values_written> host_context::write(operation what, std::vector<context_entry> entries,
                                           std::vector<expected_version> expected,
                                           durability level) {
  write_values wanted{.what = what, .durability = level, .principal = "host"};
  wanted.entries = std::move(entries);
  wanted.expected = std::move(expected);
  return host_.impl_->ask<values_written>(host_.impl_->node->actors().replica, disk_deadline,
                                          std::move(wanted));
}

result<values_written> host_context::write(std::string_view where, operation what, value given,
                                           const std::optional<value_version>& expected,
                                           durability level) {
  auto parsed = path::parse(where);
  if (!parsed) return fail(std::move(parsed.error()));
  std::vector<expected_version> versions;
  if (expected) versions.push_back({*parsed, *expected});
  return write(what, {{std::move(*parsed), std::move(given)}}, std::move(versions), level);
}

namespace {

/// What a write of one value became.
result<change_id> only_of(result<values_written> written) {
  return written.map([](const values_written& all) { return all.only(); });
}

}  // namespace

result<change_id> host_context::set(std::string_view where, value given, durability level) {
  return only_of(write(where, operation::put, std::move(given), {}, level));
}

result<change_id> host_context::set_if(std::string_view where, value given,
                                       const value_version& expected, durability level) {
  return only_of(write(where, operation::put, std::move(given), expected, level));
}

result<change_id> host_context::erase(std::string_view where, durability level) {
  return only_of(write(where, operation::erase, {}, {}, level));
}

result<change_id> host_context::erase_if(std::string_view where, const value_version& expected,
                                         durability level) {
  return only_of(write(where, operation::erase, {}, expected, level));
}

result<change_id> host_context::increment(std::string_view where, std::int64_t by,
                                          durability level) {
  return only_of(write(where, operation::increment, by, {}, level));
}

result<void> host_context::erase_subtree(std::string_view where, durability level) {
  return write(where, operation::erase_subtree, {}, {}, level).map([](const values_written&) {});
}

result<void> host_context::set_together(std::vector<context_entry> entries, durability level) {
  return write(operation::put, std::move(entries), {}, level).map([](const values_written&) {});
}

result<std::vector<context_entry>> host_context::list(std::string_view prefix) const {
  auto parsed = path::parse(prefix);
  if (!parsed) return fail(std::move(parsed.error()));
  std::vector<context_entry> all;
  list_values wanted{.prefix = *parsed, .after = {}, .limit = 10'000};
  while (true) {
    auto page = host_.impl_->ask<value_page>(host_.impl_->node->actors().replica,
                                             host::impl::answer_deadline, wanted);
    if (!page) return fail(std::move(page.error()));
    std::move(page->entries.begin(), page->entries.end(), std::back_inserter(all));
    if (!page->more) return all;
    wanted.after = all.back().path;
  }
}

// -- plugins --------------------------------------------------------------------------------------

result<plugin_info> host_plugins::load(const std::filesystem::path& package,
                                       std::vector<std::string> grants, permission_level level) {
  auto place = package_place(package);
  if (!place) return fail(std::move(place.error()));
  return host_.impl_->ask<plugin_info>(host_.impl_->node->actors().plugins, plugin_deadline,
                                       load_plugin{std::move(*place), std::move(grants), level});
}

result<void> host_plugins::unload(const std::string& name) {
  return host_.impl_->ask<void>(host_.impl_->node->actors().plugins, plugin_deadline,
                                unload_plugin{name});
}

result<std::vector<plugin_info>> host_plugins::list() const {
  auto all = host_.impl_->ask<plugin_list>(host_.impl_->node->actors().plugins,
                                           host::impl::answer_deadline, list_plugins{});
  if (!all) return fail(std::move(all.error()));
  return std::move(all->plugins);
}

// -- CAF ------------------------------------------------------------------------------------------

caf::actor_system& caf_access::system(host& from) { return *from.impl_->system; }

const node_actors& caf_access::actors(host& from) { return from.impl_->node->actors(); }

result<std::unique_ptr<node>> caf_access::start_node(caf::actor_system& system, config settings) {
  auto log = log_of(settings);
  auto started = node::start(
      system, std::move(settings), [](const stop_request&) {}, std::move(log));
  if (started) return std::move(*started);
  auto& [why, blocked] = started.error();
  for (const auto& each : blocked) why.message += "; did not stop in time: " + each;
  return fail(std::move(why));
}

}  // namespace troupe
