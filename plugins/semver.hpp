#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>

namespace troupe {

/// A version as Semantic Versioning 2.0.0 defines it: `major.minor.patch`, then `-prerelease` and
/// `+build` when present.
struct semver {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t patch = 0;
  std::vector<std::string> prerelease;  ///< Dot-separated identifiers, in order.
  std::string build;                    ///< Names a build. Ignored by comparisons.

  /// At most 128 bytes. The error names the text, the mistake and the correction.
  static result<semver> parse(std::string_view text);

  /// Precedence by the specification's chapter 11: a prerelease comes before its release, the build
  /// is ignored.
  friend std::weak_ordering operator<=>(const semver& a, const semver& b) noexcept;
  friend bool operator==(const semver& a, const semver& b) noexcept { return (a <=> b) == 0; }
};

/// The text that `semver::parse` reads.
std::string to_string(const semver& version);

}  // namespace troupe
