#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <troupe/messages/wire/field.hpp>
#include <troupe/runtime/cli/client.hpp>
#include <troupe/runtime/cli/exit_codes.hpp>
#include <troupe/runtime/cli/show.hpp>

namespace troupe::cli {

/// The state that all subcommands share.
struct app_state {
  std::string data_dir;                        ///< Of the node to talk to.
  bool data_dir_given = false;                 ///< By a flag, not by default.
  bool json = false;                           ///< Print JSON instead of text.
  std::chrono::milliseconds deadline{30'000};  ///< For one answer.
  exit_code status = success;
  bool ran_node =
      false;  ///< A node outlives the reader of its output: losing output is no failure.
};

/// The names that an option of this kind may have.
template <named_enum E>
std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& each : enum_names<E>::names) all.emplace_back(each.name);
  return all;
}

/// Prints an error to standard error, as text or as JSON, and sets the exit code. Bytes that are
/// not UTF-8 become `?`.
void report(app_state& app, const error& why);

/// Prints a remark about an answer to standard error, as text or as JSON.
void remark(const app_state& app, const std::string& text);

/// Prints one JSON document, on one line.
void print_json(const value& document);

/// Confirms a request that has no answer of its own: one line of text, or an empty JSON document.
void confirm(const app_state& app, const std::string& text);

/// Flushes the output. Reports a failure, such as a full disk, unless another error was reported.
void end_output(app_state& app);

/// Connects to the node, calls `act` and reports its error.
void with_node(app_state& app, const std::function<result<void>(client&)>& act);

/// Adds a subcommand that talks to a node, with `--data-dir`, `--json` and `--deadline`.
CLI::App* add_client_command(CLI::App& parent, app_state& app, const std::string& name,
                             const std::string& summary);

/// Rejects an empty name, which most often is a variable that was not set.
inline const CLI::Validator not_empty{[](std::string& word) {
                                        return word.empty() ? std::string{"must not be empty"}
                                                            : std::string{};
                                      },
                                      ""};

/// For an option whose empty text differs from its absence. @param into Outlives the option.
inline std::function<void(const std::string&)> keep_in(std::optional<std::string>& into) {
  return [&into](const std::string& text) { into = text; };
}

// One function for each group of subcommands, each in its own file.
void add_run(CLI::App& parent, app_state& app);
void add_exec(CLI::App& parent, app_state& app);
void add_plugin(CLI::App& parent, app_state& app);
void add_context(CLI::App& parent, app_state& app);
void add_node(CLI::App& parent, app_state& app);
void add_metrics(CLI::App& parent, app_state& app);

}  // namespace troupe::cli
