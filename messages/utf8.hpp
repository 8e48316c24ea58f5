#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe {

/// True when `text` is well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, surrogates or
/// values above U+10FFFF. O(bytes); eight at a time while they are ASCII.
bool is_utf8(std::string_view text) noexcept;

/// A copy of `text` in which every byte that is not part of well-formed UTF-8 is a `?`: makes words
/// fit to be sent that come from an exception, from the system or out of the middle of a text.
/// O(bytes).
std::string repaired_utf8(std::string_view text);

/// The longest start of `text` of at most `max_bytes` bytes that does not end inside a character:
/// to quote a text of any length. A start of what is not UTF-8 may be up to three bytes shorter
/// than it could be. O(1).
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept;

}  // namespace troupe
