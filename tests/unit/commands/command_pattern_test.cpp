#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/actors/commands/validation/text_pattern.hpp>

using namespace troupe;

namespace {

bool matches(std::string_view pattern, std::string_view text) {
  const auto compiled = text_pattern::compile(pattern);
  REQUIRE_MESSAGE(compiled.has_value(), pattern);
  return compiled->matches(text);
}

std::string refusal(std::string_view pattern) {
  const auto compiled = text_pattern::compile(pattern);
  REQUIRE_MESSAGE(!compiled.has_value(), pattern);
  CHECK(compiled.error().code == error_code::invalid_argument);
  return compiled.error().message;
}

using positions = std::set<std::size_t>;

/// A pattern, and what it means: the positions of `text` at which a match that begins at one of
/// `from` can end. Takes time polynomial in the text, as the standard library's matcher does not.
struct reference {
  std::string pattern;
  std::function<positions(std::string_view text, const positions& from)> ends;

  bool matches(std::string_view text) const { return ends(text, {0}).contains(text.size()); }
};

reference one_of(std::string pattern, std::string_view letters) {
  return {std::move(pattern), [letters](std::string_view text, const positions& from) {
            positions ends;
            for (const auto at : from)
              if (at < text.size() && letters.find(text[at]) != letters.npos) ends.insert(at + 1);
            return ends;
          }};
}

reference repeated(const reference& what, const std::string& count, int least, int most) {
  const auto ends = [inner = what.ends, least, most](std::string_view text, positions reached) {
    positions all;
    // More rounds than the text has letters reach nothing new.
    const int rounds = std::min(most, least + static_cast<int>(text.size()));
    for (int round = 0;; ++round) {
      if (round >= least) all.insert(reached.begin(), reached.end());
      if (round == rounds) return all;
      reached = inner(text, reached);
    }
  };
  return {"(" + what.pattern + ")" + count, ends};
}

/// A random pattern over a few letters, with every operator.
reference random_pattern(int depth) {
  constexpr int any = std::numeric_limits<int>::max();
  const auto part = [&] { return random_pattern(depth - 1); };
  switch (*rc::gen::inRange(0, depth > 0 ? 9 : 3)) {
    case 0: return one_of("a", "a");
    case 1: return one_of("[ab]", "ab");
    case 2: return one_of("[^a]", "b");
    case 3: {
      const auto first = part(), second = part();
      return {first.pattern + second.pattern, [=](std::string_view text, const positions& from) {
                return second.ends(text, first.ends(text, from));
              }};
    }
    case 4: {
      const auto first = part(), second = part();
      return {"(" + first.pattern + "|" + second.pattern + ")",
              [=](std::string_view text, const positions& from) {
                auto ends = first.ends(text, from);
                ends.merge(second.ends(text, from));
                return ends;
              }};
    }
    case 5: return repeated(part(), "*", 0, any);
    case 6: return repeated(part(), "+", 1, any);
    case 7: return repeated(part(), "?", 0, 1);
    default: {
      const int least = *rc::gen::inRange(0, 3);
      const int most = least + *rc::gen::inRange(0, 3);
      return repeated(part(), "{" + std::to_string(least) + "," + std::to_string(most) + "}", least,
                      most);
    }
  }
}

}  // namespace

TEST_CASE("a pattern has to match the whole text") {
  CHECK(matches("[a-z]+", "abc"));
  CHECK_FALSE(matches("[a-z]+", "abc1"));
  CHECK_FALSE(matches("[a-z]+", ""));
  CHECK(matches("", ""));
  CHECK_FALSE(matches("", "a"));
  CHECK(matches("^a+$", "aa"));
  CHECK_FALSE(matches("^a+$", "aa\n"));
  CHECK(matches("a|b", "b"));
  CHECK_FALSE(matches("a|b", "ab"));
}

TEST_CASE("characters are code points, not bytes") {
  CHECK(matches("...", "äé中"));
  CHECK(matches("[α-ω]+", "λογος"));
  CHECK_FALSE(matches("[α-ω]+", "Λογος"));
  CHECK(matches("[^a]", "😀"));
  CHECK(matches(R"(\pL+)", "Ñandú"));
}

