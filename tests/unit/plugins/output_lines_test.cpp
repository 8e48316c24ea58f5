#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>
#include <string>
#include <vector>

#include <troupe/actors/plugins/output_lines.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

constexpr output_lines::time_point start{std::chrono::hours{1}};

}  // namespace

TEST_CASE("output is cut into its lines") {
  output_lines output;
  CHECK(output.take("a\n\nb\n", start) == lines{"a", "", "b"});
  CHECK(output.finish().empty());
}

TEST_CASE("the last lines are kept, bounded, whether they were logged or not") {
  output_lines output;
  CHECK(output.last().empty());
  (void)output.take("one\ntwo\n  three\n\n \t\n", start);
  CHECK(output.last() == "one; two; three");
  (void)output.take("fo", start);
  CHECK(output.last() == "two; three; fo");
  for (int i = 0; i < 1000; ++i) (void)output.take("flood\n", start);
  (void)output.take("the reason\n", start);
  CHECK(output.last() == "flood; flood; the reason");
  CHECK(output.take_dropped() > 0);
  (void)output.take(std::string(10'000, 'x') + "end", start);
  CHECK(output.last().size() == output_lines::max_last_bytes);
  CHECK(output.last().ends_with("xend"));
}

TEST_CASE("a line may come in pieces") {
  output_lines output;
  CHECK(output.take("on", start).empty());
  CHECK(output.take("e\ntw", start) == lines{"one"});
  CHECK(output.take("o", start).empty());
  CHECK(output.finish() == lines{"two"});
  CHECK(output.finish().empty());
}

TEST_CASE("a line that is too long is cut into pieces of the longest length") {
  output_lines output;
  const std::string longest(output_lines::max_line_bytes, 'x');
  CHECK(output.take(longest + "\n", start) == lines{longest});
  CHECK(output.take(longest + "y\n", start) == lines{longest, "y"});
  CHECK(output.take(longest + longest + longest, start) == lines{longest, longest});
  CHECK(output.finish() == lines{longest});
}

TEST_CASE("lines beyond the rate are dropped and counted, until the next second") {
  output_lines output;
  std::string many;
  for (int i = 0; i < 250; ++i) many += std::to_string(i) + "\n";
  const auto taken = output.take(many, start);
  REQUIRE(taken.size() == output_lines::max_lines_per_second);
  CHECK(taken.back() == "99");
  CHECK(output.take("late\n", start + 999ms).empty());
  CHECK(output.take_dropped() == 151);
  CHECK(output.take_dropped() == 0);
  CHECK(output.take("next\n", start + 1s) == lines{"next"});
}

TEST_CASE("a dropped line does not become part of the next") {
  output_lines output;
  std::string many(output_lines::max_lines_per_second, '\n');
  output.take(many, start);
  CHECK(output.take("dropped\nkept", start).empty());
  CHECK(output.finish() == lines{"kept"});
}

TEST_CASE("lines are the same however the output is cut") {
  CHECK(rc::check("pieces", [](const std::vector<std::string>& pieces) {
    std::string whole;
    for (const auto& piece : pieces) whole += piece + (piece.size() % 3 == 0 ? "\n" : "");
    output_lines at_once, in_pieces;
    auto expected = at_once.take(whole, start);
    for (auto& line : at_once.finish()) expected.push_back(std::move(line));
    lines taken;
    for (std::size_t at = 0; at < whole.size();) {
      const auto bytes = *rc::gen::inRange<std::size_t>(1, 10);
      for (auto& line : in_pieces.take(std::string_view{whole}.substr(at, bytes), start))
        taken.push_back(std::move(line));
      at += bytes;
    }
    for (auto& line : in_pieces.finish()) taken.push_back(std::move(line));
    RC_ASSERT(taken == expected);
  }));
}
