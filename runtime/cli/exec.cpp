#include <troupe/runtime/cli/app.hpp>

#include <algorithm>

#include <troupe/actors/commands/validation/parameter_rule.hpp>
#include <troupe/actors/commands/validation/validator.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/runtime/cli/mistakes.hpp>

namespace troupe::cli {

namespace {

bool looks_like_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && word[1] != '.' && (word[1] < '0' || word[1] > '9');
}

std::string usage_of(const command_spec& spec) {
  std::string text = spec.name;
  for (const auto& each : spec.parameters) {
    const std::string word = each.name + "=" + std::string{name_of(each.type)};
    text += each.default_value ? " [" + word + "]" : " " + word;
  }
  return text;
}

result<void> list(app_state& app, client& node, const std::string& prefix) {
  auto all = node.call(list_commands{prefix}, app.deadline);
  if (!all) return fail(std::move(all.error()));
  if (app.json) return print_json(to_value(all->commands)), result<void>{};
  table rows{{"COMMAND", "SUMMARY"}};
  for (const auto& each : all->commands)
    rows.add({safe_text(usage_of(each)), safe_text(each.summary_text)});
  rows.print(prefix.empty()
                 ? "this node offers no commands; load a plugin with: troupe plugin load DIRECTORY"
                 : "no command begins with \"" + safe_text(prefix) +
                       "\"; see all with: troupe exec --list");
  return {};
}

result<command_spec> find_command(const app_state& app, client& node, const std::string& command) {
  auto spec = node.call(describe_command{command}, app.deadline);
  if (!spec && spec.error().code == error_code::not_found)
    spec.error().message += "; see them with: troupe exec --list";
  return spec;
}

result<void> describe(app_state& app, client& node, const std::string& command) {
  const auto spec = find_command(app, node, command);
  if (!spec) return fail(spec.error());
  if (app.json) return print_json(to_value(*spec)), result<void>{};
  std::printf("%s\n\nUsage: troupe exec %s\n", safe_text(spec->summary_text).c_str(),
              safe_text(usage_of(*spec)).c_str());
  if (!spec->description.empty()) std::printf("\n%s\n", safe_text(spec->description).c_str());
  std::printf("\n");
  table rows{{"PARAMETER", "ACCEPTS", "DEFAULT", "MEANING"}};
  for (const auto& each : spec->parameters) {
    const auto rule = parameter_rule::make(each, {});
    if (!rule) return fail(rule.error());
    rows.add({safe_text(each.name), safe_text(rule->expectation()),
              each.default_value ? each.default_value->to_json() : "(required)",
              safe_text(each.summary)});
  }
  rows.print("It takes no parameters.");
  return {};
}

/// Reads the words by the command's own specification, so that mistakes are named before anything
/// is run.
result<arguments> read_arguments(const command_spec& spec, const std::vector<std::string>& words) {
  auto rules = validator::make(std::make_shared<const command_spec>(spec));
  if (!rules) return fail(std::move(rules.error()));
  const std::vector<std::string_view> views{words.begin(), words.end()};
  auto given = parse_text(spec, views);
  if (auto valid = rules->validate(given); !valid)
    return fail(valid.error().code,
                valid.error().message + "; usage: troupe exec " + usage_of(spec),
                valid.error().detail);
  return std::move(given.values);
}

result<void> execute(app_state& app, client& node, const std::string& command,
                     const std::vector<std::string>& words) {
  const auto spec = find_command(app, node, command);
  if (!spec) return fail(spec.error());
  auto given = read_arguments(*spec, words);
  if (!given) return fail(std::move(given.error()));
  auto answer = node.call(execute_request{command, std::move(*given)}, app.deadline);
  if (!answer) return fail(std::move(answer.error()));
  if (app.json) return print_json(*answer), result<void>{};
  if (const auto text = answer->as_string())
    std::printf("%s\n", safe_text(*text).c_str());
  else
    std::printf("%s\n", answer->to_json(json_style::pretty).c_str());
  return {};
}

}  // namespace

void add_exec(CLI::App& parent, app_state& app) {
  auto* command = add_client_command(parent, app, "exec",
                                     "Runs a command of the node: exec NAME [parameter=value ...], "
                                     "or only the values in the order "
                                     "of the parameters");
  auto name = std::make_shared<std::string>();
  auto only_list = std::make_shared<bool>(false);
  auto help = std::make_shared<bool>(false);
  command->add_option("command", *name, "Name of the command, or a prefix with --list");
  command->allow_extras();  // the command's arguments: CLI11 would split a JSON array of an option
  command->add_flag("--list", *only_list, "List the commands that can be run");
  command->set_help_flag();
  command->add_flag("-h,--help", *help,
                    "Print this help message, or that of the command before it, and exit");
  command->callback([&app, &parent, command, name, only_list, help] {
    if (*help && name->empty()) {
      std::printf("%s", parent.help().c_str());
      return;
    }
    if (*help) return with_node(app, [&](client& node) { return describe(app, node, *name); });
    const auto words = command->remaining();
    if (const auto option = std::find_if(words.begin(), words.end(), looks_like_option);
        option != words.end())
      return report(app, unknown_option(*command, "troupe exec", *option));
    if (name->empty() && !*only_list)
      return report(app, {error_code::invalid_argument,
                          "exec needs the name of a command; see them with: troupe exec --list",
                          {}});
    with_node(app, [&](client& node) {
      return *only_list ? list(app, node, *name) : execute(app, node, *name, words);
    });
  });
}

}  // namespace troupe::cli
