#include <troupe/actors/commands/text_pattern.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <troupe/messages/utf8.hpp>

namespace troupe {

namespace {

using position_set = text_pattern::position_set;

void include(position_set& set, std::size_t position) noexcept {
  set[position / 64] |= std::uint64_t{1} << position % 64;
}

void include(position_set& set, const position_set& others) noexcept {
  for (std::size_t i = 0; i < set.size(); ++i) set[i] |= others[i];
}

bool is_empty(const position_set& set) noexcept { return set == position_set{}; }

bool overlap(const position_set& a, const position_set& b) noexcept {
  for (std::size_t i = 0; i < a.size(); ++i)
    if ((a[i] & b[i]) != 0) return true;
  return false;
}

template <class Visitor>
void for_each_position(const position_set& set, Visitor&& visit) {
  for (std::size_t word = 0; word < set.size(); ++word)
    for (std::uint64_t bits = set[word]; bits != 0; bits &= bits - 1)
      visit(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
}

/// What is known of a part of the pattern: whether it matches nothing at all, and where its matches begin and end.
struct fragment {
  bool nullable = true;
  position_set first{};
  position_set last{};
};

/// Thrown and caught inside `text_pattern::compile`.
struct syntax_error {
  std::size_t at;
  std::string what;
};

}  // namespace

/// Recursive descent over the pattern that builds the automaton while it reads. A repeated part is read once for each
/// copy.
class pattern_parser {
public:
  explicit pattern_parser(std::string_view text) : text_(text) {}

  text_pattern parse() {
    if (!done() && peek() == '^') ++at_;
    const fragment whole = parse_alternatives();
    if (!done() && peek() == '$') ++at_;
    if (!done()) stop(peek() == ')' ? "a \")\" closes nothing" : fmt::format("\"{}\" cannot stand here", peek()));
    built_.first_ = whole.first;
    built_.last_ = whole.last;
    built_.matches_empty_ = whole.nullable;
    return std::move(built_);
  }

private:
  /// Bounds the work for nested repetitions of parts without a character, which the bound on positions does not see.
  static constexpr std::size_t max_steps = 8192;
  static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

  struct repetition {
    std::size_t least;
    std::size_t most;
  };

  bool done() const noexcept { return at_ == text_.size(); }
  char peek() const noexcept { return text_[at_]; }
  bool take(char wanted) noexcept { return !done() && peek() == wanted ? (++at_, true) : false; }
  [[noreturn]] void stop(std::string what) const { throw syntax_error{at_, std::move(what)}; }
  char next(const char* missing) {
    if (done()) stop(missing);
    return text_[at_++];
  }

  fragment parse_alternatives() {
    fragment all = parse_sequence();
    while (take('|')) {
      const fragment other = parse_sequence();
      all.nullable |= other.nullable;
      include(all.first, other.first);
      include(all.last, other.last);
    }
    return all;
  }

  fragment parse_sequence() {
    fragment all;
    while (!done() && peek() != '|' && peek() != ')' && !at_closing_anchor()) all = joined(all, parse_repeated());
    return all;
  }

  bool at_closing_anchor() const noexcept { return peek() == '$' && at_ + 1 == text_.size(); }

  fragment parse_repeated() {
    const std::size_t begin = at_;
    const std::size_t positions_before = built_.positions_.size();
    fragment part = parse_atom();
    const auto times = parse_quantifier();
    if (!times) return part;
    const std::size_t end = at_;

    if (times->most == 0) {
      built_.positions_.resize(positions_before);
      return fragment{};
    }
    fragment all;
    const std::size_t copies = times->most == unbounded ? std::max<std::size_t>(times->least, 1) : times->most;
    for (std::size_t i = 0; i < copies; ++i) {
      if (i > 0) {
        at_ = begin;
        part = parse_atom();
      }
      if (times->most == unbounded && i + 1 == copies) connect(part.last, part.first);
      if (i >= times->least) part.nullable = true;
      all = joined(all, part);
    }
    at_ = end;
    return all;
  }

  std::optional<repetition> parse_quantifier() {
    if (done()) return std::nullopt;
    repetition times{0, unbounded};
    switch (peek()) {
      case '*': ++at_; break;
      case '+': ++at_, times.least = 1; break;
      case '?': ++at_, times.most = 1; break;
      case '{': ++at_, times = parse_braces(); break;
      default: return std::nullopt;
    }
    take('?');  // Lazy or greedy is the same when the whole text has to match.
    return times;
  }

  repetition parse_braces() {
    repetition times{parse_count(), 0};
    times.most = times.least;
    if (take(',')) times.most = !done() && peek() == '}' ? unbounded : parse_count();
    if (!take('}')) stop("a \"{\" needs the form {n}, {n,} or {n,m}");
    if (times.most < times.least) stop("a repetition has its bounds the wrong way round");
    return times;
  }

  std::size_t parse_count() {
    const std::size_t begin = at_;
    std::size_t count = 0;
    while (!done() && peek() >= '0' && peek() <= '9') {
      count = count * 10 + static_cast<std::size_t>(text_[at_++] - '0');
      if (count > text_pattern::max_positions) stop(too_large());
    }
    if (at_ == begin) stop("a \"{\" needs the form {n}, {n,} or {n,m}; write \\{ for the character");
    return count;
  }

  fragment parse_atom() {
    if (++steps_ > max_steps) stop(too_large());
    const char c = peek();
    switch (c) {
      case '(': ++at_; return parse_group();
      case '[': ++at_; return add_position(parse_class());
      case '.': ++at_; return add_position(character_class::any_but_line_ends());
      case '\\': ++at_; return add_position(parse_escape());
      case '*':
      case '+':
      case '?':
      case '{': stop(fmt::format("\"{}\" repeats nothing; write \\{} for the character", c, c));
      case '^':
      case '$': stop(fmt::format("\"{}\" may only {} the pattern", c, c == '^' ? "open" : "close"));
      case ']':
      case '}': stop(fmt::format("\"{}\" closes nothing; write \\{} for the character", c, c));
      default: return add_position(character_class{take_character()});
    }
  }

