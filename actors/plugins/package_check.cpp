#include <troupe/actors/plugins/package_check.hpp>

namespace troupe {

namespace {

result<void> check_name(const plugin_manifest& manifest, const std::set<std::string>& loaded) {
  if (!loaded.contains(manifest.name)) return {};
  return fail(error_code::already_exists,
              "the plugin " + manifest.name + " is loaded already; unload it first");
}

}  // namespace

result<void> check_package(const plugin_manifest& manifest, permission_level most,
                           const std::set<std::string>& loaded) {
  if (manifest.permission_level < most) {  // the order is that of trust
    const std::string asked{name_of(manifest.permission_level)};
    return fail(error_code::permission_denied,
                "the plugin " + manifest.name + " asks for the permission level " + asked +
                    ", and " + std::string{name_of(most)} +
                    " is the most that it may have; allow it with --level " + asked +
                    " (plugin_level = \"" + asked + "\" in a configuration)");
  }
  return check_name(manifest, loaded);
}

result<void> check_prefix(const plugin_manifest& manifest, const command_list& offered) {
  for (const auto& command : offered.commands)
    if (command.name == manifest.name || command.name.starts_with(manifest.name + '.'))
      return fail(error_code::already_exists, "the plugin cannot be named " + manifest.name +
                                                  ": the command " + command.name +
                                                  " has another owner");
  return {};
}

result<void> check_room(const plugin_manifest& manifest, const std::set<std::string>& loaded) {
  if (auto named = check_name(manifest, loaded); !named) return named;
  if (loaded.size() < max_plugins) return {};
  return fail(error_code::limit_exceeded,
              "at most " + std::to_string(max_plugins) + " plugins can be loaded");
}

}  // namespace troupe
