#pragma once

#include <string_view>

namespace troupe {

/// True when `text` is well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, surrogates or values above U+10FFFF.
/// O(bytes); eight at a time while they are ASCII.
bool is_utf8(std::string_view text) noexcept;

}  // namespace troupe
