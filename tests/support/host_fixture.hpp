#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/runtime/host.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

namespace troupe::test {

/// The settings of a host whose data is in this directory.
inline config in(const temporary_directory& place) {
  config settings{.data_dir = place.path() / "data"};
  if (const char* helper = std::getenv("TROUPE_PLUGIN_INIT")) settings.plugin_init = helper;
  return settings;
}

inline result<void> add_greet(host& host) {
  return host.commands().add(
      command_spec{"greet"}.summary("Greets someone").param<std::string>("name"),
      [](const arguments& given) { return value{"Hello, " + given.get<std::string>("name")}; });
}

/// What a constructor said that had to fail.
inline error failure_of(config settings) {
  try {
    host started{std::move(settings)};
  } catch (const failure& why) {
    CHECK(std::string{why.what()} == why.why().message);
    return why.why();
  }
  return {error_code::none, "it started", {}};
}

inline bool mentions(const error& why, std::string_view text) {
  return why.message.find(text) != std::string::npos;
}

}  // namespace troupe::test
