#include <troupe/messages/utf8.hpp>

#include <cstdint>
#include <cstring>

namespace troupe {

namespace {

/// How many bytes follow a lead byte, and the range that the first of them must be in. `follow` 0 means: not a lead byte.
struct lead_rule {
  unsigned follow, low, high;
};

constexpr lead_rule rule_of(unsigned char lead) noexcept {
  if (lead >= 0xc2 && lead <= 0xdf) return {1, 0x80, 0xbf};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};
  if (lead >= 0xe1 && lead <= 0xef) return {2, 0x80, 0xbf};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead >= 0xf1 && lead <= 0xf3) return {3, 0x80, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at != end) {
    if (end - at >= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, at, 8);
      if ((eight & 0x8080808080808080ULL) == 0) {
        at += 8;
        continue;
      }
    }
    if (*at < 0x80) {
      ++at;
      continue;
    }
    const lead_rule rule = rule_of(*at);
    if (rule.follow == 0 || end - at <= static_cast<std::ptrdiff_t>(rule.follow)) return false;
    if (at[1] < rule.low || at[1] > rule.high) return false;
    for (unsigned i = 2; i <= rule.follow; ++i)
      if ((at[i] & 0xc0) != 0x80) return false;
    at += rule.follow + 1;
  }
  return true;
}

}  // namespace troupe
