#pragma once

#include <set>
#include <string>

#include <troupe/messages/error.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/plugins/manifest.hpp>

namespace troupe {

/// That a node may have loaded at a time.
inline constexpr std::size_t max_plugins = 256;

/// Refuses a package that wants more trust than `most`, the operator's word, or whose name is
/// loaded already.
result<void> check_package(const plugin_manifest& manifest, permission_level most,
                           const std::set<std::string>& loaded);

/// Refuses a plugin whose name is, or begins, the name of a command with another owner: a plugin
/// may execute every command below its own name.
/// @param offered The commands whose names begin with the plugin's.
result<void> check_prefix(const plugin_manifest& manifest, const command_list& offered);

/// Refuses one more plugin when its name is loaded or the node is full. Asked once more just before
/// the start, since others may have been loaded meanwhile.
result<void> check_room(const plugin_manifest& manifest, const std::set<std::string>& loaded);

}  // namespace troupe
