#pragma once

#include <string_view>

namespace troupe {

/// The version of this build, as `major.minor.patch`.
inline constexpr std::string_view version = TROUPE_VERSION;

}  // namespace troupe
