#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <troupe/messages/error.hpp>

namespace re2 {
class RE2;
}

namespace troupe {

/// A regular expression for a parameter's string, in the syntax of RE2
/// (https://github.com/google/re2/wiki/Syntax). It has to match the whole string. Characters are
/// Unicode code points.
///
/// Patterns come from plugins and other nodes and run inside the dispatcher, so their cost must be
/// bounded. For any pattern and text, RE2 takes at most O(bytes of the text * `size`) time, mostly
/// O(bytes of the text), and about 256 KiB. `std::regex` promises neither. In exchange, RE2 refuses
/// back-references and look-around.
///
/// Copies share the compiled pattern, which is immutable.
class text_pattern {
public:
  /// Longer patterns are refused.
  static constexpr std::size_t max_pattern_bytes = 512;
  /// Longer texts match no pattern.
  static constexpr std::size_t max_text_bytes = 4096;

  /// The error names the pattern and its defect.
  static result<text_pattern> compile(std::string_view pattern);

  /// Instructions of the compiled pattern, at most about 2,700.
  std::size_t size() const;

  /// @param text well-formed UTF-8.
  bool matches(std::string_view text) const;

private:
  explicit text_pattern(std::shared_ptr<const re2::RE2> compiled) noexcept;

  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace troupe
