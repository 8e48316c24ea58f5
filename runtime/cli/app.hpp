#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <troupe/runtime/cli/client.hpp>
#include <troupe/runtime/cli/exit_codes.hpp>
#include <troupe/runtime/cli/show.hpp>

namespace troupe::cli {

/// What all subcommands share.
struct app_state {
  std::string data_dir;                        ///< Of the node that is spoken to.
  bool data_dir_given = false;                 ///< By a flag, and not only by default.
  bool json = false;                           ///< Print JSON instead of text.
  std::chrono::milliseconds deadline{30'000};  ///< For one answer.
  exit_code status = success;                  ///< What the program ends with.
  bool ran_node =
      false;  ///< A node outlives who reads its output; what cannot be printed is no failure.
};

/// Says on standard error what went wrong, as text or as JSON, and keeps the exit code. Bytes that
/// are not UTF-8 become `?`.
void report(app_state& app, const error& why);

/// Says on standard error what is good to know about an answer, as text or as JSON.
void remark(const app_state& app, const std::string& text);

/// Prints one JSON document, on one line.
void print_json(const value& document);

/// Says that something was done which has no answer of its own: one line of text, or an empty JSON
/// document.
void confirm(const app_state& app, const std::string& text);

/// Sends what was printed. Where that does not go out, such as to a full disk, it is reported,
/// unless something else was.
void end_output(app_state& app);

/// Connects to the node and goes on with `act`, whose error is reported.
void with_node(app_state& app, const std::function<result<void>(client&)>& act);

/// Adds a subcommand, with `--data-dir`, `--json` and `--deadline` as all those have that speak to
/// a node.
CLI::App* add_client_command(CLI::App& parent, app_state& app, const std::string& name,
                             const std::string& summary);

/// For words that name something: refuses the empty one, which is most often a variable that was
/// not set.
inline const CLI::Validator not_empty{[](std::string& word) {
                                        return word.empty() ? std::string{"must not be empty"}
                                                            : std::string{};
                                      },
                                      ""};

/// What an option calls whose empty text is not the same as none. @param into Outlives the option.
inline std::function<void(const std::string&)> keep_in(std::optional<std::string>& into) {
  return [&into](const std::string& text) { into = text; };
}

// One function for each group of subcommands, in a file of its own.
void add_run(CLI::App& parent, app_state& app);
void add_exec(CLI::App& parent, app_state& app);
void add_plugin(CLI::App& parent, app_state& app);
void add_context(CLI::App& parent, app_state& app);
void add_node(CLI::App& parent, app_state& app);
void add_metrics(CLI::App& parent, app_state& app);

}  // namespace troupe::cli
