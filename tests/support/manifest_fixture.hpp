#pragma once

#include <doctest/doctest.h>

#include <string>

#include <troupe/plugins/manifest.hpp>

namespace troupe::test {

/// Only what a manifest must have.
inline constexpr const char* smallest =
    "name = \"notes\"\nversion = \"1.0.0\"\nentry = \"bin/notes\"\n";

/// The SHA-256 of no bytes at all.
inline const std::string empty_sum =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The message about this text, which is no good manifest.
inline std::string mistake_of_whole(const std::string& text) {
  const auto parsed = parse_manifest(text, "plugin.toml");
  REQUIRE_FALSE(parsed);
  return parsed.error().message;
}

}  // namespace troupe::test
