#pragma once

#include <string>
#include <string_view>

namespace troupe {

/// True when `text` is well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, surrogates or values above U+10FFFF.
/// O(bytes); eight at a time while they are ASCII.
bool is_utf8(std::string_view text) noexcept;

/// A copy of `text` in which every byte that is not part of well-formed UTF-8 is a `?`: makes words fit to be sent that come
/// from an exception, from the system or out of the middle of a text. O(bytes).
std::string repaired_utf8(std::string_view text);

}  // namespace troupe
