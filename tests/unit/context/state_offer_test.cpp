#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/state_transfer_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Asks for ranges of which the asker has so many entries each.
sync_range asking(std::vector<std::pair<std::string, std::string>> ranges,
                  std::uint64_t count = 1) {
  sync_range question{1, 2, {}, false};
  for (auto& [from, to] : ranges)
    question.wanted.push_back({std::move(from), std::move(to), count, {}});
  return question;
}

/// The parts, in their order, make up the range.
void check_tiles(const std::vector<tree_range>& parts, const tree_range& whole,
                 const context_tree& tree) {
  auto from = whole.from;
  for (const auto& each : parts) {
    CHECK(each.from == from);
    CHECK(each == range_in(tree, path{each.from}, path{each.to}));
    from = each.to;
  }
  CHECK(from == whole.to);
}

}  // namespace

TEST_CASE("a state is offered with what it has processed and its whole tree") {
  const auto state = state_with(counted_tree(100));
  const auto offer = state_offer{5, state}.greeting(3);
  CHECK(offer.transfer == 5);
  CHECK(offer.ask == 3);
  CHECK(offer.processed.bytes == encode(state->processed));
  CHECK(offer.parts == std::vector<tree_range>{{"", "", 100, state->tree.hash()}});
  CHECK(offer.whole.empty());
  CHECK(offer.entries.bytes.empty());
}

TEST_CASE("few entries are sent as they are") {
  const auto tree = counted_tree(300);
  const auto from = place(100).text(), to = place(100 + state_offer::few_entries).text();
  const auto answer = offer_of(tree).answer(asking({{from, to}}));
  REQUIRE(answer);
  CHECK(answer->transfer == 1);
  CHECK(answer->ask == 2);
  CHECK(answer->processed.bytes.empty());
  CHECK(answer->parts.empty());
  CHECK(answer->whole == std::vector{range_in(tree, path{from}, path{to})});
  const auto entries = entries_in(*answer);
  REQUIRE(entries.size() == state_offer::few_entries);
  CHECK(entries.front().path == from);
  CHECK(entries.back().path == place(99 + state_offer::few_entries).text());
}

TEST_CASE("many entries are answered with parts of about equal size") {
  const auto tree = counted_tree(1000);
  const tree_range ranges[] = {range_in(tree, place(1), place(2 + state_offer::few_entries)),
                               range_in(tree, place(20), path{"/m"}),
                               range_in(tree, path{"/k"}, {})};
  for (const auto& range : ranges) {
    CAPTURE(range.from);
    const auto answer = offer_of(tree).answer(asking({{range.from, range.to}}));
    REQUIRE(answer);
    CHECK(answer->whole.empty());
    CHECK(answer->entries.bytes.empty());
    CHECK(answer->parts.size() == state_offer::split_into);
    check_tiles(answer->parts, range, tree);
    for (const auto& each : answer->parts)
      CHECK(each.count - range.count / state_offer::split_into <= 1);
  }
}

TEST_CASE("the whole tree is answered with parts when it has many entries") {
  const auto tree = counted_tree(1000);
  const auto answer = offer_of(tree).answer(asking({{"", ""}}));
  REQUIRE(answer);
  REQUIRE(answer->parts.size() == state_offer::split_into);
  check_tiles(answer->parts, range_in(tree, {}, {}), tree);
}

TEST_CASE("a peer that has nothing gets all entries, as far as they fit") {
  context_tree tree;
  for (unsigned i = 0; i < 2000; ++i)
    tree.put(place(i), held_siblings{{put({node(1), 1, 1}, "/x", std::string(400, 'v'))}}.all());
  const auto answer = offer_of(tree).answer(asking({{"", place(1900).text()}}, 0));
  REQUIRE(answer);
  REQUIRE(answer->whole.size() == 1);
  REQUIRE(answer->parts.size() == 1);
  const auto entries = entries_in(*answer);
  CHECK(entries.size() == answer->whole[0].count);
  CHECK(entries.size() > 300);
  CHECK(entries.size() < 700);
  check_tiles({answer->whole[0], answer->parts[0]}, range_in(tree, {}, place(1900)), tree);
}

