#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <troupe/messages/text/spelling.hpp>

using namespace troupe;

namespace {

/// Lowrance and Wagner's recurrence, written down as it stands, without any bound.
std::size_t reference_distance(const std::string& a, const std::string& b) {
  const std::size_t infinite = a.size() + b.size();
  std::vector<std::vector<std::size_t>> cell(a.size() + 2, std::vector<std::size_t>(b.size() + 2));
  std::map<char, std::size_t> last_row;
  cell[0][0] = infinite;
  for (std::size_t i = 0; i <= a.size(); ++i) cell[i + 1][0] = infinite, cell[i + 1][1] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cell[0][j + 1] = infinite, cell[1][j + 1] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t last_column = 0;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t row = last_row[b[j - 1]];
      const std::size_t column = last_column;
      std::size_t cost = 1;
      if (a[i - 1] == b[j - 1]) cost = 0, last_column = j;
      cell[i + 1][j + 1] = std::min({cell[i][j] + cost, cell[i + 1][j] + 1, cell[i][j + 1] + 1,
                                     cell[row][column] + (i - row - 1) + 1 + (j - column - 1)});
    }
    last_row[a[i - 1]] = i;
  }
  return cell[a.size() + 1][b.size() + 1];
}

/// Few letters and short words, so that matches and swaps are frequent.
rc::Gen<std::string> word() {
  return rc::gen::scale(0.2, rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c', 'd')));
}

std::size_t distance(const std::string& a, const std::string& b) {
  return edit_distance(a, b, 128).value();
}

}  // namespace

TEST_CASE("a slip of each kind costs one") {
  CHECK(edit_distance("greet", "greet", 3) == 0);
  CHECK(edit_distance("greet", "gret", 3) == 1);
  CHECK(edit_distance("greet", "greeet", 3) == 1);
  CHECK(edit_distance("greet", "groet", 3) == 1);
  CHECK(edit_distance("greet", "geret", 3) == 1);
  CHECK(edit_distance("ca", "abc", 3) == 2);
  CHECK(edit_distance("", "abc", 3) == 3);
  CHECK(edit_distance("abc", "", 3) == 3);
}

TEST_CASE("a distance above the limit is not computed") {
  CHECK_FALSE(edit_distance("greet", "notes", 3).has_value());
  CHECK_FALSE(edit_distance("a", "abcde", 3).has_value());
  CHECK_FALSE(edit_distance("ab", "cd", 1).has_value());
  CHECK_FALSE(edit_distance("a", "b", 0).has_value());
  CHECK(edit_distance("a", "a", 0) == 0);
}

TEST_CASE("words longer than the bound are not compared") {
  const std::string longest(max_spelling_bytes, 'x');
  CHECK(edit_distance(longest, longest.substr(1), 3) == 1);
  CHECK(edit_distance(longest, std::string(max_spelling_bytes, 'y'), 1000) == max_spelling_bytes);
  CHECK_FALSE(edit_distance(longest + 'x', longest, 3).has_value());
  CHECK_FALSE(edit_distance(longest, longest + 'x', 3).has_value());
}

TEST_CASE("the distance is that of the unbounded recurrence, or above the limit") {
  CHECK(rc::check("bounded against unbounded", [] {
    const auto a = *word();
    const auto b = *word();
    const auto limit = *rc::gen::inRange<std::size_t>(0, 8);
    const std::size_t expected = reference_distance(a, b);
    const auto got = edit_distance(a, b, limit);
    if (expected <= limit)
      RC_ASSERT(got == expected);
    else
      RC_ASSERT_FALSE(got.has_value());
  }));
}

TEST_CASE("the distance is a metric") {
  CHECK(rc::check("metric", [] {
    const auto a = *word();
    const auto b = *word();
    const auto c = *word();
    RC_ASSERT(distance(a, b) == distance(b, a));
    RC_ASSERT((distance(a, b) == 0) == (a == b));
    RC_ASSERT(distance(a, c) <= distance(a, b) + distance(b, c));
  }));
}

TEST_CASE("the nearest words come first, equally near ones in byte order") {
  const std::vector<std::string> known{"notes.list", "notes.add", "notes.and", "greet", "notes.ad"};
  CHECK(nearest("notes.ads", known) ==
        std::vector<std::string>{"notes.ad", "notes.add", "notes.and"});
  CHECK(nearest("notes.ads", known, 1, 10) == std::vector<std::string>{"notes.ad", "notes.add"});
  CHECK(nearest("notes.ads", known, 3, 1) == std::vector<std::string>{"notes.ad"});
  CHECK(nearest("notes.ads", known, 3, 0).empty());
  CHECK(nearest("zzz", known).empty());
}

TEST_CASE("the nearest words do not depend on the order of the candidates") {
  CHECK(rc::check("order", [] {
    const auto wanted = *word();
    auto known = *rc::gen::container<std::vector<std::string>>(word());
    const auto before = nearest(wanted, known, 3, 3);
    std::ranges::reverse(known);
    RC_ASSERT(nearest(wanted, known, 3, 3) == before);
    RC_ASSERT(std::ranges::is_sorted(
        before, {}, [&](const std::string& each) { return distance(wanted, each); }));
  }));
}

TEST_CASE("short words are allowed fewer slips") {
  CHECK(typo_allowance("") == 1);
  CHECK(typo_allowance("add") == 1);
  CHECK(typo_allowance("list") == 2);
  CHECK(typo_allowance("notes.add") == 3);
}

TEST_CASE("suggestions read as a question") {
  CHECK(did_you_mean({}) == "");
  CHECK(did_you_mean({"a"}) == "; did you mean \"a\"?");
  CHECK(did_you_mean({"a", "b"}) == "; did you mean \"a\" or \"b\"?");
  CHECK(did_you_mean({"a", "b", "c"}) == "; did you mean \"a\", \"b\" or \"c\"?");
}
