#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>

#include <troupe/tests/support/fixtures/state_transfer_fixture.hpp>

// A peer that gives entries that no replica has, or others than it has announced.

using namespace troupe;
using namespace troupe::test;

namespace {

stored_entry entry_with(std::string where, const std::vector<change_record>& records) {
  return {std::move(where), store(held_siblings{records}.all())};
}
stored_entry entry_at(std::string where) {
  return entry_with(std::move(where), {put({node(1), 1, 1}, "/x", 1)});
}

/// What a peer announces for entries, sound or not.
tree_range announced_for(const std::vector<stored_entry>& entries) {
  tree_summary sum;
  for (const auto& entry : entries) {
    std::vector<sibling> siblings;
    for (const auto& each : entry.siblings) {
      const bool is_put = each.operation == operation::put;
      siblings.push_back({each.dot, each.timestamp, each.content, each.operation, each.principal,
                          is_put ? std::string_view{each.value.msgpack()} : std::string_view{},
                          each.counts.bytes});
    }
    sum += {1, entry_hash(entry.path, siblings)};
  }
  return {"", "", sum.count, sum.hash};
}

/// A transfer to an empty node of a state that consists of these entries.
struct entries_fixture {
  state_pull pull;
  sync_state answer;

  explicit entries_fixture(const std::vector<stored_entry>& entries, engine_limits limits = {},
                           std::uint64_t max_bytes = plenty)
      : pull({}, 1, limits, max_bytes) {
    auto offer = offer_of({}).greeting(1);
    processed_changes processed;
    for (const auto& entry : entries)
      for (const auto& each : entry.siblings) processed.raise(each.dot);
    std::vector<version_entry> sound = processed.vector().entries();
    std::erase_if(sound, [](const auto& each) {
      return each.origin.is_nil() || each.incarnation == 0 || each.seq == 0;
    });
    offer.processed.bytes = encode(processed_changes{version_vector{std::move(sound)}});
    offer.parts = {announced_for(entries)};
    const auto taken = pull.take(offer);
    REQUIRE(taken);
    REQUIRE(*taken);
    answer = {.transfer = 1, .ask = 2, .whole = offer.parts};
    set_entries(answer, entries);
  }
  /// Takes the answer.
  result<bool> outcome() { return pull.take(sent(answer)); }
};

std::vector<stored_entry> beside_another(const stored_entry& entry) {
  std::vector<stored_entry> both{entry_at("/a"), entry};
  if (compare_paths(entry.path, "/a") < 0) std::swap(both[0], both[1]);
  return both;
}

void check_malformed(const stored_entry& entry, std::string_view why, engine_limits limits = {}) {
  entries_fixture all{beside_another(entry), limits};
  check_refused(all.pull, all.answer, why);
}

void check_sound(const stored_entry& entry, engine_limits limits = {}) {
  entries_fixture all{beside_another(entry), limits};
  const auto taken = all.outcome();
  REQUIRE_MESSAGE(taken, (taken ? "" : taken.error().message));
  CHECK(all.pull.is_done());
  CHECK(all.pull.tree().size() == 2);
}

const std::vector<stored_entry> three{entry_at("/a"), entry_at("/b"), entry_at("/c")};
constexpr auto not_sum = "its entries do not add up to what was announced";

}  // namespace

TEST_CASE("entries that are sound and add up are taken") {
  entries_fixture all{three};
  REQUIRE(all.outcome());
  CHECK(all.pull.is_done());
  CHECK(all.pull.tree().size() == 3);
  CHECK(all.pull.tree().verify());
}

TEST_CASE("entries that do not add up to what was announced are refused") {
  auto entries = three;
  SUBCASE("one is missing") { entries.pop_back(); }
  SUBCASE("one is added") { entries.push_back(entry_at("/d")); }
  SUBCASE("one has another path") { entries[1].path = "/bb"; }
  SUBCASE("one has another value") { entries[1].siblings[0].value = value{2}; }
  SUBCASE("one has another writer") { entries[1].siblings[0].principal = "else"; }
  SUBCASE("one has another time") { ++entries[1].siblings[0].timestamp.ticks; }
  SUBCASE("one has another content") { ++entries[1].siblings[0].content; }
  SUBCASE("one erases") { entries[1].siblings[0].operation = operation::erase; }
  SUBCASE("there are none") { entries.clear(); }
  entries_fixture all{three};
  set_entries(all.answer, entries);
  check_refused(all.pull, all.answer, not_sum);
}

TEST_CASE("an answer without the entries of its ranges is refused") {
  entries_fixture all{three};
  all.answer.entries.bytes.clear();
  check_refused(all.pull, all.answer, not_sum);
}