TEST_CASE("a range without entries is answered with its summary") {
  const auto tree = counted_tree(10);
  const auto answer = offer_of(tree).answer(asking({{"/a", "/b"}}));
  REQUIRE(answer);
  CHECK(answer->parts == std::vector<tree_range>{{"/a", "/b", 0, {}}});
  CHECK(answer->whole.empty());
  CHECK(answer->entries.bytes.empty());
}

TEST_CASE("ranges that do not fit any more are answered with their summaries") {
  context_tree tree;
  for (unsigned i = 0; i < 100; ++i)
    tree.put(place(i),
             held_siblings{{put({node(1), 1, 1}, "/x", std::string(100'000, 'v'))}}.all());
  sync_range question = asking({{place(0).text(), place(10).text()},
                                {place(10).text(), place(20).text()},
                                {place(20).text(), place(99).text()}});
  const auto answer = offer_of(tree).answer(question);
  REQUIRE(answer);
  CHECK(answer->whole == std::vector{range_in(tree, place(0), place(3))});
  CHECK(answer->parts == std::vector{range_in(tree, place(3), place(10)),
                                     range_in(tree, place(10), place(20)),
                                     range_in(tree, place(20), place(99))});
}

TEST_CASE("a range that begins with an entry that does not fit any more is put off as a whole") {
  auto tree = counted_tree(20);
  const std::string large(300'000, 'v');
  tree.put(place(10), held_siblings{{put({node(1), 1, 1}, "/x", large)}}.all());
  const auto first = range_in(tree, place(0), place(10)), second = range_in(tree, place(10), {});
  const auto answer = offer_of(tree).answer(asking({{first.from, first.to}, {second.from, ""}}));
  REQUIRE(answer);
  CHECK(answer->whole == std::vector{first});
  CHECK(answer->parts == std::vector{second});
}

TEST_CASE("however often a peer asks for the same range at once, the answer has its bound") {
  const auto tree = counted_tree(8000);
  sync_range question = asking({}, 0);
  question.wanted.assign(state_offer::max_wanted, {"", "", 0, {}});
  const auto answer = offer_of(tree).answer(question);
  REQUIRE(answer);
  std::size_t bytes = 0;
  for (const auto& each : entries_in(*answer)) bytes += each.path.size() + sizeof(sibling);
  CHECK(bytes <= state_offer::max_entry_bytes + 1000);
  CHECK(answer->whole.size() + answer->parts.size() <= 2 * state_offer::max_wanted);
}

TEST_CASE("a question for too many ranges breaks the rules") {
  const auto offer = offer_of(counted_tree(10));
  sync_range question;
  question.wanted.assign(state_offer::max_wanted, {"", "", 1, {}});
  CHECK(offer.answer(question));
  question.wanted.push_back({"", "", 1, {}});
  const auto answer = offer.answer(question);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == error_code::protocol_violation);
  CHECK(answer.error().message == "sync.range asks for 33 ranges; at most 32 are accepted");
}

TEST_CASE("a question for what is no range of paths breaks the rules") {
  const auto offer = offer_of(counted_tree(100));
  const std::pair<std::string, std::string> ranges[] = {
      {"k", ""},    {"//", ""},     {"/k//", "/l"},  {"/a", "b"},   {"/a", "/~2"}, {"/b", "/a"},
      {"/a", "/a"}, {"/a/b", "/a"}, {"/a!", "/a/b"}, {"/\xff", ""}, {"/a", "/a/"}};
  for (const auto& [from, to] : ranges) {
    CAPTURE(from);
    CAPTURE(to);
    const auto answer = offer.answer(asking({{"/a", "/b"}, {from, to}}));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == error_code::protocol_violation);
    CHECK(answer.error().message == "sync.range asks for what is no range of paths");
  }
}

TEST_CASE("a question for another spelling of a path breaks the rules") {
  const auto offer = offer_of(counted_tree(100));
  CHECK_FALSE(offer.answer(asking({{"/", ""}})));
  CHECK_FALSE(offer.answer(asking({{"", "/"}})));
}
