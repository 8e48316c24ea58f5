#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// How much a plugin is trusted. Sets its default capabilities and budgets.
enum class permission_level : std::uint8_t {
  system,      ///< Everything that is not explicitly denied.
  user,        ///< Its own context prefix, event topics, state, log and commands.
  restricted,  ///< Its own state, log and commands only.
};

template <>
struct enum_names<permission_level> {
  static constexpr std::array<enumerator<permission_level>, 3> names{
      {{permission_level::system, "system"},
       {permission_level::user, "user"},
       {permission_level::restricted, "restricted"}}};
};

/// What a plugin may consume. Zero means none, not unlimited.
struct resource_limits {
  std::uint64_t max_memory_bytes = std::uint64_t{256} << 20;
  std::uint32_t max_cpu_percent = 50;  ///< Of one core.
  std::uint64_t max_storage_bytes = std::uint64_t{64} << 20;
  std::uint64_t max_network_bytes = std::uint64_t{16} << 20;  ///< An hour.
  std::uint32_t max_processes = 32;
  std::uint32_t max_open_files = 64;

  static constexpr auto fields() {
    return std::tuple{optional("max_memory_bytes", &resource_limits::max_memory_bytes),
                      optional("max_cpu_percent", &resource_limits::max_cpu_percent),
                      optional("max_storage_bytes", &resource_limits::max_storage_bytes),
                      optional("max_network_bytes", &resource_limits::max_network_bytes),
                      optional("max_processes", &resource_limits::max_processes),
                      optional("max_open_files", &resource_limits::max_open_files)};
  }
  friend bool operator==(const resource_limits&, const resource_limits&) = default;
};

/// The budgets that a level has when its manifest names none.
resource_limits default_limits(permission_level level) noexcept;

/// How far a plugin is trusted, what it may consume, and what it may do. This is the type
/// `security_context` of the requirements. Its plugin's supervisor makes it from the policy, with
/// each change; the sandbox confines a process by it, and descriptions of the plugin show it.
struct security_context {
  enum permission_level permission_level = permission_level::restricted;
  struct resource_limits resource_limits;
  /// In effect, as `verb:pattern`. `*` stands for everything.
  std::set<std::string> allowed_capabilities;

  friend bool operator==(const security_context&, const security_context&) = default;
};

/// The result of every permission check: whether an operation is allowed, and by which rule.
/// Also the answer to `plugin.check`.
struct permission_decision {
  bool allowed = false;
  std::string rule;  ///< The capability that decided, or in words why none did.
  /// What was asked for, as `verb:resource`, where the checker found that out itself. Not sent: a
  /// caller over a link knows it.
  std::string operation = {};

  static constexpr auto fields() {
    return std::tuple{required("allowed", &permission_decision::allowed),
                      required("rule", &permission_decision::rule)};
  }
  friend bool operator==(const permission_decision&, const permission_decision&) = default;
};

/// What a plugin has used, beside its limits.
struct resource_usage {
  std::uint64_t memory_bytes = 0;
  std::uint64_t cpu_milliseconds = 0;
  std::uint32_t processes = 0;
  std::string memory_mechanism;  ///< Which kernel mechanism holds the limit, such as `"cgroup v1"`
                                 ///< or `"rlimit"`.
  std::string cpu_mechanism;
  std::string process_mechanism;

  static constexpr auto fields() {
    return std::tuple{required("memory_bytes", &resource_usage::memory_bytes),
                      required("cpu_milliseconds", &resource_usage::cpu_milliseconds),
                      required("processes", &resource_usage::processes),
                      required("memory_mechanism", &resource_usage::memory_mechanism),
                      required("cpu_mechanism", &resource_usage::cpu_mechanism),
                      required("process_mechanism", &resource_usage::process_mechanism)};
  }
  friend bool operator==(const resource_usage&, const resource_usage&) = default;
};

/// Where a plugin is in its life.
enum class plugin_phase : std::uint8_t {
  discovered,
  starting,
  running,
  stopping,
  stopped,
  failed,
  quarantined
};

template <>
struct enum_names<plugin_phase> {
  static constexpr std::array<enumerator<plugin_phase>, 7> names{
      {{plugin_phase::discovered, "discovered"},
       {plugin_phase::starting, "starting"},
       {plugin_phase::running, "running"},
       {plugin_phase::stopping, "stopping"},
       {plugin_phase::stopped, "stopped"},
       {plugin_phase::failed, "failed"},
       {plugin_phase::quarantined, "quarantined"}}};
};

}  // namespace troupe
