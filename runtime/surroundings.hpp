#pragma once

#include <filesystem>
#include <string>

#include <troupe/messages/error.hpp>
#include <troupe/runtime/config.hpp>

// What a node needs of the machine, checked before anything is written.

namespace troupe {

/// The absolute path of a plugin's package. It must be UTF-8, because other programs get it.
result<std::string> package_place(const std::filesystem::path& package);

/// The error of a node that does not start because of this plugin.
error plugin_not_started(const std::filesystem::path& package, const error& why);

/// Where the node listens for clients.
std::filesystem::path socket_file(const config& settings);

/// Checks the data directory, the place of the socket and the plugins' manifests, and makes the
/// paths absolute. Writes nothing.
result<config> check_surroundings(config settings);

}  // namespace troupe