TEST_CASE("a text with a zero byte is matched whole") {
  using namespace std::string_view_literals;
  CHECK(matches(R"(a\x00b)", "a\0b"sv));
  CHECK_FALSE(matches("a", "a\0b"sv));
}

TEST_CASE("an error names the pattern and what is wrong with it") {
  CHECK(refusal("ab(c") ==
        "the pattern \"ab(c\" is not an RE2 regular expression: missing ): ab(c");
  CHECK(refusal("[z-a]").find("invalid character class range: z-a") != std::string::npos);
  CHECK(refusal("\xff") == "the pattern is not UTF-8");
}

TEST_CASE("what cannot be matched in linear time is refused") {
  CHECK(refusal("(?=a)").find("\"(?=a)\"") != std::string::npos);
  CHECK(refusal(R"((a)\1)").find(R"(\1)") != std::string::npos);
}

TEST_CASE("a pattern that would grow large is refused at once") {
  CHECK(refusal("((((a{99}){99}){99}){99})").find("invalid repetition size") != std::string::npos);
  CHECK(refusal(R"(\pL{1,64})").find("too large") != std::string::npos);
  CHECK(refusal(std::string(text_pattern::max_pattern_bytes + 1, 'a')) ==
        "a pattern of 513 bytes is too long; at most 512 are accepted");
  CHECK(matches(std::string(text_pattern::max_pattern_bytes, 'a'),
                std::string(text_pattern::max_pattern_bytes, 'a')));
}

TEST_CASE("patterns that defeat backtracking matchers are matched in linear time") {
  const std::string text = std::string(text_pattern::max_text_bytes - 1, 'a') + "!";
  CHECK_FALSE(matches("(a+)+b", text));
  CHECK_FALSE(matches("(a|a?)*(a|aa)*b", text));
  CHECK(matches("(a?){100}a*!", text));
}

TEST_CASE("a pattern whose automaton outgrows its memory still gives the right answer") {
  // Deterministic automata for this have 2^200 states; the text makes each letter reach a new one.
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < text_pattern::max_text_bytes - 201) {
    state = state * 1664525 + 1013904223;
    text += (state >> 16 & 1) != 0 ? 'a' : 'b';
  }
  CHECK(matches("(a|b)*a(a|b){200}", text + "a" + std::string(200, 'b')));
  CHECK_FALSE(matches("(a|b)*a(a|b){200}", text + "b" + std::string(200, 'b')));
}

TEST_CASE("a text above the bound matches nothing") {
  CHECK(matches("a*", std::string(text_pattern::max_text_bytes, 'a')));
  CHECK_FALSE(matches("a*", std::string(text_pattern::max_text_bytes + 1, 'a')));
}

TEST_CASE("a copy of a pattern outlives the original") {
  auto original = text_pattern::compile("a+");
  REQUIRE(original.has_value());
  const text_pattern copy = *original;
  original = text_pattern::compile("b");
  CHECK(copy.matches("aa"));
}

TEST_CASE("a malformed pattern writes nothing to standard error") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const int saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  const bool compiled = text_pattern::compile("(").has_value();
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(ends[1]);
  char byte;
  CHECK(read(ends[0], &byte, 1) == 0);
  close(ends[0]);
  CHECK_FALSE(compiled);
}

TEST_CASE("patterns match what their operators mean") {
  CHECK(rc::check("against sets of positions", [] {
    const auto expected = random_pattern(3);
    const auto compiled = text_pattern::compile(expected.pattern);
    RC_PRE(compiled.has_value());
    for (int i = 0; i < 20; ++i) {
      const auto text =
          *rc::gen::resize(10, rc::gen::container<std::string>(rc::gen::element('a', 'b')));
      RC_LOG() << expected.pattern << " on " << text << '\n';
      RC_ASSERT(compiled->matches(text) == expected.matches(text));
    }
  }));
}
