#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/messages/text/utf8.hpp>

using namespace troupe;
using namespace std::string_view_literals;

namespace {

/// The UTF-8 form of a code point by the definition, without regard to whether it is allowed.
std::string encoded(std::uint32_t point) {
  std::string bytes;
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) {
    bytes += static_cast<char>(0xc0 | point >> 6);
  } else if (point < 0x10000) {
    bytes += static_cast<char>(0xe0 | point >> 12);
    bytes += static_cast<char>(0x80 | (point >> 6 & 0x3f));
  } else {
    bytes += static_cast<char>(0xf0 | point >> 18);
    bytes += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    bytes += static_cast<char>(0x80 | (point >> 6 & 0x3f));
  }
  return bytes += static_cast<char>(0x80 | (point & 0x3f));
}

}  // namespace

TEST_CASE("every code point but the surrogates is well-formed UTF-8") {
  for (std::uint32_t point = 0; point < 0x120000; ++point) {
    const bool allowed = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    if (is_utf8(encoded(point)) != allowed) FAIL("code point ", point);
  }
}

TEST_CASE("overlong forms are not UTF-8") {
  for (const auto text : {"\xc0\x80"sv, "\xc0\xaf"sv, "\xc1\xbf"sv, "\xe0\x80\x80"sv,
                          "\xe0\x9f\xbf"sv, "\xf0\x80\x80\x80"sv, "\xf0\x8f\xbf\xbf"sv})
    CHECK_FALSE(is_utf8(text));
}

TEST_CASE("bytes that begin no character are not UTF-8") {
  for (unsigned lead = 0x80; lead < 0x100; ++lead) {
    CAPTURE(lead);
    CHECK_FALSE(is_utf8(std::string(1, static_cast<char>(lead))));
    if (lead < 0xc2 || lead > 0xf4)
      CHECK_FALSE(is_utf8(static_cast<char>(lead) + std::string(3, '\x80')));
  }
}

TEST_CASE("a character that is cut off is not UTF-8, wherever it is cut") {
  for (const std::string_view whole : {"ä", "中", "😀"})
    for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
      CHECK_FALSE(is_utf8(whole.substr(0, bytes)));
      CHECK_FALSE(is_utf8(std::string{whole.substr(0, bytes)} + "a"));
      CHECK_FALSE(is_utf8("12345678" + std::string{whole.substr(0, bytes)}));
    }
}

TEST_CASE("a bad byte is found at every position among good ones") {
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'a');
    CHECK(is_utf8(text));
    text[at] = '\xff';
    CHECK_FALSE(is_utf8(text));
  }
}

TEST_CASE("the empty text and zero bytes are UTF-8") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("\0\0"sv));
}

TEST_CASE("repairing replaces each bad byte and keeps all others") {
  CHECK(repaired_utf8("") == "");
  CHECK(repaired_utf8("a\xff"
                      "b") == "a?b");
  CHECK(repaired_utf8("\xe4\xb8") == "??");
  CHECK(repaired_utf8("\xc3\xa4\xc3") == "ä?");
  CHECK(repaired_utf8("\xed\xa0\x80") == "???");
}

TEST_CASE("what was repaired is UTF-8 of the same length, and good text is left alone") {
  CHECK(rc::check("repaired_utf8", [](const std::string& text) {
    const auto repaired = repaired_utf8(text);
    RC_ASSERT(is_utf8(repaired));
    RC_ASSERT(repaired.size() == text.size());
    RC_ASSERT(repaired_utf8(repaired) == repaired);
    RC_ASSERT(is_utf8(text) == (repaired == text));
  }));
}

TEST_CASE("a text that is short enough is its own prefix") {
  CHECK(utf8_prefix("", 0) == "");
  CHECK(utf8_prefix("aä", 3) == "aä");
  CHECK(utf8_prefix("aä", 80) == "aä");
  CHECK(utf8_prefix("\xff\x80", 2) == "\xff\x80");
}

TEST_CASE("a prefix ends before the character that does not fit") {
  CHECK(utf8_prefix("aä", 2) == "a");
  CHECK(utf8_prefix("ä", 1) == "");
  CHECK(utf8_prefix("中b", 2) == "");
  CHECK(utf8_prefix("a😀b", 4) == "a");
  CHECK(utf8_prefix("a😀b", 5) == "a😀");
  CHECK(utf8_prefix("abc", 0) == "");
}

TEST_CASE(
    "a prefix of UTF-8 is UTF-8 and as long as it can be, and that of other bytes misses at most "
    "three") {
  CHECK(rc::check("utf8_prefix", [] {
    const auto text = repaired_utf8(*rc::gen::arbitrary<std::string>()) + "ä中😀" +
                      *rc::gen::element<std::string>("", "x", "ß");
    const auto bytes = *rc::gen::inRange<std::size_t>(0, text.size() + 2);
    const auto prefix = utf8_prefix(text, bytes);
    RC_ASSERT(prefix.size() <= bytes);
    RC_ASSERT(is_utf8(prefix));
    RC_ASSERT(prefix.size() == text.size() || prefix.size() + 4 > bytes);
  }));
  CHECK(utf8_prefix(std::string(20, '\x80'), 10).size() == 7);
}
