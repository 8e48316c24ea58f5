#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/messages/wire/field.hpp>
#include <troupe/plugins/capability.hpp>
#include <troupe/plugins/semver.hpp>

namespace troupe {

/// When a plugin that ended is started again. The three types of Erlang/OTP's child specifications.
enum class restart_mode : std::uint8_t {
  permanent,  ///< Always.
  transient,  ///< After an abnormal end only.
  temporary,  ///< Never.
};

template <>
struct enum_names<restart_mode> {
  static constexpr std::array<enumerator<restart_mode>, 3> names{
      {{restart_mode::permanent, "permanent"},
       {restart_mode::transient, "transient"},
       {restart_mode::temporary, "temporary"}}};
};

/// How often a plugin may be restarted before it is quarantined: `intensity` times within any
/// `period`.
struct restart_spec {
  restart_mode mode = restart_mode::permanent;
  std::uint32_t intensity = 3;
  std::chrono::milliseconds period{std::chrono::seconds{30}};

  friend bool operator==(const restart_spec&, const restart_spec&) = default;
};

/// The longest start deadline of a manifest.
inline constexpr std::chrono::minutes max_start_deadline{5};

/// How long a plugin may take to start, to answer one call, and to stop.
struct plugin_deadlines {
  std::chrono::milliseconds start{std::chrono::seconds{10}};
  std::chrono::milliseconds call{std::chrono::seconds{30}};
  std::chrono::milliseconds stop{std::chrono::seconds{5}};

  friend bool operator==(const plugin_deadlines&, const plugin_deadlines&) = default;
};

/// A capability that the plugin asks for, with the reason, in words for the operator.
struct requested_capability {
  class capability capability;
  std::string reason;

  friend bool operator==(const requested_capability&, const requested_capability&) = default;
};

/// The manifest of a package, `plugin.toml` at its root:
///
///     name = "notes"                       # [a-z][a-z0-9_-]{0,31}, no reserved name; required
///     version = "1.4.0"                    # semantic version; required
///     description = "Keeps short notes"    # at most 1 KiB
///     entry = ["bin/notes", "--quiet"]     # program and arguments, or the program; required
///     permission_level = "user"            # or restricted (the default), or system where the
///                                          # operator allows it
///     denied = ["context.read:/app/x/**"]  # capabilities that it must never have
///
///     [[capabilities]]                     # at most 64, and as many denied
///     capability = "context.read:/app/**"  # of the verbs that this build enforces
///     reason = "shows the notes of the open document"
///
///     [resource_limits]                    # each defaults to its level's, see `default_limits`
///     max_memory_bytes = 134_217_728       # 4 MiB to 1 TiB
///     max_cpu_percent = 50                 # of one core: 1 to 6400
///     max_storage_bytes = 8_388_608        # of its private /tmp: 0 to 1 TiB
///     max_processes = 16                   # 1 to 4096
///     max_open_files = 64                  # 8 to 65536
///
///     [restart]
///     mode = "permanent"                   # or transient, temporary
///     intensity = 3                        # 0 to 100
///     period_ms = 30_000                   # 1 second to a day
///
///     [deadlines]
///     start_ms = 10_000                    # to 5 minutes
///     call_ms = 30_000                     # to an hour
///     stop_ms = 5_000                      # to a minute
///
///     [integrity]                          # SHA-256 of files of the package, of at most 1 GiB
///     "bin/notes" = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
///
/// Reserved names are `system`, `host`, `client`, `peer` and `plugin`. A relative program is a file
/// of the package; an absolute one is found in the sandbox, where `/usr` is the host's. An
/// integrity table lists each file of the package that the entry names, such as the script of an
/// interpreter.
///
/// Everything in a manifest is enforced. `max_network_bytes` and the verbs `event.publish`,
/// `event.subscribe`, `net.connect` and `state` are refused until this build enforces them.
struct plugin_manifest {
  std::string name;
  semver version;
  std::string description;
  std::vector<std::string> entry;
  enum permission_level permission_level = permission_level::restricted;
  std::vector<requested_capability> capabilities;
  std::vector<capability> denied;
  struct resource_limits resource_limits;
  restart_spec restart;
  plugin_deadlines deadlines;
  std::map<std::string, std::string>
      integrity;  ///< File, relative to the package, to 64 lower-case hexadecimal digits.
};

/// Whether this may name a plugin: `[a-z][a-z0-9_-]{0,31}`.
bool is_plugin_name(std::string_view text) noexcept;

/// The manifest in `text`. Pure: does not look at the package.
///
/// Fails at the first mistake, with `invalid_argument` and a message of the form `file:line:column:
/// key: mistake`. For an unknown key the message names the nearest known one. At most 256 KiB are
/// accepted.
/// @param file_name The name of the file in messages.
result<plugin_manifest> parse_manifest(std::string_view text, std::string_view file_name);

/// The manifest of the package in this directory, checked against the package: its program exists,
/// may be executed and lies inside, and each file of the integrity table has its sum.
///
/// Fails with `not_found` when there is no readable `plugin.toml`, with `invalid_argument` as
/// `parse_manifest` and when the program is not usable, and with `corrupt_data` when a file differs
/// from its sum, see `verify_integrity`. Reads every listed file.
result<plugin_manifest> load_manifest(const std::filesystem::path& package);

}  // namespace troupe
