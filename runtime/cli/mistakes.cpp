#include <troupe/runtime/cli/mistakes.hpp>

#include <string>
#include <vector>

#include <troupe/messages/text/spelling.hpp>

namespace troupe::cli {

namespace {

std::vector<std::string> subcommands_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* each : command.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(each->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* each : command.get_options())
    for (const auto& name : each->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& each : words) all += (all.empty() ? "" : ", ") + each;
  return all;
}

std::string hint(const std::string& word, const std::vector<std::string>& known) {
  const auto close = nearest(word, known, typo_allowance(word), 1);
  return close.empty() ? "; there are " + joined(known) : did_you_mean(close);
}

/// @param for_values The advice when the word is meant as a value.
std::string no_option(const CLI::App& command, const std::string& name, const std::string& word,
                      const std::string& for_values) {
  const bool value_like = !word.starts_with("--");
  return "\"" + name + "\" has no option " + word + hint(word, options_of(command)) +
         (value_like ? "; a value that begins with '-' " + for_values : "");
}

error with_help(const std::string& name, const std::string& what) {
  return {error_code::invalid_argument, what + "; see: " + name + " --help", {}};
}

/// @param command The innermost one that was recognised. @param name The command with its parents.
std::string what_is_wrong(const CLI::App& command, const std::string& name,
                          const CLI::ParseError& problem) {
  const auto known = subcommands_of(command);
  const auto unknown = command.remaining();
  // A wrong value comes first: the parser has not looked at the words after it.
  const bool is_value = dynamic_cast<const CLI::ValidationError*>(&problem) != nullptr ||
                        dynamic_cast<const CLI::ConversionError*>(&problem) != nullptr;
  if (is_value) return problem.what();
  if (unknown.empty()) {
    if (!known.empty()) return "\"" + name + "\" needs a subcommand: " + joined(known);
    return problem.what();
  }
  const auto& word = unknown.front();
  if (word.starts_with('-')) return no_option(command, name, word, "goes after --");
  if (!known.empty())
    return "\"" + name + "\" has no subcommand \"" + word + "\"" + hint(word, known);
  return "\"" + name + "\" takes no further argument \"" + word + "\"";
}

}  // namespace

error explain_mistake(const CLI::App& program, const CLI::ParseError& problem) {
  const CLI::App* command = &program;
  std::string name = program.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  return with_help(name, what_is_wrong(*command, name, problem));
}

error unknown_option(const CLI::App& command, const std::string& name, const std::string& word) {
  return with_help(name,
                   no_option(command, name, word,
                             "is given with the name of its parameter, such as text=" + word));
}

}  // namespace troupe::cli
