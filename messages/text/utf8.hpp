#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe {

// utfcpp decodes. ASCII, which most strings are, is skipped here eight bytes at a time: utfcpp
// alone takes 35 to 44 times as long for long ASCII strings.

/// True when `text` is well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates,
/// nothing above U+10FFFF. O(bytes).
bool is_utf8(std::string_view text) noexcept;

/// A copy of `text` with `?` in place of each byte that is not part of well-formed UTF-8. For texts
/// from exceptions, from the system, or cut out of a longer text. O(bytes).
std::string repaired_utf8(std::string_view text);

/// The longest start of `text` that has at most `max_bytes` bytes and does not end inside a
/// character. For quoting long texts. If `text` is not UTF-8, the result may be up to three bytes
/// shorter than possible. O(1).
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept;

}  // namespace troupe
