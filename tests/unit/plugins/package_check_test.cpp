// Whether a package may be loaded.

#include <doctest/doctest.h>

#include <troupe/actors/plugins/package_check.hpp>
#include <troupe/tests/support/plugin_manifests.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

plugin_manifest at_level(permission_level level) {
  auto manifest = notes_manifest();
  manifest.permission_level = level;
  return manifest;
}

command_list commands(const std::vector<std::string>& names) {
  command_list made;
  for (const auto& name : names) made.commands.push_back(command_spec{name});
  return made;
}

}  // namespace

TEST_CASE("a package is trusted with what the operator allows, and no more") {
  using enum permission_level;
  for (const auto& [asks, most, is_fine] : {std::tuple{system, system, true},
                                            {system, user, false},
                                            {system, restricted, false},
                                            {user, system, true},
                                            {user, user, true},
                                            {user, restricted, false},
                                            {restricted, restricted, true}}) {
    CAPTURE(name_of(asks));
    CAPTURE(name_of(most));
    CHECK(check_package(at_level(asks), most, {}).has_value() == is_fine);
  }
  const auto refused = check_package(at_level(system), user, {});
  CHECK(refused.error().code == error_code::permission_denied);
  CHECK(refused.error().message ==
        "the plugin notes asks for the permission level system, and user is the most that it may "
        "have; allow it with --level system (plugin_level = \"system\" in a configuration)");
}

TEST_CASE("a plugin is loaded once") {
  const auto manifest = notes_manifest();
  const error loaded{
      error_code::already_exists, "the plugin notes is loaded already; unload it first", {}};
  CHECK(check_package(manifest, permission_level::user, {"notes"}).error() == loaded);
  CHECK(check_room(manifest, {"files", "notes"}).error() == loaded);
  CHECK(check_room(manifest, {"files"}));
}

TEST_CASE("a node has room for 256 plugins") {
  std::set<std::string> names;
  while (names.size() < max_plugins) names.insert("p" + std::to_string(names.size()));
  const auto refused = check_room(notes_manifest(), names);
  CHECK(refused.error().code == error_code::limit_exceeded);
  CHECK(refused.error().message == "at most 256 plugins can be loaded");
  names.erase("p0");
  CHECK(check_room(notes_manifest(), names));
}

TEST_CASE("a plugin does not get the name of commands with another owner") {
  const auto manifest = notes_manifest();
  CHECK(check_prefix(manifest, commands({})));
  CHECK(check_prefix(manifest, commands({"notes2.add", "notesadd"})));
  for (const char* taken : {"notes", "notes.add", "notes.a.b"}) {
    const auto refused = check_prefix(manifest, commands({"notes2.add", taken}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::already_exists);
    CHECK(refused.error().message == std::string{"the plugin cannot be named notes: the command "} +
                                         taken + " has another owner");
  }
}
