#pragma once

#include <filesystem>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/plugins/launcher.hpp>
#include <troupe/runtime/config.hpp>

// What a node's plugins run in, as configured or as found beside this program.

namespace troupe {

/// The directory of the Python SDK: as configured, or where a build or an installation has it.
/// Empty when there is none.
std::filesystem::path find_python_sdk(const config& settings);

/// Makes the sandbox that is configured. Warns in the log when that is none.
sandbox_factory choose_sandbox(const config& settings, const log_target& log);

}  // namespace troupe
