#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/state_transfer_fixture.hpp>

// A peer that lies about the entries in which the states differ, and one that asks for too much.

using namespace troupe;
using namespace troupe::test;

namespace {

/// A transfer of a tree of 1,000 entries to a node that holds three of them differently and has one
/// more, and the honest answers to its questions.
struct symbols_fixture {
  context_tree theirs = counted_tree(1000);
  state_offer offer = offer_of(theirs);
  state_pull pull{nearly(theirs), 1, {}, plenty};
  sync_state symbols, entries;

  static context_tree nearly(context_tree tree) {
    for (const std::size_t i : {3, 500, 999}) tree.put(place(i), siblings_for(2, 5).all());
    tree.put(path{"/more"}, siblings_for(2, 5).all());
    return tree;
  }
  void take(const sync_state& answer) {
    const auto taken = pull.take(sent(answer));
    REQUIRE_MESSAGE(taken, (taken ? "" : taken.error().message));
    REQUIRE(*taken);
  }
  void take_first() {
    take(offer.greeting(1));
    REQUIRE(pull.question().differences.size() == 1);
    symbols = answer_to(pull.question(), offer);
    REQUIRE(symbols.coded.size() == 1);
  }
  void take_symbols() {
    take_first();
    take(symbols);
    REQUIRE(pull.question().differences.size() == 1);
    REQUIRE(pull.question().differences[0].numbers.size() == 3);
    entries = answer_to(pull.question(), offer);
    REQUIRE(entries.picked.size() == 1);
  }
  void finish() {
    run(pull, offer);
    check_pulled(pull, *state_with(theirs));
  }
};

}  // namespace

TEST_CASE("the answers that these tests change are taken as they are") {
  symbols_fixture all;
  all.take_symbols();
  all.take(all.entries);
  check_pulled(all.pull, *state_with(all.theirs));
  CHECK(all.pull.received() == 3);
}

TEST_CASE("of a range that is half there, hardly more comes than what is lacking") {
  const auto theirs = counted_tree(1800);
  auto ours = theirs;
  for (std::size_t i = 700; i < 1800; ++i) ours.erase(place(i));
  const auto offer = offer_of(theirs);
  state_pull pull{ours, 1, {}, plenty};
  run(pull, offer);
  check_pulled(pull, *state_with(theirs));
  CHECK(pull.received() >= 1100);
  CHECK(pull.received() < 1300);
}

TEST_CASE("symbols that were not asked for are refused") {
  const auto not_those = "its symbols are not those that were asked for";
  const wrong_answer cases[] = {
      {"one too few",
       [](sync_state& it) {
         it.coded[0].sums.pop_back();
         it.coded[0].counts.pop_back();
       },
       not_those},
      {"one sum too few", [](sync_state& it) { it.coded[0].sums.pop_back(); }, not_those},
      {"one count too many", [](sync_state& it) { it.coded[0].counts.push_back(1); }, not_those},
      {"a count below zero", [](sync_state& it) { it.coded[0].counts[5] = -1; }, not_those},
      {"the least of all counts", [](sync_state& it) { it.coded[0].counts[0] = INT64_MIN; },
       not_those},
      {"a count beyond the entries", [](sync_state& it) { it.coded[0].counts[0] = 1001; },
       not_those},
      {"another count of entries", [](sync_state& it) { ++it.coded[0].range.count; },
       "do not add up to what was announced"},
      {"a part of the range", [](sync_state& it) { it.coded[0].range.to = "/z"; },
       "it does not have the ranges that were asked for"},
      {"a range that is none", [](sync_state& it) { it.coded[0].range.to = "z"; },
       "it has what is no range of paths"},
      {"one range twice", [](sync_state& it) { it.coded.push_back(it.coded[0]); },
       "it has ranges that were not asked for"},
      {"entries that were picked without being asked for",
       [](sync_state& it) {
         it.picked.push_back(it.coded[0].range);
         it.coded.clear();
       },
       "it picks entries where none were asked for"}};
  for (const auto& [what, make, why] : cases) {
    CAPTURE(what);
    symbols_fixture all;
    all.take_first();
    make(all.symbols);
    check_refused(all.pull, all.symbols, why);
  }
}

TEST_CASE("symbols in a greeting, or in the place of entries, are refused") {
  symbols_fixture all;
  auto greeting = all.offer.greeting(1);
  greeting.coded.push_back({greeting.parts[0], {}, {}});
  check_refused(all.pull, greeting, "an offer has one part");
  greeting.coded.clear();
  greeting.picked = greeting.parts;
  check_refused(all.pull, greeting, "an offer has one part");
  all.take_symbols();
  auto again = all.symbols;
  again.ask = all.pull.question().ask;
  check_refused(all.pull, again, "its symbols are not those that were asked for");
}

TEST_CASE("picked entries that are malformed or not in the range are refused") {
  const auto add = [](sync_state& it, const stored_entry& entry) {
    auto entries = entries_in(it);
    entries.push_back(entry);
    set_entries(it, entries);
  };
  const wrong_answer cases[] = {
      {"not in order", [&](sync_state& it) { add(it, entries_in(it)[0]); },
       "its entries are not in order"},
      {"of a change that is not part of the state",
       [&](sync_state& it) {
         add(it, {"/z", store(held_siblings{{put({node(77), 1, 1}, "/z", 1)}}.all())});
       },
       "a change that is not part of the state"},
      {"for a part of the range", [](sync_state& it) { it.picked[0].to = place(100).text(); },
       "it does not have the ranges that were asked for"}};
  for (const auto& [what, make, why] : cases) {
    CAPTURE(what);
    symbols_fixture all;
    all.take_symbols();
    make(all.entries);
    check_refused(all.pull, all.entries, why);
  }
}