TEST_CASE("entries outside of the ranges are refused") {
  // The node has asked for two ranges with a third one between them.
  context_tree tree;
  for (const auto* where : {"/a", "/b", "/c", "/d"})
    tree.put(path{where}, siblings_for(1, 1).all());
  auto mine = tree;
  mine.erase(path{"/a"});
  mine.erase(path{"/c"});
  const auto offer = offer_of(tree);
  state_pull pull{mine, 1, {}, plenty};
  REQUIRE(pull.take(offer.greeting(1)));
  const auto part = [&](const char* from, const char* to) {
    return range_in(tree, path{from}, path{to});
  };
  REQUIRE(
      pull.take({.transfer = 1,
                 .ask = 2,
                 .parts = {part("", "/b"), part("/b", "/c"), part("/c", "/d"), part("/d", "")}}));
  auto answer = answer_to(pull.question(), offer);
  REQUIRE(answer.whole == std::vector{part("", "/b"), part("/c", "/d")});
  auto entries = entries_in(answer);
  REQUIRE(entries.size() == 2);
  auto why = "it has entries that were not asked for";
  SUBCASE("behind all") { entries.push_back(entry_at("/e")); }
  SUBCASE("between") {
    entries.insert(entries.begin() + 1, entry_at("/bb"));
    why = not_sum;
  }
  SUBCASE("not in the order of the ranges") {
    std::swap(entries[0], entries[1]);
    why = not_sum;
  }
  set_entries(answer, entries);
  check_refused(pull, answer, why);
}

TEST_CASE("entries that cannot be unpacked are refused") {
  entries_fixture all{three};
  auto& bytes = all.answer.entries.bytes;
  auto why = "its entries: ";
  SUBCASE("garbage") { bytes = "garbage"; }
  SUBCASE("a part of a frame") { bytes.resize(bytes.size() - 3); }
  SUBCASE("a frame with garbage") { bytes = compress("garbage"); }
  SUBCASE("a frame with nothing") { bytes = compress(""); }
  SUBCASE("a frame with something else") {
    bytes = compress(encode(std::vector<std::uint64_t>{1}));
    why = "must be";
  }
  SUBCASE("a frame that grows") {
    bytes = compress(std::string((std::size_t{64} << 20) + 1, '\0'));
    REQUIRE(bytes.size() < 10'000);
    why = "at most 67108864 are accepted";
  }
  SUBCASE("a frame with too many parts") {
    constexpr std::uint32_t count = (1u << 23) + 1;
    std::string plain{"\xdd\x00\x80\x00\x01", 5};
    plain.append(count, '\xc0');
    bytes = compress(plain);
    why = "8388608";
  }
  check_refused(all.pull, all.answer, why);
}

TEST_CASE("more bytes than a transfer may have are refused") {
  const auto bytes = encode(three).size();
  entries_fixture enough{three, {}, bytes};
  CHECK(enough.outcome());
  entries_fixture all{three, {}, bytes - 1};
  check_refused(all.pull, all.answer, "has more than " + std::to_string(bytes - 1) + " bytes",
                error_code::limit_exceeded);
}

TEST_CASE("the bytes of all answers of a transfer count together") {
  const auto tree = counted_tree(6000);
  state_pull pull{{}, 1, {}, std::uint64_t{600} << 10};
  const auto offer = offer_of(tree);
  result<bool> taken = true;
  std::size_t answers = 0;
  for (; taken && !pull.is_done(); ++answers) taken = pull.take(answer_to(pull.question(), offer));
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == error_code::limit_exceeded);
  CHECK(answers > 2);
}

TEST_CASE("an entry that no replica has is refused, though its hash is right") {
  const auto sound = put({node(1), 2, 3}, "/x", 1, {}, 5);
  const auto later = put({node(2), 2, 3}, "/x", 2, {}, 6);
  check_sound(entry_with("/b", {sound, later}));

  auto wrong = entry_with("/b", {sound, later});
  std::swap(wrong.siblings[0], wrong.siblings[1]);
  check_malformed(wrong, "the entry '/b' is malformed: its writes are not in order");
  check_malformed(entry_with("/b", {sound, sound}), "it holds one change twice");
  check_malformed({"/b", {}}, "an entry is malformed");

  const auto malformed_by = [&](auto make, std::string_view why, engine_limits limits = {}) {
    auto record = sound;
    make(record);
    check_malformed(entry_with("/b", {record}), why, limits);
  };
  malformed_by([](auto& it) { it.operation = operation::erase_subtree; },
               "the entry '/b' is malformed: it holds an erasure of a subtree");
  malformed_by([](auto& it) { it.dot.origin = {}; }, "its dot is malformed");
  malformed_by([](auto& it) { it.dot.incarnation = 0; }, "its dot is malformed");
  malformed_by([](auto& it) { it.dot.seq = 0; }, "its dot is malformed");
  malformed_by([](auto& it) { it.dot.incarnation = end_of_incarnations; }, "its dot is malformed");
  malformed_by([](auto& it) { it.timestamp = latest_time; }, "its timestamp lies beyond");
  malformed_by([](auto& it) { it.principal = std::string(257, 'p'); }, "its principal is too long");
  malformed_by([](auto& it) { it.counts.bytes = "garbage"; }, "an entry is malformed");
  malformed_by([](auto& it) { it.operation = operation::increment; }, "it does not count itself");
}

