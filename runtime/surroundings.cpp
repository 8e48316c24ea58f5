#include <troupe/runtime/surroundings.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <troupe/actors/links/sockets.hpp>
#include <troupe/messages/text/utf8.hpp>
#include <troupe/plugins/manifest.hpp>

namespace troupe {

namespace {

/// Checks that the data directory can be used, or can be made, without making it.
result<void> check_data_dir(const std::filesystem::path& wanted) {
  std::error_code problem;
  auto there = wanted;  // the nearest directory that exists
  auto found = std::filesystem::status(there, problem);
  while (found.type() == std::filesystem::file_type::not_found && there.has_relative_path()) {
    there = there.parent_path();
    found = std::filesystem::status(there, problem);
  }
  const auto refused = [&](const std::string& why) {
    const auto what =
        there == wanted ? " cannot be used: " : " cannot be made: " + there.native() + ": ";
    return fail(error_code::invalid_argument, "the data directory " + wanted.native() + what + why);
  };
  if (!std::filesystem::exists(found)) return refused(problem.message());
  if (!std::filesystem::is_directory(found)) return refused("it is not a directory");
  if (access(there.c_str(), there == wanted ? R_OK | W_OK | X_OK : W_OK | X_OK) != 0)
    return refused(std::strerror(errno));
  return {};
}

result<std::filesystem::path> data_dir_place(const std::filesystem::path& given) {
  std::error_code problem;
  auto place = std::filesystem::absolute(given, problem);
  if (problem)
    return fail(error_code::unavailable,
                "the data directory cannot be found: " + problem.message());
  if (!is_utf8(place.native()))
    return fail(error_code::invalid_argument, "the path of the data directory " +
                                                  repaired_utf8(place.native()) + " is not UTF-8");
  if (auto checked = check_data_dir(place); !checked) return fail(std::move(checked.error()));
  return place;
}

}  // namespace

result<std::string> package_place(const std::filesystem::path& package) {
  if (package.empty())
    return fail(error_code::invalid_argument, "the name of a plugin's package directory is empty");
  std::error_code problem;
  const auto place = std::filesystem::absolute(package, problem);
  if (problem)
    return fail(error_code::unavailable,
                "the package " + package.native() + " cannot be found: " + problem.message());
  if (!is_utf8(place.native()))
    return fail(error_code::invalid_argument,
                "the path of the package " + repaired_utf8(place.native()) + " is not UTF-8");
  return place.native();
}

error plugin_not_started(const std::filesystem::path& package, const error& why) {
  return {why.code, "the plugin " + package.native() + " cannot be started: " + why.message, {}};
}

std::filesystem::path socket_file(const config& settings) {
  return settings.data_dir / "troupe.sock";
}

result<config> check_surroundings(config settings) {
  auto place = data_dir_place(settings.data_dir);
  if (!place) return fail(std::move(place.error()));
  settings.data_dir = std::move(*place);
  if (settings.serve_clients)
    if (auto checked = check_unix_place(socket_file(settings)); !checked)
      return fail(std::move(checked.error()));
  for (auto& package : settings.plugins) {
    auto found = package_place(package);
    if (found)
      if (auto read = load_manifest(*found); !read) found = fail(std::move(read.error()));
    if (!found) return fail(plugin_not_started(package, found.error()));
    package = std::move(*found);
  }
  return settings;
}

}  // namespace troupe