TEST_CASE("wrong symbols or wrong entries cost a division of the range, and nothing else") {
  symbols_fixture all;
  all.take_first();
  SUBCASE("symbols of other numbers") {
    for (auto& each : all.symbols.coded[0].sums) each ^= 0x123456789u;
    all.take(all.symbols);
    all.finish();
  }
  SUBCASE("no symbols of any set") {
    for (auto& each : all.symbols.coded[0].sums) each = coded_symbols::checked_number(each);
    for (auto& each : all.symbols.coded[0].counts) each = 1;
    all.take(all.symbols);
    all.finish();
  }
  SUBCASE("without one of the entries") {
    all.take(all.symbols);
    auto answer = answer_to(all.pull.question(), all.offer);
    auto entries = entries_in(answer);
    entries.pop_back();
    set_entries(answer, entries);
    all.take(answer);
    CHECK(all.pull.question().differences.empty());
    all.finish();
  }
  SUBCASE("with an entry that was not asked for") {
    all.take(all.symbols);
    auto answer = answer_to(all.pull.question(), all.offer);
    auto entries = entries_in(answer);
    entries.push_back({"/z", store(siblings_for(1, 1).all())});
    set_entries(answer, entries);
    all.take(answer);
    CHECK_FALSE(all.pull.tree().find(path{"/z"}));
    all.finish();
  }
}

TEST_CASE("a question for too many symbols or entries breaks the rules") {
  const auto tree = counted_tree(100);
  const auto offer = offer_of(tree);
  const auto most = range_difference::max_symbols;
  sync_range question{1, 2, {range_in(tree, {}, {})}, false, {{most - 1, 1, {}}}};
  CHECK(offer.answer(question));
  const std::pair<difference_question, const char*> wrong[] = {
      {{most, 1, {}}, "sync.range asks for more than 4096 symbols or entries of a range"},
      {{0, most + 1, {}}, "for more than"},
      {{1, UINT64_MAX, {}}, "for more than"},
      {{UINT64_MAX, 2, {}}, "for more than"},
      {{0, 0, std::vector<std::uint64_t>(most + 1)}, "for more than"}};
  for (const auto& [asked, why] : wrong) {
    question.differences = {asked};
    const auto answer = offer.answer(question);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == error_code::protocol_violation);
    CHECK(answer.error().message.find(why) != std::string::npos);
  }
  question.differences = {{0, 1, {}}, {0, 1, {}}};
  const auto answer = offer.answer(question);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().message == "sync.range asks in 2 ways for 1 ranges");
}

TEST_CASE("the numbers of a bounded count of entries are computed for one answer") {
  const auto tree = counted_tree(range_difference::max_entries);
  const auto all = range_in(tree, {}, {});
  sync_range question{1, 2, {all, all, all}, false, {{0, 8, {}}, {0, 8, {}}, {0, 8, {}}}};
  const auto answer = offer_of(tree).answer(question);
  REQUIRE(answer);
  CHECK(answer->coded.size() == state_offer::max_numbered_entries / range_difference::max_entries);
  CHECK(answer->parts == std::vector{all});
  const auto more = counted_tree(range_difference::max_entries + 1);
  question = {1, 2, {range_in(more, {}, {})}, false, {{0, 8, {}}}};
  const auto divided = offer_of(more).answer(question);
  REQUIRE(divided);
  CHECK(divided->coded.empty());
  CHECK(divided->parts.size() == state_offer::split_into);
}

TEST_CASE("the symbols of an answer are bounded") {
  const auto tree = counted_tree(100);
  sync_range question{1, 2, {}, false, {}};
  for (std::size_t i = 0; i < 8; ++i) {
    question.wanted.push_back(range_in(tree, place(i), place(i + 1)));
    question.differences.push_back({0, range_difference::max_symbols, {}});
  }
  const auto answer = offer_of(tree).answer(question);
  REQUIRE(answer);
  CHECK(answer->coded.size() == state_offer::max_coded_symbols / range_difference::max_symbols);
  CHECK(answer->parts.size() == 8 - answer->coded.size());
}

TEST_CASE("an answer that puts off all that was asked for is refused") {
  symbols_fixture all;
  all.take_symbols();
  const auto question = all.pull.question();
  sync_state put_off{.transfer = 1, .ask = question.ask};
  put_off.parts = {range_in(all.theirs, {}, {})};
  check_refused(all.pull, put_off, "it does not go on");
}

TEST_CASE("a range that an answer puts off is asked for again with what is known of it") {
  // Of sixteen parts, each differs in more than the first symbols tell.
  const auto theirs = counted_tree(range_difference::max_entries + 1);
  auto mine = theirs;
  for (std::size_t i = 0; i < theirs.size(); i += 100) mine.put(place(i), siblings_for(2, 5).all());
  const auto state = state_with(theirs);
  const state_offer offer{1, state};
  state_pull pull{mine, 1, {}, plenty};
  run(pull, offer, 3);
  const auto question = pull.question();
  REQUIRE(question.differences.size() > 1);
  REQUIRE(question.differences[0].first > 0);
  auto answer = answer_to(question, offer);
  REQUIRE(answer.coded.size() == question.wanted.size());
  answer.parts.push_back(answer.coded[0].range);
  answer.coded.erase(answer.coded.begin());
  REQUIRE(pull.take(answer));
  const auto& next = pull.question();
  const auto again = std::ranges::find(next.wanted, question.wanted[0]);
  REQUIRE(again != next.wanted.end());
  CHECK(next.differences[static_cast<std::size_t>(again - next.wanted.begin())] ==
        question.differences[0]);
  run(pull, offer);
  check_pulled(pull, *state);
}
