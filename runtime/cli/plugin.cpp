#include <troupe/runtime/cli/app.hpp>

#include <troupe/messages/audit.hpp>
#include <troupe/messages/plugin_requests.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe::cli {

namespace {

void print_plugin(const plugin_info& info) {
  std::printf("plugin %s %s is %s\n", safe_text(info.name).c_str(), safe_text(info.version).c_str(),
              std::string{name_of(info.phase)}.c_str());
  for (const auto& command : info.commands)
    std::printf("  command     %s\n", safe_text(command).c_str());
  for (const auto& capability : info.capabilities)
    std::printf("  capability  %s\n", safe_text(capability).c_str());
}

result<void> list(app_state& app, client& node) {
  auto all = node.call(list_plugins{}, app.deadline);
  if (!all) return fail(std::move(all.error()));
  if (app.json) return print_json(to_value(all->plugins)), result<void>{};
  table rows{{"NAME", "VERSION", "STATE", "LEVEL", "COMMANDS", "RESTARTS", "DENIALS", "PROBLEM"}};
  for (const auto& each : all->plugins)
    rows.add({safe_text(each.name), safe_text(each.version), std::string{name_of(each.phase)},
              std::string{name_of(each.level)}, std::to_string(each.commands.size()),
              std::to_string(each.restarts), std::to_string(each.denials),
              safe_text(each.problem)});
  rows.print("no plugins are loaded; load one with: troupe plugin load DIRECTORY");
  return {};
}

result<void> load(app_state& app, client& node, const std::string& package,
                  const std::vector<std::string>& grants, permission_level level) {
  std::error_code problem;
  const auto absolute = std::filesystem::canonical(package, problem);
  if (problem)
    return fail(error_code::not_found,
                "there is no directory " + package + ": " + problem.message());
  if (!is_utf8(absolute.native()))
    return fail(error_code::invalid_argument,
                "the path of the directory " + package + " is not UTF-8");
  auto info = node.call(load_plugin{absolute.native(), grants, level}, app.deadline);
  if (!info) return fail(std::move(info.error()));
  if (app.json)
    print_json(to_value(*info));
  else
    print_plugin(*info);
  return {};
}

result<void> unload(const app_state& app, client& node, const std::string& plugin) {
  auto unloaded = node.call(unload_plugin{plugin}, app.deadline);
  if (unloaded) confirm(app, "plugin " + plugin + " is unloaded");
  return unloaded;
}

result<void> show_usage(app_state& app, client& node, const std::string& plugin) {
  auto usage = node.call(get_usage{plugin}, app.deadline);
  if (!usage) return fail(std::move(usage.error()));
  if (app.json) return print_json(to_value(*usage)), result<void>{};
  table rows{{"RESOURCE", "USED", "HELD BY"}};
  rows.add({"memory", show_count(usage->memory_bytes, "byte"), usage->memory_mechanism});
  rows.add({"cpu time", show_milliseconds(usage->cpu_milliseconds), usage->cpu_mechanism});
  rows.add({"processes", show_count(usage->processes), usage->process_mechanism});
  rows.print("");
  return {};
}

/// Access to files takes effect when the process starts, everything else with the next message.
std::string when_it_counts(std::string_view capability) {
  return capability.starts_with("fs.read:") ? ", from its next start on" : "";
}

result<void> grant(const app_state& app, client& node, const std::string& plugin,
                   const std::string& capability) {
  auto granted = node.call(grant_capability{plugin, capability}, app.deadline);
  if (granted)
    confirm(app, capability + " is granted to plugin " + plugin + when_it_counts(capability));
  return granted;
}

result<void> revoke(const app_state& app, client& node, const std::string& plugin,
                    const std::string& capability) {
  auto revoked = node.call(revoke_capability{plugin, capability}, app.deadline);
  if (revoked)
    confirm(app, capability + " is revoked from plugin " + plugin + when_it_counts(capability));
  return revoked;
}

result<void> check(app_state& app, client& node, const std::string& plugin,
                   const std::string& operation) {
  auto decision = node.call(check_permission{plugin, operation}, app.deadline);
  if (!decision) return fail(std::move(decision.error()));
  if (app.json)
    print_json(to_value(*decision));
  else
    std::printf("%s: %s\n", decision->allowed ? "allowed" : "denied",
                safe_text(decision->rule).c_str());
  if (!decision->allowed) app.status = denied;
  return {};
}

result<void> audit(app_state& app, client& node, const search_audit& wanted) {
  auto found = node.call(wanted, app.deadline);
  if (!found) return fail(std::move(found.error()));
  if (app.json) return print_json(to_value(found->records)), result<void>{};
  table rows{{"TIME (UTC)", "EVENT", "PLUGIN", "SUBJECT", "RULE"}};
  for (const auto& each : found->records)
    rows.add({show_time(each.time_ms), safe_text(each.event), safe_text(each.principal),
              safe_text(each.subject), safe_text(each.rule)});
  rows.print("no matching records");
  return {};
}

/// A subcommand with the name of a plugin and one more word.
void add_pair(
    CLI::App& group, app_state& app, const std::string& name, const std::string& summary,
    const std::string& word, const std::string& meaning,
    const std::function<result<void>(client&, const std::string&, const std::string&)>& act) {
  auto* command = add_client_command(group, app, name, summary);
  auto plugin = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  command->add_option("plugin", *plugin, "Name of the plugin")->required();
  command->add_option(word, *second, meaning)->required();
  command->callback([&app, plugin, second, act] {
    with_node(app, [&](client& node) { return act(node, *plugin, *second); });
  });
}

void add_load(CLI::App& group, app_state& app) {
  auto* command =
      add_client_command(group, app, "load", "Starts the plugin of a package directory");
  auto package = std::make_shared<std::string>();
  auto grants = std::make_shared<std::vector<std::string>>();
  command->add_option("directory", *package, "Directory with a plugin.toml")
      ->required()
      ->check(not_empty);
  command->add_option("--grant", *grants,
                      "Grant only these of the requested capabilities (default: all)");
  auto level = std::make_shared<std::string>(name_of(permission_level::user));
  command
      ->add_option("--level", *level,
                   "The highest level that the package may ask for: restricted, user or system "
                   "(default: user)")
      ->check(CLI::IsMember({"restricted", "user", "system"}));
  command->callback([&app, package, grants, level] {
    with_node(app, [&](client& node) {
      return load(app, node, *package, *grants, *parse_enum<permission_level>(*level));
    });
  });
}

/// A subcommand with the name of a plugin.
void add_named(CLI::App& group, app_state& app, const std::string& name, const std::string& summary,
               const std::function<result<void>(client&, const std::string&)>& act) {
  auto* command = add_client_command(group, app, name, summary);
  auto plugin = std::make_shared<std::string>();
  command->add_option("plugin", *plugin, "Name of the plugin")->required();
  command->callback(
      [&app, plugin, act] { with_node(app, [&](client& node) { return act(node, *plugin); }); });
}

void add_audit(CLI::App& group, app_state& app) {
  auto* command = add_client_command(
      group, app, "audit",
      "Lists what plugins were allowed and denied, and which capabilities they got and lost");
  auto wanted = std::make_shared<search_audit>();
  command->add_option("plugin", wanted->principal, "Only of this plugin")->check(not_empty);
  command->add_option("--event", wanted->event, "Only this event, such as plugin.denied");
  command
      ->add_option("--limit", wanted->limit,
                   "The most records to show, the newest first (default 100)")
      ->check(CLI::Range(1, 1000));
  command->callback(
      [&app, wanted] { with_node(app, [&](client& node) { return audit(app, node, *wanted); }); });
}

}  // namespace

