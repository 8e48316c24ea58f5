#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/field.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/plugins/sandbox/weaker_mode.hpp>

namespace troupe {

/// Which lines are logged.
enum class log_level : std::uint8_t { debug, info, warning, error, off };
template <>
struct enum_names<log_level> {
  static constexpr std::array<enumerator<log_level>, 5> names{{{log_level::debug, "debug"},
                                                               {log_level::info, "info"},
                                                               {log_level::warning, "warning"},
                                                               {log_level::error, "error"},
                                                               {log_level::off, "off"}}};
};

/// How they are written.
enum class log_style : std::uint8_t { text, json };
template <>
struct enum_names<log_style> {
  static constexpr std::array<enumerator<log_style>, 2> names{
      {{log_style::text, "text"}, {log_style::json, "json"}}};
};

/// How plugins are confined.
enum class sandbox_kind : std::uint8_t {
  bubblewrap,  ///< By the kernel. Plugins are refused where it cannot.
  none,        ///< Not at all: for development.
};
template <>
struct enum_names<sandbox_kind> {
  static constexpr std::array<enumerator<sandbox_kind>, 2> names{
      {{sandbox_kind::bubblewrap, "bubblewrap"}, {sandbox_kind::none, "none"}}};
};

/// Everything that can be set about a node. A host fills it in; the program `troupe` fills it from
/// a file, the environment and flags.
struct config {
  std::filesystem::path
      data_dir;               ///< Where the node keeps its state. Required. One node at a time.
  std::string name = "node";  ///< For people; 1 to 64 bytes.
  std::string cluster =
      "default";       ///< Nodes with the same cluster name share their context; 1 to 64 bytes.
  std::string listen;  ///< `host:port` for other nodes; empty: it does not listen. Port 0: any.
  std::vector<std::string> join;               ///< Where other nodes listen.
  bool discover = true;                        ///< Also connect with the nodes that others tell of.
  std::vector<std::filesystem::path> plugins;  ///< Packages to start with the node.
  permission_level plugin_level =
      permission_level::user;  ///< The most that these may be trusted with.
  sandbox_kind sandbox = sandbox_kind::bubblewrap;
  std::vector<weaker_mode>
      sandbox_allow;  ///< Protection that the sandbox may do without where the kernel has none.
  std::filesystem::path
      plugin_init;  ///< The helper program of the sandbox; empty: beside this program.
  std::filesystem::path
      python_sdk;  ///< Directory of `troupe_plugin.py`; empty: near this program, if there.
  bool serve_clients = true;  ///< Listen on `troupe.sock` in the data directory.
  /// For the node to stop, 100 ms to 10 min. Commands, plugins and the other parts stop one after
  /// the other, each within about half of what is left; what blocks longer is named.
  std::chrono::milliseconds stop_deadline{15'000};
  std::size_t worker_threads =
      64;  ///< At most, for commands' functions; made when needed. 1 to 1024.
  log_level level = log_level::off;  ///< A host's own log is not taken over unless it asks for it.
  log_style style = log_style::text;
};

/// Reads a TOML file into `base`. Keys are the names of the fields above, but `log_level` for
/// `level`, `log_format` for `style`, `stop_deadline_ms` for `stop_deadline`, and none for
/// `serve_clients`, which is for hosts alone; paths are relative to the file's directory. The first
/// mistake is reported as `file:line:column: key: what is wrong`, an unknown key with the nearest
/// known one.
result<config> read_config(const std::filesystem::path& file, config base = {});
/// The same from text.
result<config> parse_config(std::string_view text, std::string_view file_name,
                            const std::filesystem::path& relative_to, config base = {});

/// Applies `TROUPE_DATA_DIR`, `TROUPE_NAME`, `TROUPE_CLUSTER`, `TROUPE_LISTEN`, `TROUPE_JOIN`
/// (comma-separated), `TROUPE_SANDBOX`, `TROUPE_LOG_LEVEL` and `TROUPE_LOG_FORMAT`. The error names
/// the variable.
/// @param variable Gives the value of an environment variable, or null.
result<config> apply_environment(config base,
                                 const std::function<const char*(const char*)>& variable);

/// Finds a variable that was meant to be one of these and is misspelt: it begins with `TROUPE_`,
/// and one slip or two lead from it to the name of one, but not more than one for each three
/// letters behind `TROUPE_`. Others may belong to other programs.
/// @param environment Entries of the form `NAME=value`. The error names the first such variable,
/// and the one that is meant.
result<void> check_spelling_of_variables(const std::vector<std::string_view>& environment);

/// Checks everything that can be checked without looking at the machine. The error names the field.
result<void> check_config(const config& settings);

}  // namespace troupe
