#include <troupe/messages/utf8.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace troupe {

namespace {

/// How many bytes follow a lead byte, and the range that the first of them must be in. `follow` 0
/// means: not a lead byte.
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

/// The bytes of the character at the start of `text`, which is not empty; 0 when it is not
/// well-formed.
std::size_t character_bytes(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  const lead_rule rule = rule_of(byte(0));
  if (rule.follow == 0 || text.size() <= rule.follow || byte(1) < rule.low || byte(1) > rule.high)
    return 0;
  for (unsigned i = 2; i <= rule.follow; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return rule.follow + 1;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    if (text.size() >= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, text.data(), 8);
      if ((eight & 0x8080808080808080ULL) == 0) {
        text.remove_prefix(8);
        continue;
      }
    }
    const auto bytes = character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string repaired_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  while (!text.empty()) {
    const auto bytes = character_bytes(text);
    if (bytes == 0)
      repaired += '?';
    else
      repaired += text.substr(0, bytes);
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return repaired;
}

std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept {
  if (text.size() <= max_bytes) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  auto end = max_bytes;
  for (int back = 0; back < 3 && end > 0 && continues(text[end]); ++back)
    --end;  // to the start of the character that is cut
  return text.substr(0, end);
}

}  // namespace troupe
