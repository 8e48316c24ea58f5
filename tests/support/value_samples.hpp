#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <troupe/messages/value.hpp>

namespace troupe::test {

/// Which values are drawn: those that JSON has words for, or all.
enum class value_range : std::uint8_t { json, all };

/// Well-formed UTF-8 of up to 12 characters of every length. Call inside of `rc::check`.
inline std::string draw_text() {
  std::string text;
  const auto pieces = *rc::gen::resize(
      12, rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
              "a", "Z", "\"", "\\", "/", "~", " ", std::string(1, '\0'), "\n", "\x7f", "ä", "ß",
              "中", "\uffff", "😀", "base64:")));
  for (const auto& piece : pieces) text += piece;
  return text;
}

inline double draw_number(value_range range) {
  if (range == value_range::all && *rc::gen::inRange(0, 8) == 0)
    return *rc::gen::element(std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity());
  if (*rc::gen::inRange(0, 2) == 0)
    return *rc::gen::element(0.0, -0.0, 7.0, 0.1, -1.5e300,
                             std::numeric_limits<double>::denorm_min(),
                             std::numeric_limits<double>::max(), 9007199254740993.0);
  return *rc::gen::arbitrary<double>();
}

/// A value nested at most `depth` deep. Call inside of `rc::check`.
inline value draw_value(value_range range, int depth = 3) {
  switch (*rc::gen::inRange(0, depth > 0 ? 9 : 7)) {
    case 0: return {};
    case 1: return *rc::gen::arbitrary<bool>();
    case 2: return *rc::gen::arbitrary<std::int64_t>();
    case 3: return *rc::gen::arbitrary<std::uint64_t>();
    case 4: return draw_number(range);
    case 5: return draw_text();
    case 6:
      return range == value_range::all ? value::binary(*rc::gen::arbitrary<std::string>())
                                       : value{draw_text()};
    case 7: {
      std::vector<value> elements;
      for (int left = *rc::gen::inRange(0, 20); left > 0; --left)
        elements.push_back(draw_value(range, depth - 1));
      return value::array(elements);
    }
    default: {
      std::vector<value::member> members;
      for (int i = *rc::gen::inRange(0, 20); i > 0; --i)
        members.emplace_back(draw_text() + std::to_string(i), draw_value(range, depth - 1));
      return value::map(std::move(members));
    }
  }
}

/// Bytes in which msgpack's headers are frequent. Call inside of `rc::check`.
inline std::string draw_hostile_bytes() {
  std::string bytes;
  for (int left = *rc::gen::inRange(0, 30); left > 0; --left) {
    if (*rc::gen::inRange(0, 2) == 0)
      bytes += static_cast<char>(*rc::gen::inRange(0xc0, 0xe0));
    else
      bytes += *rc::gen::element('\x00', '\x01', '\x02', '\x7f', '\x81', '\x92', '\xa1', '\xa2',
                                 '\xe0', '\xff', 'a');
  }
  return bytes;
}

/// Limits that short messages reach. Call inside of `rc::check`.
inline codec_limits draw_narrow_limits() {
  return {.frame_bytes = *rc::gen::inRange<std::size_t>(0, 40),
          .depth = *rc::gen::inRange(0u, 4u),
          .elements = *rc::gen::inRange<std::uint64_t>(0, 10),
          .string_bytes = *rc::gen::inRange<std::size_t>(0, 40)};
}

}  // namespace troupe::test
