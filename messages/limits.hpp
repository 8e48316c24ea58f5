#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe {

/// What a decoder accepts. Every bound is checked before memory is spent on what it bounds.
struct codec_limits {
  std::size_t frame_bytes = std::size_t{8} << 20;  ///< One whole message.
  std::uint32_t depth = 64;                        ///< Containers within containers; at most 64.
  std::uint64_t elements = std::uint64_t{1}
                           << 20;  ///< Everything in one message: scalars and containers.
  std::size_t string_bytes = std::size_t{8} << 20;  ///< One string or binary.
};

/// How many arguments one command may be given. Checked before any of them is looked at.
inline constexpr std::uint32_t max_arguments = 256;

}  // namespace troupe