TEST_CASE("an increment is taken when it counts itself") {
  auto record = put({node(1), 2, 3}, "/x", 1);
  record.operation = operation::increment;
  record.counts.bytes = pack_counts(std::vector<counter_part>{{{node(1), 2}, 3, 40}});
  check_sound(entry_with("/b", {record}));
  record.counts.bytes = pack_counts(std::vector<counter_part>{{{node(1), 2}, 4, 40}});
  check_malformed(entry_with("/b", {record}), "it counts a later change of its incarnation");
}

TEST_CASE("a value that is longer than values may be is refused") {
  const engine_limits limits{.max_value_bytes = 100};
  const auto with = [](std::size_t bytes) {
    return entry_with("/b", {put({node(1), 2, 3}, "/x", std::string(bytes, 'v'))});
  };
  check_sound(with(98), limits);
  check_malformed(with(99), "its value has 101 bytes; at most 100 are accepted", limits);
}

TEST_CASE("an entry of the system is refused unless the system has written it") {
  auto record = put({node(1), 2, 3}, "/_sys/x", 1);
  check_malformed(entry_with("/_sys/x", {record}), "it writes below '/_sys'");
  check_malformed(entry_with("/_sys", {record}), "it writes below '/_sys'");
  record.principal = system_principal;
  check_sound(entry_with("/_sys/x", {record}));
}

TEST_CASE("an entry at what is no path is refused") {
  for (const std::string where : {"k", "//", "/k//a", "/k/", "/~2", "/~"}) {
    CAPTURE(where);
    check_malformed(entry_at(where), "an entry is malformed");
  }
  check_malformed(entry_at("/" + std::string(path::max_bytes, 'k')), "an entry is malformed");
}

TEST_CASE("an entry with more writes than a path may have is refused") {
  std::vector<change_record> records;
  for (unsigned i = 0; i < context_tree::max_siblings + 1; ++i)
    records.push_back(put({node(i + 1), 1, 1}, "/x", 1));
  check_malformed(entry_with("/b", records), "an entry is malformed");
}

TEST_CASE("an entry in which one change stands twice is refused") {
  const dot id{node(1), 2, 3};
  check_malformed(entry_with("/b", {put(id, "/x", 1, {}, 5), put(id, "/x", 2, {}, 6)}),
                  "it holds one change twice");
}

TEST_CASE("an entry with a change that the peer does not say to have is refused") {
  entries_fixture all{three};
  auto forged = entry_with("/b", {put({node(1), 1, 2}, "/x", 1)});
  const std::vector<stored_entry> others{three[0], forged};
  all.pull = state_pull{{}, 1, {}, plenty};
  auto offer = offer_of({}).greeting(1);
  offer.processed.bytes = encode(processed_changes{version_vector{{{node(1), 1, 1}}}});
  offer.parts = {announced_for(others)};
  REQUIRE(all.pull.take(offer));
  all.answer.whole = offer.parts;
  set_entries(all.answer, others);
  check_refused(all.pull, all.answer, "it holds a change that is not part of the state");
}

TEST_CASE("an entry with another spelling of a path is no way around the ranges") {
  state_pull pull{{}, 1, {}, plenty};
  auto offer = offer_of({}).greeting(1);
  const auto announced = announced_for({entry_at("/a")});
  offer.parts = {announced};
  REQUIRE(pull.take(offer));
  const tree_range rest{"/", "", announced.count, announced.hash};
  auto taken = pull.take({.transfer = 1, .ask = 2, .parts = {{"", "/", 0, {}}, rest}});
  if (taken) {
    sync_state answer{.transfer = 1, .ask = 3, .whole = {rest}};
    set_entries(answer, {entry_at("/"), entry_at("/a")});
    taken = pull.take(answer);
  }
  CHECK_FALSE(taken);
  CHECK_FALSE(pull.tree().find({}));
}