  fragment parse_group() {
    if (take('?') && !take(':')) stop("look-around and named groups are not supported; use (...) or (?:...)");
    const fragment inside = parse_alternatives();
    if (!take(')')) stop("a \"(\" is not closed");
    return inside;
  }

  character_class parse_class() {
    const bool negated = take('^');
    character_class all;
    while (!take(']')) {
      if (done()) stop("a \"[\" is not closed");
      const auto [first, single] = parse_class_member();
      if (!single || at_ + 1 >= text_.size() || peek() != '-' || text_[at_ + 1] == ']') {
        all.add(first);
        continue;
      }
      ++at_;
      const auto [_, last] = parse_class_member();
      if (!last || *last < *single) stop("a range in [...] needs two characters in ascending order");
      all.add(*single, *last);
    }
    return negated ? all.complement() : all;
  }

  /// The class, and the character when it is a single one.
  std::pair<character_class, std::optional<char32_t>> parse_class_member() {
    if (!take('\\')) {
      const char32_t c = take_character();
      return {character_class{c}, c};
    }
    if (take('b')) return {character_class{U'\b'}, U'\b'};
    if (take('-')) return {character_class{U'-'}, U'-'};
    const std::size_t begin = at_;
    character_class accepted = parse_escape();
    const bool several = std::string_view{"dDwWsS"}.find(text_[begin]) != std::string_view::npos;
    return {std::move(accepted), several ? std::nullopt : std::optional{last_escape_}};
  }

  character_class parse_escape() {
    const char c = next("the pattern ends in a \"\\\"");
    switch (c) {
      case 'd': return character_class::digits();
      case 'D': return character_class::digits().complement();
      case 'w': return character_class::word_characters();
      case 'W': return character_class::word_characters().complement();
      case 's': return character_class::spaces();
      case 'S': return character_class::spaces().complement();
      case 't': last_escape_ = U'\t'; break;
      case 'n': last_escape_ = U'\n'; break;
      case 'v': last_escape_ = U'\v'; break;
      case 'f': last_escape_ = U'\f'; break;
      case 'r': last_escape_ = U'\r'; break;
      case '0': last_escape_ = U'\0'; break;
      case 'x': last_escape_ = parse_hexadecimal(2); break;
      case 'u': last_escape_ = parse_hexadecimal(4); break;
      default:
        if (std::string_view{"^$\\.*+?()[]{}|/"}.find(c) == std::string_view::npos)
          stop(fmt::format("the escape \\{} is not supported", static_cast<unsigned char>(c) < 0x80 ? c : '?'));
        last_escape_ = static_cast<char32_t>(c);
    }
    return character_class{last_escape_};
  }

  char32_t parse_hexadecimal(int digits) {
    char32_t point = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = next("an escape lacks hexadecimal digits");
      const auto digit =
          std::string_view{"0123456789abcdef"}.find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
      if (digit == std::string_view::npos) stop("an escape lacks hexadecimal digits");
      point = point << 4 | static_cast<char32_t>(digit);
    }
    return point;
  }

  char32_t take_character() {
    std::string_view rest = text_.substr(at_);
    const char32_t c = take_code_point(rest);
    at_ = text_.size() - rest.size();
    return c;
  }

  fragment add_position(character_class accepts) {
    const std::size_t added = built_.positions_.size();
    if (added == text_pattern::max_positions) stop(too_large());
    built_.positions_.push_back({std::move(accepts), {}});
    fragment made{.nullable = false};
    include(made.first, added);
    include(made.last, added);
    return made;
  }

  void connect(const position_set& from, const position_set& to) {
    for_each_position(from, [&](std::size_t position) { include(built_.positions_[position].next, to); });
  }

  fragment joined(const fragment& a, const fragment& b) {
    connect(a.last, b.first);
    fragment all{a.nullable && b.nullable, a.first, b.last};
    if (a.nullable) include(all.first, b.first);
    if (b.nullable) include(all.last, a.last);
    return all;
  }

  static std::string too_large() {
    return fmt::format("it is too large; written out it may have {} characters", text_pattern::max_positions);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t steps_ = 0;
  char32_t last_escape_ = 0;
  text_pattern built_;
};

result<text_pattern> text_pattern::compile(std::string_view pattern) {
  if (pattern.size() > max_pattern_bytes)
    return fail(error_code::invalid_argument,
                fmt::format("the pattern has {} bytes; at most {} are accepted", pattern.size(), max_pattern_bytes));
  if (!is_utf8(pattern)) return fail(error_code::invalid_argument, "the pattern is not UTF-8");
  try {
    return pattern_parser{pattern}.parse();
  } catch (const syntax_error& found) {
    return fail(error_code::invalid_argument,
                fmt::format("the pattern \"{}\" is malformed at byte {}: {}", pattern, found.at, found.what));
  }
}

bool text_pattern::matches(std::string_view text) const noexcept {
  if (text.empty()) return matches_empty_;
  if (text.size() > max_text_bytes) return false;
  position_set candidates = first_;
  position_set reached{};
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    reached = {};
    for_each_position(candidates, [&](std::size_t position) {
      if (positions_[position].accepts.contains(c)) include(reached, position);
    });
    if (is_empty(reached)) return false;
    candidates = {};
    for_each_position(reached, [&](std::size_t position) { include(candidates, positions_[position].next); });
  }
  return overlap(reached, last_);
}

}  // namespace troupe
