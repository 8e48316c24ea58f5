#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe {

/// The most containers within containers that any decoder accepts.
inline constexpr std::uint32_t max_depth = 64;

/// What a decoder accepts. It checks each bound before it spends memory on what is bounded.
struct codec_limits {
  std::size_t frame_bytes = std::size_t{8} << 20;   ///< Of a whole message.
  std::uint32_t depth = max_depth;                  ///< Containers within containers.
  std::uint64_t elements = std::uint64_t{1} << 20;  ///< Scalars and containers of a message.
  std::size_t string_bytes = std::size_t{8} << 20;  ///< Of one string or binary.
};

/// The most arguments of one command. Checked before any of them is read.
inline constexpr std::uint32_t max_arguments = 256;

}  // namespace troupe
