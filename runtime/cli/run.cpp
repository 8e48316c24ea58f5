#include <troupe/runtime/cli/app.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>  // also environ
#include <csignal>
#include <cstdlib>

#include <troupe/runtime/host.hpp>

namespace troupe::cli {

namespace {

/// The signal handler writes to one end, the main loop reads from the other. A signal handler can
/// do little else.
int signal_pipe[2] = {-1, -1};

extern "C" void note_signal(int number) {
  const auto byte = static_cast<char>(number);
  (void)!write(signal_pipe[1], &byte, 1);
}

/// Catches signals from now on. Before that, a signal ends the program like a crash.
bool catch_signals() {
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  struct sigaction before {};
  // SIGHUP is ignored under nohup: the node must outlive the terminal.
  if (sigaction(SIGHUP, nullptr, &before) != 0) return false;
  if (before.sa_handler != SIG_IGN && sigaction(SIGHUP, &action, nullptr) != 0) return false;
  return sigaction(SIGINT, &action, nullptr) == 0 && sigaction(SIGTERM, &action, nullptr) == 0;
}

/// The signal that came, or 0.
int take_signal(std::chrono::milliseconds wait) {
  pollfd waiting{signal_pipe[0], POLLIN, 0};
  char number = 0;
  if (poll(&waiting, 1, static_cast<int>(wait.count())) > 0 &&
      read(signal_pipe[0], &number, 1) == 1)
    return number;
  return 0;
}

struct run_options {
  std::optional<std::string> file, name, cluster, listen, plugin_init, python_sdk;
  std::string sandbox, plugin_level, level, format;
  std::vector<std::string> join;
  bool no_discovery = false;
  std::vector<std::string> plugins;
};

/// Merges settings. Each source overrides those before it: defaults, file, environment, flags.
result<config> read_settings(const app_state& app, const run_options& given) {
  config settings;
  settings.level = log_level::info;
  if (given.file) {
    auto read = read_config(*given.file, settings);
    if (!read) return read;
    settings = std::move(*read);
  }
  std::vector<std::string_view> variables;
  for (char** each = environ; *each != nullptr; ++each) variables.emplace_back(*each);
  if (auto spelt = check_spelling_of_variables(variables); !spelt)
    return fail(std::move(spelt.error()));
  auto applied = apply_environment(
      std::move(settings), [](const char* name) -> const char* { return std::getenv(name); });
  if (!applied) return applied;
  settings = std::move(*applied);
  const auto flag = [](auto& into, const std::optional<std::string>& text) {
    if (text) into = *text;
  };
  // The data directory of the configuration counts unless the flag was given.
  if (settings.data_dir.empty() || app.data_dir_given) settings.data_dir = app.data_dir;
  flag(settings.name, given.name);
  flag(settings.cluster, given.cluster);
  flag(settings.listen, given.listen);
  flag(settings.plugin_init, given.plugin_init);
  flag(settings.python_sdk, given.python_sdk);
  settings.join.insert(settings.join.end(), given.join.begin(), given.join.end());
  if (given.no_discovery) settings.discover = false;
  settings.plugins.insert(settings.plugins.end(), given.plugins.begin(), given.plugins.end());
  if (!given.plugin_level.empty())
    settings.plugin_level = *parse_enum<permission_level>(given.plugin_level);
  if (!given.sandbox.empty()) settings.sandbox = *parse_enum<sandbox_kind>(given.sandbox);
  if (!given.level.empty()) settings.level = *parse_enum<log_level>(given.level);
  if (!given.format.empty()) settings.format = *parse_enum<log_format>(given.format);
  if (auto checked = check_config(settings); !checked) return fail(std::move(checked.error()));
  return settings;
}

/// Reports what did not stop.
void report_blocked(app_state& app, const std::vector<std::string>& blocked) {
  for (const auto& what : blocked)
    report(app, {error_code::internal, "did not stop in time: " + what, {}});
}

void serve(app_state& app, config settings) {
  app.ran_node = true;
  std::signal(SIGPIPE, SIG_IGN);  // a node outlives the readers of its output and its log
  std::signal(SIGXFSZ, SIG_IGN);  // and a file that may not grow: its writers are told
  const auto data_dir = settings.data_dir;
  const auto name = settings.name;
  host node{std::move(settings)};
  if (!catch_signals()) return report(app, {error_code::internal, "signals cannot be caught", {}});
  if (app.json)
    print_json(value::map({{"event", "ready"},
                           {"name", name},
                           {"listens", node.address()},
                           {"data_dir", data_dir.native()}}));
  else
    std::printf("node %s is ready; data in %s%s%s\n", safe_text(name).c_str(), data_dir.c_str(),
                node.address().empty() ? "" : ", listens on ", node.address().c_str());
  std::fflush(stdout);

  std::optional<stop_request> wanted;
  while (!wanted) {
    if (const int number = take_signal(std::chrono::milliseconds{100}); number != 0)
      wanted = stop_request{number == SIGINT   ? "interrupted"
                            : number == SIGHUP ? "the terminal was closed"
                                               : "terminated"};
    else
      wanted = node.wait_for_stop_request(std::chrono::milliseconds{0});
  }
  // A second signal ends the program at once.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  if (!app.json) std::printf("stopping: %s\n", safe_text(wanted->reason).c_str());
  std::fflush(stdout);
  const auto blocked = node.stop();
  report_blocked(app, blocked);
  if (wanted->failed) app.status = failed;
  if (!blocked.empty()) std::_Exit(app.status);  // blocked threads would keep the program alive
}

void add_node_options(CLI::App& command, run_options& given) {
  command.add_option_function<std::string>("--name", keep_in(given.name),
                                           "Name of the node, for people");
  command.add_option_function<std::string>(
      "--cluster", keep_in(given.cluster),
      "Nodes of one cluster share their context (default: default)");
  command.add_option_function<std::string>(
      "--listen", keep_in(given.listen),
      "HOST:PORT for other nodes; port 0 lets the system choose; empty for none");
  command.add_option("--join", given.join, "HOST:PORT of another node (may be repeated)");
  command.add_flag("--no-discovery", given.no_discovery,
                   "Connect only with the nodes of --join and those that dial this one");
  command.add_option("--log-level", given.level, "debug, info, warning, error or off")
      ->check(CLI::IsMember(names<log_level>()));
  command.add_option("--log-format", given.format, "text or json")
      ->check(CLI::IsMember(names<log_format>()));
}

void add_plugin_options(CLI::App& command, run_options& given) {
  command.add_option("--plugin", given.plugins,
                     "Package directory of a plugin to start (may be repeated)");
  command
      .add_option(
          "--plugin-level", given.plugin_level,
          "The highest level that plugins started with the node may ask for (default: user)")
      ->check(CLI::IsMember(names<permission_level>()));
  command
      .add_option("--sandbox", given.sandbox,
                  "How plugins are confined: bubblewrap, or none for development")
      ->check(CLI::IsMember(names<sandbox_kind>()));
  command.add_option_function<std::string>(
      "--plugin-init", keep_in(given.plugin_init),
      "Path of troupe-plugin-init (default: beside this program)");
  command.add_option_function<std::string>(
      "--python-sdk", keep_in(given.python_sdk),
      "Directory of the Python SDK (default: near this program)");
}

}  // namespace

void add_run(CLI::App& parent, app_state& app) {
  auto* command = parent.add_subcommand("run", "Runs a node until Ctrl-C");
  command->footer(
      "The environment variables TROUPE_DATA_DIR, TROUPE_NAME, TROUPE_CLUSTER, TROUPE_LISTEN, "
      "TROUPE_JOIN\n"
      "(comma-separated), TROUPE_SANDBOX, TROUPE_LOG_LEVEL and TROUPE_LOG_FORMAT set the same. "
      "They "
      "override\n"
      "the file, and flags override them. A misspelt TROUPE_ variable is an error.");
  auto given = std::make_shared<run_options>();
  command->add_option_function<std::string>(
      "--data-dir",
      [&app](const std::string& text) { app.data_dir = text, app.data_dir_given = true; },
      "Where the node keeps its state (environment: TROUPE_DATA_DIR)");
  command->add_flag("--json", app.json, "Print JSON");
  command
      ->add_option_function<std::string>("--config", keep_in(given->file),
                                         "TOML file with settings; flags override it")
      ->check(not_empty);
  add_node_options(*command, *given);
  add_plugin_options(*command, *given);
  command->callback([&app, given] {
    auto settings = read_settings(app, *given);
    if (!settings) return report(app, settings.error());
    try {
      serve(app, std::move(*settings));
    } catch (const failure& why) {
      report(app, why.why());
    }
  });
}

}  // namespace troupe::cli