void add_plugin(CLI::App& parent, app_state& app) {
  auto* group = parent.add_subcommand("plugin", "Plugins: sandboxed programs that offer commands");
  group->require_subcommand(1);
  add_client_command(*group, app, "list", "Lists the plugins of the node")->callback([&app] {
    with_node(app, [&](client& node) { return list(app, node); });
  });
  add_load(*group, app);
  add_named(*group, app, "unload", "Stops a plugin",
            [&app](client& node, const std::string& plugin) { return unload(app, node, plugin); });
  add_named(
      *group, app, "usage", "Shows what a plugin uses, and what enforces its limits",
      [&app](client& node, const std::string& plugin) { return show_usage(app, node, plugin); });

  const std::string a_capability = "verb:pattern, such as context.read:/app/**";
  add_pair(*group, app, "grant", "Gives a plugin a capability, from its next message on",
           "capability", a_capability,
           [&app](client& node, const std::string& plugin, const std::string& capability) {
             return grant(app, node, plugin, capability);
           });
  add_pair(*group, app, "revoke", "Takes a capability from a plugin, from its next message on",
           "capability", a_capability,
           [&app](client& node, const std::string& plugin, const std::string& capability) {
             return revoke(app, node, plugin, capability);
           });
  add_pair(*group, app, "check",
           "Checks whether a plugin may do something now (exit code 4 when not)", "operation",
           "verb:resource, such as context.read:/app/theme, or verb:path/** for a path and "
           "everything below it",
           [&app](client& node, const std::string& plugin, const std::string& operation) {
             return check(app, node, plugin, operation);
           });
  add_audit(*group, app);
}

}  // namespace troupe::cli
