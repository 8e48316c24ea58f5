#pragma once

#include <array>
#include <cstdint>

#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// Protection that an operator may waive, by name.
enum class weaker_mode : std::uint8_t {
  no_landlock,  ///< Run plugins on kernels without Landlock: files are then guarded by the mount
                ///< namespace alone.
};

template <>
struct enum_names<weaker_mode> {
  static constexpr std::array<enumerator<weaker_mode>, 1> names{
      {{weaker_mode::no_landlock, "no-landlock"}}};
};

}  // namespace troupe
