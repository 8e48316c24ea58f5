#pragma once

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace troupe {

/// The number of bytes that two texts have in common at their beginning. Eight bytes at a time: the
/// search in a tree does little else.
inline std::size_t common_prefix(std::string_view a, std::string_view b) noexcept {
  const auto size = std::min(a.size(), b.size());
  std::size_t at = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (std::uint64_t left, right; at + sizeof left <= size; at += sizeof left) {
      std::memcpy(&left, a.data() + at, sizeof left);
      std::memcpy(&right, b.data() + at, sizeof right);
      if (left != right) return at + static_cast<std::size_t>(std::countr_zero(left ^ right)) / 8;
    }
  }
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

/// The order of paths in the context tree: segment by segment, which is byte order with `/` smaller
/// than every other byte. A path is followed by everything below it, so each subtree is one
/// contiguous range.
inline std::strong_ordering compare_paths(std::string_view a, std::string_view b) noexcept {
  const auto at = common_prefix(a, b);
  if (at == a.size() || at == b.size()) return a.size() <=> b.size();
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
  return rank(a[at]) <=> rank(b[at]);
}

/// True when `candidate` is `top` or below it. The empty path contains everything.
inline bool is_within(std::string_view top, std::string_view candidate) noexcept {
  return candidate.starts_with(top) &&
         (candidate.size() == top.size() || candidate[top.size()] == '/');
}

}  // namespace troupe
