#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>

#include <troupe/messages/text/utf8.hpp>
#include <troupe/runtime/cli/app.hpp>
#include <troupe/runtime/cli/mistakes.hpp>
#include <troupe/runtime/version.hpp>

namespace {

/// The data directory when none is given.
std::string default_data_dir() {
  if (const char* given = std::getenv("TROUPE_DATA_DIR"); given != nullptr && *given != '\0')
    return given;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0')
    return std::string{data} + "/troupe";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::string{home} + "/.local/share/troupe";
  return "troupe-data";
}

constexpr const char* footer = R"(Exit codes:
  0 success   1 failed   2 wrong usage, configuration or input   3 not found   4 denied
  5 unavailable: no node answers, an address is in use, a plugin has ended   6 no answer in time
  7 a bound was reached   8 the disk or the output failed, or data is damaged or differs
  130 interrupted by Ctrl-C (it stops a node that serves, which ends with 0)

Subcommands that talk to a node find it by --data-dir, TROUPE_DATA_DIR,
$XDG_DATA_HOME/troupe or ~/.local/share/troupe, in this order.)";

/// Opens closed standard streams, so that no other file gets their number and with it what is
/// printed.
void occupy_standard_streams() {
  int opened = 0;
  while ((opened = open("/dev/null", O_RDONLY)) >= 0 && opened <= STDERR_FILENO) {
  }
  if (opened > STDERR_FILENO) close(opened);
}

/// The first argument that is not UTF-8, or null. Arguments go to nodes as text.
const char* not_text(int argc, char** argv) {
  const auto found =
      std::find_if(argv, argv + argc, [](const char* word) { return !troupe::is_utf8(word); });
  return found == argv + argc ? nullptr : *found;
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  troupe::cli::app_state app;
  app.data_dir = default_data_dir();
  CLI::App program{"Troupe: commands, sandboxed plugins and a context that nodes share", "troupe"};
  program.set_version_flag("--version", "troupe " + std::string{troupe::version});
  program.require_subcommand(1);
  program.footer(footer);
  troupe::cli::add_run(program, app);
  troupe::cli::add_exec(program, app);
  troupe::cli::add_plugin(program, app);
  troupe::cli::add_context(program, app);
  troupe::cli::add_node(program, app);
  troupe::cli::add_metrics(program, app);
  auto* version = program.add_subcommand("version", "Prints the version");
  version->add_flag("--json", app.json, "Print JSON");
  version->callback([&app] {
    if (app.json)
      troupe::cli::print_json(troupe::value::map({{"version", troupe::version}}));
    else
      std::printf("troupe %s\n", std::string{troupe::version}.c_str());
  });
  // Accept --json at any place.
  const auto take_json = [&app](CLI::App& command) {
    if (command.get_option_no_throw("--json") == nullptr)
      command.add_flag("--json", app.json, "Print JSON");
  };
  take_json(program);
  for (auto* each : program.get_subcommands([](CLI::App*) { return true; })) take_json(*each);
  // The parser may not have set app.json before it reports a mistake: look at the words themselves.
  const bool as_json = std::any_of(
      argv, argv + argc, [](const char* word) { return std::string_view{word} == "--json"; });
  try {
    if (const char* word = not_text(argc, argv)) {
      app.json = as_json;
      const auto what = "the argument \"" + std::string{word} + "\" is not UTF-8";
      troupe::cli::report(app, {troupe::error_code::invalid_argument, what, {}});
    } else {
      program.parse(argc, argv);
    }
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) {
      program.exit(problem);
    } else {
      app.json = as_json;
      troupe::cli::report(app, troupe::cli::explain_mistake(program, problem));
    }
  } catch (const std::exception& problem) {
    troupe::cli::report(app, {troupe::error_code::internal, problem.what(), {}});
  }
  troupe::cli::end_output(app);
  return app.status;
}
