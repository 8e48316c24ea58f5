#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe {

/// Takes the first character off a well-formed, non-empty UTF-8 text and returns its code point.
char32_t take_code_point(std::string_view& text) noexcept;

/// A set of Unicode code points, as one element of a `text_pattern` matches them.
class character_class {
public:
  static constexpr char32_t last_code_point = 0x10ffff;

  character_class() = default;
  explicit character_class(char32_t single) { add(single, single); }

  /// ECMAScript's `\d`, `\w` (ASCII) and `\s` (with the Unicode spaces).
  static character_class digits();
  static character_class word_characters();
  static character_class spaces();
  /// ECMAScript's `.`: everything but the line terminators.
  static character_class any_but_line_ends();

  /// Adds `first` to `last`, both included.
  void add(char32_t first, char32_t last);
  void add(const character_class& other);
  /// Everything that is not in this class.
  character_class complement() const;

  /// O(1) for ASCII, O(log ranges) beyond.
  bool contains(char32_t c) const noexcept;

private:
  struct range {
    char32_t first;
    char32_t last;
  };

  std::array<std::uint64_t, 2> ascii_{};
  std::vector<range> ranges_;  ///< Ascending, with a gap between each two.
};

}  // namespace troupe
