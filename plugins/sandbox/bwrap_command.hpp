#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <troupe/plugins/sandbox/launch.hpp>
#include <troupe/plugins/sandbox/sandbox.hpp>

namespace troupe {

/// Paths inside the sandbox.
inline constexpr const char* package_in_sandbox = "/plugin";
inline constexpr const char* plugin_init_in_sandbox = "/run/plugin-init";

/// What a launch of bwrap needs beside the spec.
struct bwrap_settings {
  std::filesystem::path bwrap;
  std::filesystem::path plugin_init;
  std::optional<uid_t> identity;
  bool landlock_may_be_missing = false;
  bool limit_data = false;  ///< Whether `RLIMIT_DATA` is what holds the memory limit.
};

/// Whether the sandbox can show a path of the host: it must be absolute, exist, and not be one that
/// the sandbox fills itself. The error names it.
result<void> check_readable(const std::filesystem::path& path);

/// Checks a spec against what the sandbox can show: names, absolute existing paths, a program. The
/// error names the culprit.
result<void> check_spec(const sandbox_spec& spec);

/// The staging tree, the bwrap command around plugin-init around the entry, and the environment.
/// The spec has been checked.
launch_plan make_bwrap_plan(const sandbox_spec& spec, const bwrap_settings& settings);

/// The variables of every plugin, and those of its spec, as `NAME=value`.
std::vector<std::string> plugin_environment(const sandbox_spec& spec, std::string_view home);

}  // namespace troupe
