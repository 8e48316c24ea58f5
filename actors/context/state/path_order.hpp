#pragma once

#include <algorithm>
#include <compare>
#include <string_view>

namespace troupe {

/// The order of paths in the context tree: segment by segment, which is byte order with `/` smaller
/// than every other byte. A path is followed by everything below it, so each subtree is one
/// contiguous range.
inline std::strong_ordering compare_paths(std::string_view a, std::string_view b) noexcept {
  const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (left == a.end() || right == b.end()) return a.size() <=> b.size();
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
  return rank(*left) <=> rank(*right);
}

/// True when `candidate` is `top` or below it. The empty path contains everything.
inline bool is_within(std::string_view top, std::string_view candidate) noexcept {
  return candidate.starts_with(top) &&
         (candidate.size() == top.size() || candidate[top.size()] == '/');
}

}  // namespace troupe
