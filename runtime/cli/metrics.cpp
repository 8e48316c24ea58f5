#include <troupe/runtime/cli/app.hpp>

#include <troupe/messages/execution.hpp>

namespace troupe::cli {

namespace {

result<void> print_metrics(app_state& app, client& node, const std::string& command) {
  auto list = node.call(get_metrics{command}, app.deadline);
  if (!list) return fail(std::move(list.error()));
  if (app.json) return print_json(to_value(list->commands)), result<void>{};
  table rows{{"COMMAND", "COUNT", "ERRORS", "SUCCESS", "MIN", "AVG", "P50", "P99", "MAX"}};
  for (const auto& each : list->commands) {
    char rate[16];
    std::snprintf(rate, sizeof rate, "%.1f %%", each.success_rate);
    rows.add({safe_text(each.name), show_count(each.execution_count), show_count(each.error_count),
              rate, show_duration(each.min_execution_time), show_duration(each.avg_execution_time),
              show_duration(each.p50), show_duration(each.p99),
              show_duration(each.max_execution_time)});
  }
  rows.print("no command has run yet");
  return {};
}

}  // namespace

void add_metrics(CLI::App& parent, app_state& app) {
  auto* command = add_client_command(
      parent, app, "metrics", "How often commands ran, how they ended and how long they took");
  auto name = std::make_shared<std::string>();
  auto reset = std::make_shared<bool>(false);
  auto* only = command->add_option("command", *name, "Only this command")->check(not_empty);
  command->add_flag("--reset", *reset, "Reset the measurements of all commands")->excludes(only);
  command->callback([&app, name, reset] {
    with_node(app, [&](client& node) -> result<void> {
      if (!*reset) return print_metrics(app, node, *name);
      auto begun = node.call(reset_metrics{}, app.deadline);
      if (begun) confirm(app, "the measurements of all commands are reset");
      return begun;
    });
  });
}

}  // namespace troupe::cli
