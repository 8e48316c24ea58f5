#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/character_class.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// A regular expression that a parameter's string has to match whole.
///
/// Patterns come from plugins and other nodes and are matched where commands are dispatched, so matching must not be
/// open to attack: it takes O(bytes × positions) time, a fixed amount of stack and no heap, whatever the pattern and
/// the text. `std::regex` promises none of that. The price is that only the regular part of ECMAScript's syntax exists:
/// characters, `.`, classes, `\d \D \w \W \s \S`, the escapes `\t \n \v \f \r \0 \xHH \uHHHH`, groups, `|`, and the
/// quantifiers `* + ? {n} {n,} {n,m}`, greedy or lazy; `^` may open and `$` close the pattern. Back-references,
/// look-around and `\b` are refused. Characters are Unicode code points.
///
/// Implementation: the position automaton of Glushkov ("The abstract theory of automata", 1961), simulated with one bit
/// for each position.
class text_pattern {
public:
  static constexpr std::size_t max_pattern_bytes = 512;
  /// Characters and classes in the pattern, those under `{n,m}` counted m times.
  static constexpr std::size_t max_positions = 256;
  /// Longer texts match no pattern.
  static constexpr std::size_t max_text_bytes = 4096;

  /// Positions of the automaton as bits.
  using position_set = std::array<std::uint64_t, max_positions / 64>;

  /// The error tells at which byte of the pattern what is wrong.
  static result<text_pattern> compile(std::string_view pattern);

  /// @param text well-formed UTF-8.
  bool matches(std::string_view text) const noexcept;

private:
  friend class pattern_parser;
  text_pattern() = default;

  struct position {
    character_class accepts;
    position_set next{};
  };

  std::vector<position> positions_;
  position_set first_{};
  position_set last_{};
  bool matches_empty_ = false;
};

}  // namespace troupe
