#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/logging.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/messages/wire/field.hpp>
#include <troupe/plugins/sandbox/weaker_mode.hpp>

namespace troupe {

/// The least severity of the lines that are logged.
enum class log_level : std::uint8_t { debug, info, warning, error, off };
template <>
struct enum_names<log_level> {
  static constexpr std::array<enumerator<log_level>, 5> names{{{log_level::debug, "debug"},
                                                               {log_level::info, "info"},
                                                               {log_level::warning, "warning"},
                                                               {log_level::error, "error"},
                                                               {log_level::off, "off"}}};
};

/// How plugins are confined.
enum class sandbox_kind : std::uint8_t {
  bubblewrap,  ///< By the operating system. Plugins are refused where it lacks what that takes.
  none,        ///< Not at all. For development.
};
template <>
struct enum_names<sandbox_kind> {
  static constexpr std::array<enumerator<sandbox_kind>, 2> names{
      {{sandbox_kind::bubblewrap, "bubblewrap"}, {sandbox_kind::none, "none"}}};
};

/// A context store that cannot be read as it is.
struct store_damage {
  std::filesystem::path
      data_dir;   ///< `context.db` and `context.db-wal` are there. Nobody uses them.
  error problem;  ///< What is damaged.
};

/// One of a host's own ways to mend a damaged context, such as taking a backup.
struct recovery_step {
  std::string name;  ///< For the log.
  /// Puts other files in the place of the damaged ones. Blocks the start. When it succeeds, the
  /// store is opened again; when it fails or that does not help, the next step follows.
  std::function<result<void>(const store_damage&)> recover;
};

/// All settings of a node. A host fills them in; the program `troupe` reads them from a file, the
/// environment and flags.
struct config {
  std::filesystem::path
      data_dir;               ///< Where the node keeps its state. Required. For one node at a time.
  std::string name = "node";  ///< For people; 1 to 64 bytes.
  std::string cluster =
      "default";       ///< Nodes with the same cluster name share their context; 1 to 64 bytes.
  std::string listen;  ///< `host:port` for other nodes; empty: none. Port 0: the system chooses.
  std::vector<std::string> join;               ///< Where other nodes listen.
  bool discover = true;                        ///< Also connect with nodes that other nodes name.
  std::vector<std::filesystem::path> plugins;  ///< Packages to start with the node.
  permission_level plugin_level =
      permission_level::user;  ///< The highest level that these may ask for.
  sandbox_kind sandbox = sandbox_kind::bubblewrap;
  std::vector<weaker_mode>
      sandbox_allow;  ///< Protections that may be missing where the operating system lacks them.
  std::filesystem::path
      plugin_init;  ///< The helper program of the sandbox; empty: beside this program.
  std::filesystem::path
      python_sdk;  ///< Directory of `troupe_plugin.py`; empty: near this program, if there.
  bool serve_clients = true;  ///< Listen on `troupe.sock` in the data directory.
  /// The time for a stop, 100 ms to 10 min. Commands, plugins and the other parts stop one after
  /// the other, each within about half of the time that is left. The stop names what blocks longer.
  std::chrono::milliseconds stop_deadline{15'000};
  std::size_t worker_threads =
      64;  ///< The most threads for commands' functions, started when needed. 1 to 1024.
  /// The latest changes of the context that stay in the log, 0 to 10^9: a node that was away gets
  /// them one by one. Older ones leave the log once all members have them.
  std::uint64_t history = 100'000;
  /// How long the cluster keeps what a member that is away may need, 1 s to 10 years; 0: for ever.
  /// Then it goes on without that member, if more than half of the members are there; fewer wait
  /// for an operator to say so.
  std::chrono::milliseconds member_lease{std::chrono::hours{7 * 24}};
  /// Tried in this order when the context store is damaged and has lost something. Only hosts set
  /// them. After them comes what is left of the store, and what other members have.
  std::vector<recovery_step> recovery;
  log_level level = log_level::off;  ///< Off, because a host has a log of its own.
  log_format format = log_format::text;
};

/// Reads a TOML file into `base`. The keys are the names of the fields above, except `log_level`
/// for `level`, `log_format` for `format`, `stop_deadline_ms` for `stop_deadline` and
/// `member_lease_ms` for `member_lease`; only hosts set `serve_clients`. Paths are relative to the
/// file's directory. The error is the first mistake as `file:line:column: key: what is wrong`; for
/// an unknown key it names the nearest known one.
result<config> read_config(const std::filesystem::path& file, config base = {});
/// The same from text.
result<config> parse_config(std::string_view text, std::string_view file_name,
                            const std::filesystem::path& relative_to, config base = {});

/// Applies `TROUPE_DATA_DIR`, `TROUPE_NAME`, `TROUPE_CLUSTER`, `TROUPE_LISTEN`, `TROUPE_JOIN`
/// (comma-separated), `TROUPE_SANDBOX`, `TROUPE_LOG_LEVEL` and `TROUPE_LOG_FORMAT`. The error names
/// the variable.
/// @param variable Returns the value of an environment variable, or null.
result<config> apply_environment(config base,
                                 const std::function<const char*(const char*)>& variable);

/// Finds a misspelt variable: one that begins with `TROUPE_` and is one or two typing errors away
/// from one of these, at most one for each three letters after `TROUPE_`. Other variables may
/// belong to other programs.
/// @param environment Entries of the form `NAME=value`. The error names the first such variable and
/// the nearest known one.
result<void> check_spelling_of_variables(const std::vector<std::string_view>& environment);

/// Checks all that can be checked without looking at the machine. The error names the field.
result<void> check_config(const config& settings);

}  // namespace troupe
