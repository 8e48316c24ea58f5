#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/state_transfer_fixture.hpp>

// A peer that lies about the ranges of the state that it gives.

using namespace troupe;
using namespace troupe::test;

namespace {

/// A transfer of a tree of 200 entries to a node that has those of them before the 50th, and the
/// honest answers to its first questions.
struct range_fixture {
  context_tree theirs = counted_tree(200);
  state_offer offer = offer_of(theirs);
  state_pull pull{counted_tree(50), 1, {}, plenty};
  sync_state first = offer.greeting(1);
  /// Of four parts: the first is equal, the other ones are asked for.
  sync_state parts{.transfer = 1,
                   .ask = 2,
                   .parts = {part({}, place(50)), part(place(50), place(100)),
                             part(place(100), place(150)), part(place(150), {})}};
  sync_state entries;

  tree_range part(const path& from, const path& to) const { return range_in(theirs, from, to); }

  void take(const sync_state& answer) {
    const auto taken = pull.take(answer);
    REQUIRE_MESSAGE(taken, (taken ? "" : taken.error().message));
    REQUIRE(*taken);
  }
  void take_first() { take(first); }
  void take_parts() {
    take_first();
    take(parts);
    REQUIRE(pull.question().wanted.size() == 3);
    entries = answer_to(pull.question(), offer);
    REQUIRE(entries.whole.size() == 3);
  }
};

constexpr auto not_those = "it does not have the ranges that were asked for";
constexpr auto not_sum = "do not add up to what was announced";
constexpr auto no_range = "it has what is no range of paths";
constexpr auto not_asked = "it has ranges that were not asked for";

}  // namespace

TEST_CASE("the answers that the tests change are taken as they are") {
  range_fixture all;
  all.take_parts();
  all.take(all.entries);
  check_pulled(all.pull, *state_with(all.theirs));
}

TEST_CASE("an offer that is malformed is refused") {
  const wrong_answer cases[] = {
      {"two parts",
       [](sync_state& it) {
         it.parts = {{"", "/b", 100, {}}, {"/b", "", 100, {}}};
       },
       "an offer has one part, the whole tree"},
      {"no part", [](sync_state& it) { it.parts.clear(); }, "an offer has one part"},
      {"not from the beginning", [](sync_state& it) { it.parts[0].from = "/a"; },
       "an offer has one part"},
      {"not to the end", [](sync_state& it) { it.parts[0].to = "/z"; }, "an offer has one part"},
      {"a whole range", [](sync_state& it) { it.whole = it.parts; }, "an offer has one part"},
      {"entries that nothing has asked for",
       [](sync_state& it) {
         set_entries(it, {{"/z", store(siblings_for(1, 1).all())}});
       },
       "an offer has one part"},
      {"garbage for what was processed", [](sync_state& it) { it.processed.bytes = "garbage"; },
       "sync.state breaks the rules"},
      {"half of what was processed",
       [](sync_state& it) { it.processed.bytes.resize(it.processed.bytes.size() / 2); },
       "sync.state breaks the rules"},
      {"more than what was processed", [](sync_state& it) { it.processed.bytes += '\0'; },
       "sync.state breaks the rules"},
      {"something else than what was processed",
       [](sync_state& it) {
         it.processed.bytes = encode(std::vector<std::uint64_t>{1, 2, 3});
       },
       "must be"},
      {"no entries that add up to something", [](sync_state& it) { it.parts[0].count = 0; },
       not_sum},
      {"no offer", [](sync_state& it) { it.processed.bytes.clear(); },
       "it answers what was not asked"}};
  for (const auto& [what, make, why] : cases) {
    CAPTURE(what);
    range_fixture all;
    make(all.first);
    check_refused(all.pull, all.first, why);
  }
}

TEST_CASE("parts that are not what was asked for are refused") {
  const wrong_answer cases[] = {
      {"a gap", [](sync_state& it) { it.parts[1].from = place(51).text(); }, not_those},
      {"an overlap", [](sync_state& it) { it.parts[1].to = place(101).text(); }, not_those},
      {"one too few at the beginning", [](sync_state& it) { it.parts.erase(it.parts.begin()); },
       not_those},
      {"one too few between", [](sync_state& it) { it.parts.erase(it.parts.begin() + 2); },
       not_those},
      {"one too few at the end", [](sync_state& it) { it.parts.pop_back(); }, not_those},
      {"one twice", [](sync_state& it) { it.parts.push_back(it.parts[1]); }, not_those},
      {"the last one twice", [](sync_state& it) { it.parts.push_back(it.parts[3]); }, not_asked},
      {"not to the end", [](sync_state& it) { it.parts[3].to = "/z"; }, not_those},
      {"another count", [](sync_state& it) { ++it.parts[2].count; }, not_sum},
      {"another hash", [](sync_state& it) { ++it.parts[2].hash.low; }, not_sum},
      {"another hash in the upper half", [](sync_state& it) { --it.parts[0].hash.high; }, not_sum},
      {"text that is no path", [](sync_state& it) { it.parts[1].from = "k"; }, no_range},
      {"an end that is no path", [](sync_state& it) { it.parts[1].to = "/k//"; }, no_range},
      {"an inverted range", [](sync_state& it) { std::swap(it.parts[1].from, it.parts[1].to); },
       no_range},
      {"an empty range", [](sync_state& it) { it.parts[1].to = it.parts[1].from; }, no_range},
      {"what was asked, not split",
       [](sync_state& it) {
         it.parts = {{"", "", 200, {}}};
       },
       "it does not go on"},
      {"nothing", [](sync_state& it) { it.parts.clear(); }, "it does not go on"},
      {"too many",
       [](sync_state& it) {
         it.parts.clear();
         for (std::size_t i = 0; i <= state_offer::max_wanted * state_offer::split_into; ++i)
           it.parts.push_back({place(i).text(), place(i + 1).text(), 1, {}});
       },
       "it has too many ranges"}};
  for (const auto& [what, make, why] : cases) {
    CAPTURE(what);
    range_fixture all;
    all.take_first();
    make(all.parts);
    check_refused(all.pull, all.parts, why);
  }
}

