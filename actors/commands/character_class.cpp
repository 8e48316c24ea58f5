#include <troupe/actors/commands/character_class.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

char32_t take_code_point(std::string_view& text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  auto point = static_cast<char32_t>(length == 1 ? lead : lead & (0x7f >> length));
  for (std::size_t i = 1; i < length; ++i) point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  text.remove_prefix(length);
  return point;
}

character_class character_class::digits() {
  character_class made;
  made.add('0', '9');
  return made;
}

character_class character_class::word_characters() {
  character_class made = digits();
  made.add('a', 'z');
  made.add('A', 'Z');
  made.add('_', '_');
  return made;
}

character_class character_class::spaces() {
  character_class made;
  static constexpr std::array<std::pair<char32_t, char32_t>, 10> ranges{{{'\t', '\r'},
                                                                         {' ', ' '},
                                                                         {0xa0, 0xa0},
                                                                         {0x1680, 0x1680},
                                                                         {0x2000, 0x200a},
                                                                         {0x2028, 0x2029},
                                                                         {0x202f, 0x202f},
                                                                         {0x205f, 0x205f},
                                                                         {0x3000, 0x3000},
                                                                         {0xfeff, 0xfeff}}};
  for (const auto& [first, last] : ranges) made.add(first, last);
  return made;
}

character_class character_class::any_but_line_ends() {
  character_class line_ends{U'\n'};
  line_ends.add('\r', '\r');
  line_ends.add(0x2028, 0x2029);
  return line_ends.complement();
}

void character_class::add(char32_t first, char32_t last) {
  for (char32_t c = first; c <= std::min<char32_t>(last, 127); ++c) ascii_[c / 64] |= std::uint64_t{1} << c % 64;
  // Everything that overlaps or touches the new range becomes one range with it.
  const auto begin = std::ranges::lower_bound(ranges_, first, {}, [](const range& each) { return each.last + 1; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= last + 1; ++end) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), range{first, last});
}

void character_class::add(const character_class& other) {
  for (const range& each : other.ranges_) add(each.first, each.last);
}

character_class character_class::complement() const {
  character_class made;
  char32_t next = 0;
  for (const range& each : ranges_) {
    if (each.first > next) made.add(next, each.first - 1);
    next = each.last + 1;
  }
  if (next <= last_code_point) made.add(next, last_code_point);
  return made;
}

bool character_class::contains(char32_t c) const noexcept {
  if (c < 128) return (ascii_[c / 64] >> c % 64 & 1) != 0;
  const auto found = std::ranges::lower_bound(ranges_, c, {}, &range::last);
  return found != ranges_.end() && found->first <= c;
}

}  // namespace troupe
