#include <troupe/messages/text/utf8.hpp>

#include <cstdint>
#include <cstring>

#include <utf8.h>

namespace troupe {

namespace {

constexpr std::uint64_t high_bits = 0x8080808080808080ULL;

bool is_ascii(char c) noexcept { return (static_cast<unsigned char>(c) & 0x80) == 0; }

std::uint64_t next_eight(const char* at) noexcept {
  std::uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

const char* end_of_ascii(const char* at, const char* end) noexcept {
  while (end - at >= 8 && (next_eight(at) & high_bits) == 0) at += 8;
  while (at != end && is_ascii(*at)) ++at;
  return at;
}

const char* end_of_others(const char* at, const char* end) noexcept {
  while (end - at >= 8 && (next_eight(at) & high_bits) == high_bits) at += 8;
  while (at != end && !is_ascii(*at)) ++at;
  return at;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  // Characters outside ASCII contain no ASCII bytes, so each run of other bytes can be checked
  // alone.
  for (;;) {
    const char* const run = end_of_ascii(at, end);
    if (run == end) return true;
    at = end_of_others(run, end);
    if (!utf8::is_valid(run, at)) return false;
  }
}

std::string repaired_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    const char* const bad = utf8::find_invalid(at, end);
    repaired.append(at, bad);
    at = bad;
    if (at == end) break;
    repaired += '?';
    ++at;
  }
  return repaired;
}

std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept {
  if (text.size() <= max_bytes) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  auto end = max_bytes;
  // Go back to the start of the character that is cut: at most three bytes.
  for (int back = 0; back < 3 && end > 0 && continues(text[end]); ++back) --end;
  return text.substr(0, end);
}

}  // namespace troupe