TEST_CASE("ranges beyond what was asked for are refused") {
  const wrong_answer cases[] = {
      {"one that is equal already", [](sync_state& it) { it.parts.push_back(it.whole[0]); },
       not_those},
      {"one before",
       [](sync_state& it) {
         it.parts.push_back({"", place(50).text(), 50, {}});
       },
       not_those},
      {"one that begins before", [](sync_state& it) { it.whole[0].from = place(49).text(); },
       not_those},
      {"one that ends behind its end", [](sync_state& it) { it.whole[1].to = place(151).text(); },
       not_those},
      {"two that were asked for as one",
       [](sync_state& it) {
         it.whole[0].to = it.whole[1].to;
         it.whole.erase(it.whole.begin() + 1);
       },
       not_those},
      {"one left out", [](sync_state& it) { it.whole.erase(it.whole.begin() + 1); }, not_those},
      {"another count", [](sync_state& it) { ++it.whole[1].count; }, not_sum},
      {"the sum moved from one to the other",
       [](sync_state& it) {
         --it.whole[0].count;
         ++it.whole[1].count;
       },
       not_sum}};
  for (const auto& [what, make, why] : cases) {
    CAPTURE(what);
    range_fixture all;
    all.take_parts();
    make(all.entries);
    check_refused(all.pull, all.entries, why);
  }
}

TEST_CASE("a peer that offers one state after the other is refused") {
  state_pull pull{{}, 1, {}, plenty};
  for (unsigned i = 0; i <= state_pull::max_offers; ++i) {
    const auto offer = offer_of(counted_tree(100 + i));
    const auto taken = pull.take(offer.greeting(pull.question().ask));
    CAPTURE(i);
    REQUIRE(taken.has_value() == (i < state_pull::max_offers));
    if (!taken) CHECK(taken.error().message.find("one state after the other") != std::string::npos);
  }
}

TEST_CASE("a range behind all that was asked for is refused") {
  range_fixture all;
  all.pull = state_pull{counted_tree(100), 1, {}, plenty};
  all.theirs = counted_tree(100);
  all.theirs.put(place(0), siblings_for(9, 9).all());
  all.offer = offer_of(all.theirs);
  all.take(all.offer.greeting(1));
  all.take({.transfer = 1, .ask = 2, .parts = {all.part({}, place(9)), all.part(place(9), {})}});
  auto answer = answer_to(all.pull.question(), all.offer);
  REQUIRE(answer.whole == std::vector{all.part({}, place(9))});
  answer.parts.push_back(all.part(place(9), {}));
  check_refused(all.pull, answer, not_asked);
}

TEST_CASE("a peer that has ever more ranges is refused") {
  state_pull pull{{}, 1, {}, plenty};
  auto announced = offer_of({}).greeting(1);
  announced.parts[0].count = 1'000'000'000;
  announced.parts[0].hash = {5, 5};
  auto taken = pull.take(announced);
  tree_range last = announced.parts[0];
  std::map<std::string, tree_range> known;
  std::size_t answers = 0, made = 0;
  for (; taken && answers < 1000; ++answers) {
    sync_state answer{.transfer = 1, .ask = pull.question().ask};
    for (const auto& each : pull.question().wanted)
      if (each.from != last.from) answer.parts.push_back(known.at(each.from));
    while (answer.parts.size() + 1 < state_offer::max_wanted * state_offer::split_into) {
      const auto to = "/" + std::to_string(1'000'000 + ++made);
      answer.parts.push_back({last.from, to, 1, {1, 1}});
      known.emplace(last.from, answer.parts.back());
      last = {to, "", last.count - 1, subtract(last.hash, {1, 1})};
    }
    answer.parts.push_back(last);
    taken = pull.take(answer);
  }
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == error_code::limit_exceeded);
  CHECK(taken.error().message == "the state of the peer has too many ranges");
  CHECK(answers >= state_pull::max_open / (state_offer::max_wanted * state_offer::split_into));
}
