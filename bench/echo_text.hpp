#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace troupe::bench {

/// What is sent and must come back: 64 letters that differ from operation to operation.
using echo_text = std::array<char, 64>;

inline std::string_view view(const echo_text& text) noexcept { return {text.data(), text.size()}; }

/// The text of one operation. Cheap, as both sides of a comparison make it for every operation to
/// compare what comes back.
inline echo_text echo_text_of(std::uint64_t operation) noexcept {
  echo_text text;
  std::uint64_t state = operation;
  for (std::size_t at = 0; at < text.size(); at += 8) {
    state = (state + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
    std::uint64_t nibbles = state >> 32;  // 8 of 4 bits, spread to a byte each
    nibbles = (nibbles | nibbles << 16) & 0x0000ffff0000ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff00ff00ff00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f0f0f0f0f0f0f;
    const std::uint64_t letters = nibbles + 0x6161616161616161;  // 'a' to 'p'
    std::memcpy(text.data() + at, &letters, sizeof letters);
  }
  return text;
}

/// Whether this is the text of that operation.
inline bool is_echo_text_of(std::uint64_t operation, std::string_view text) noexcept {
  return text == view(echo_text_of(operation));
}

}  // namespace troupe::bench
