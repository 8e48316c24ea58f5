#pragma once

#include <chrono>

#include <troupe/plugins/manifest.hpp>

namespace troupe::test {

/// The manifest of a plugin `notes` that restarts always, at most twice in a while.
inline plugin_manifest notes_manifest() {
  using std::chrono::seconds;
  plugin_manifest made;
  made.name = "notes";
  made.version = semver::parse("1.2.3").value();
  made.entry = {"bin/notes"};
  made.permission_level = permission_level::user;
  made.restart = {restart_mode::permanent, 2, seconds{60}};
  made.deadlines = {.start = seconds{10}, .call = seconds{10}, .stop = seconds{5}};
  return made;
}

}  // namespace troupe::test
