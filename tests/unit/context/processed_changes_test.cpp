#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

change_record change(unsigned origin, std::uint64_t incarnation, std::uint64_t seq,
                     std::vector<version_entry> after = {}) {
  auto record = put({node(origin), incarnation, seq}, "/a", 1);
  record.after = std::move(after);
  return record;
}

processed_changes reread(const processed_changes& changes) {
  auto read = decode<processed_changes>(encode(changes), {});
  REQUIRE_MESSAGE(read, (read ? "" : read.error().message));
  return *read;
}

/// The changes of a node whose disk is set back now and then: it starts from some of what was
/// there.
std::vector<change_record> some_starts() {
  std::vector<change_record> all;
  std::vector<processed_changes> disks(1);
  const auto starts = *rc::gen::inRange(2, 9);
  for (int n = 1; n <= starts; ++n) {
    auto disk = disks[*rc::gen::inRange<std::size_t>(0, disks.size())];
    const auto known = disk.vector().of(node(1));
    std::vector<version_entry> after{known.begin(), known.end()};
    for (int seq = 1, last = *rc::gen::inRange(1, 4); seq <= last; ++seq) {
      all.push_back(change(1, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(seq),
                           seq == 1 ? after : std::vector<version_entry>{}));
      disk.add(all.back());
      disks.push_back(disk);
    }
  }
  return all;
}

/// What a replica has that takes all of these, which it can take. Puts them into the order in which
/// it takes them.
processed_changes in_some_order(std::vector<change_record>& all, unsigned seed) {
  auto waiting = std::exchange(all, {});
  std::ranges::shuffle(waiting, std::mt19937{seed});
  processed_changes changes;
  while (!waiting.empty()) {
    const auto next = std::ranges::find_if(waiting, [&](const change_record& each) {
      const auto& [origin, incarnation, seq] = each.dot;
      return changes.at({origin, incarnation}) + 1 == seq &&
             std::ranges::all_of(each.after, [&](const version_entry& needed) {
               return changes.covers(dot{needed.origin, needed.incarnation, needed.seq});
             });
    });
    RC_ASSERT(next != waiting.end());
    changes.add(*next);
    all.push_back(std::move(*next));
    waiting.erase(next);
  }
  return changes;
}

}  // namespace

TEST_CASE("an incarnation ends with the first change of a later one that names it") {
  processed_changes changes;
  changes.add(change(1, 5, 1));
  changes.add(change(1, 5, 2));
  changes.add(change(2, 9, 1));
  changes.add(change(1, 7, 1, {{node(1), 5, 2}, {node(2), 9, 1}}));
  CHECK(changes.vector() == version_vector{{{node(1), 7, 1}, {node(2), 9, 1}}});
  CHECK(changes.at({node(1), 5}) == 2);
  CHECK(changes.covers(dot{node(1), 5, 2}));
  CHECK_FALSE(changes.covers(dot{node(1), 5, 3}));
  CHECK(changes.has_ended({node(1), 5}));
  CHECK_FALSE(changes.has_ended({node(1), 7}));
  CHECK_FALSE(changes.has_ended({node(2), 9}));
  CHECK_FALSE(changes.has_forgotten({node(1), 4}));
  CHECK(reread(changes) == changes);
}

TEST_CASE("what has ended last is told where nothing goes on after it") {
  processed_changes changes;
  changes.add(change(1, 5, 1));
  changes.add(change(2, 9, 1));
  CHECK(changes.latest() == changes.vector());
  changes.add(change(1, 7, 1, {{node(1), 5, 1}}));
  CHECK(changes.latest() == version_vector{{{node(1), 7, 1}, {node(2), 9, 1}}});
  changes.lower({{node(1), 7, 1}});
  CHECK(changes.vector() == version_vector{{{node(2), 9, 1}}});
  CHECK(changes.latest() == version_vector{{{node(1), 5, 1}, {node(2), 9, 1}}});
  CHECK_FALSE(processed_changes{changes.vector()}.covers(changes.latest()));
  CHECK(changes.covers(changes.latest()));
  // Where all that has ended is forgotten, one change of the last one stands for it.
  processed_changes often;
  for (std::uint64_t n = 1; n <= processed_changes::max_ended_of_node + 3; ++n) {
    const auto before = often.vector().of(node(1));
    often.add(change(1, n, 1, {before.begin(), before.end()}));
  }
  const auto forgotten = often.forgotten_of(node(1));
  REQUIRE(forgotten > 0);
  processed_changes only_forgotten;
  only_forgotten.join(often);
  CHECK(only_forgotten.covers(often.latest()));
}

TEST_CASE("an incarnation is ended without a change that says so") {
  processed_changes changes{version_vector{{{node(1), 5, 2}, {node(1), 7, 1}}}};
  changes.end({node(1), 5});
  CHECK(changes.vector() == version_vector{{{node(1), 7, 1}}});
  CHECK(changes.has_ended({node(1), 5}));
  CHECK(changes.at({node(1), 5}) == 2);
  changes.end({node(1), 6});
  CHECK(changes.vector() == version_vector{{{node(1), 7, 1}}});
  CHECK_FALSE(changes.covers(dot{node(1), 6, 1}));
}

TEST_CASE("only the first change ends others, only of its node, and only earlier ones") {
  processed_changes changes;
  changes.add(change(1, 5, 1));
  changes.add(change(1, 6, 1, {{node(1), 5, 2}}));  // it has gone on elsewhere
  CHECK_FALSE(changes.has_ended({node(1), 5}));
  changes.add(change(1, 6, 2, {{node(1), 5, 1}}));
  CHECK_FALSE(changes.has_ended({node(1), 5}));
  changes.add(change(1, 3, 1, {{node(1), 5, 1}}));
  CHECK_FALSE(changes.has_ended({node(1), 5}));
  changes.add(change(2, 8, 1, {{node(1), 5, 1}}));
  CHECK_FALSE(changes.has_ended({node(1), 5}));
  CHECK(changes.vector().entries().size() == 4);
}

TEST_CASE("an incarnation that goes on after its end is there again") {
  processed_changes changes;
  changes.add(change(1, 5, 1));
  changes.add(change(1, 7, 1, {{node(1), 5, 1}}));
  changes.add(change(1, 5, 2));
  CHECK(changes.vector() == version_vector{{{node(1), 5, 2}, {node(1), 7, 1}}});
  CHECK_FALSE(changes.has_ended({node(1), 5}));
  changes.add(change(1, 8, 1, {{node(1), 5, 2}, {node(1), 7, 1}}));
  CHECK(changes.vector() == version_vector{{{node(1), 8, 1}}});
  CHECK(changes.at({node(1), 5}) == 2);
  CHECK(reread(changes) == changes);
}

TEST_CASE("the vector has one entry for a node that starts without end, and memory is bounded") {
  processed_changes changes;
  constexpr std::uint64_t starts = 3 * processed_changes::max_ended_of_node;
  for (std::uint64_t n = 1; n <= starts; ++n) {
    std::vector<version_entry> after;
    if (n > 1) after.push_back({node(1), n - 1, 1});
    changes.add(change(1, n, 1, after));
    REQUIRE(changes.vector().entries().size() == 1);
  }
  const auto latest_forgotten = starts - 1 - processed_changes::max_ended_of_node;
  CHECK(changes.has_forgotten({node(1), 1}));
  CHECK(changes.has_forgotten({node(1), latest_forgotten}));
  CHECK_FALSE(changes.has_forgotten({node(1), latest_forgotten + 1}));
  CHECK(changes.covers(dot{node(1), 1, 1}));
  CHECK(changes.covers(dot{node(1), latest_forgotten + 1, 1}));
  CHECK_FALSE(changes.covers(dot{node(1), latest_forgotten + 1, 2}));
  CHECK_FALSE(changes.has_forgotten({node(2), 1}));
  CHECK(encode(changes).size() < 4 * processed_changes::max_ended_of_node);
  CHECK(reread(changes) == changes);
  const auto before = changes;
  changes.raise({node(1), 1, 5});  // counts as there already
  CHECK(changes == before);
}

TEST_CASE("the incarnation that runs ends as others say, and goes on with its next change") {
  processed_changes ours, others;
  ours.run_in({node(1), 5});
  for (auto* each : {&ours, &others}) {
    each->add(change(1, 5, 1));
    each->add(change(1, 7, 1, {{node(1), 5, 1}}));
    CHECK(each->vector() == version_vector{{{node(1), 7, 1}}});
  }
  for (std::uint64_t n = 8; n <= processed_changes::max_ended_of_node + 20; ++n)
    ours.add(change(1, n, 1, {{node(1), n - 1, 1}}));
  CHECK(ours.at({node(1), 5}) == 1);
  CHECK_FALSE(ours.has_forgotten({node(1), 5}));
  for (auto* each : {&ours, &others}) {
    each->add(change(1, 5, 2));
    CHECK(each->at({node(1), 5}) == 2);
    CHECK(each->vector().of(node(1)).size() == 2);
  }
}

TEST_CASE("an incarnation in which its node speaks itself is not forgotten, whatever others say") {
  constexpr std::uint64_t many = processed_changes::max_ended_of_node + 20;
  const auto make_up = [](processed_changes& changes, std::uint64_t since) {
    for (std::uint64_t n = 1; n <= many; ++n)
      changes.add(change(1, since + n, 1, {{node(1), n == 1 ? 5 : since + n - 1, 1}}));
  };
  processed_changes changes;
  changes.hold({{node(1), 5}});
  changes.add(change(1, 5, 1));
  SUBCASE("it goes on after others have ended it") {
    make_up(changes, 5);
    CHECK(changes.has_forgotten({node(1), 6}));
    CHECK(changes.has_ended({node(1), 5}));
    CHECK_FALSE(changes.covers(dot{node(1), 5, 2}));
    changes.add(change(1, 5, 2));
    CHECK(seq_at(changes.vector(), {node(1), 5}) == 2);
    CHECK(reread(changes) == changes);
  }
  SUBCASE("a replica that was joined has forgotten it") {
    processed_changes other;
    other.add(change(1, 5, 1));
    make_up(other, 5);
    REQUIRE(other.has_forgotten({node(1), 5}));
    changes.join(other);
    CHECK_FALSE(changes.covers(dot{node(1), 5, 2}));
    CHECK(changes.at({node(1), 5}) == 1);
  }
  SUBCASE("it begins where others have made up later ones") {
    make_up(changes, 1000);
    changes.hold({{node(1), 6}});
    CHECK_FALSE(changes.covers(dot{node(1), 6, 1}));
    changes.add(change(1, 6, 1, {{node(1), 5, 1}}));
    CHECK(seq_at(changes.vector(), {node(1), 6}) == 1);
  }
  SUBCASE("what was held before is forgotten like others") {
    make_up(changes, 5);
    changes.hold({{node(1), many}});
    changes.add(change(1, 5 + many + 1, 1, {{node(1), 5 + many, 1}}));
    CHECK(changes.has_forgotten({node(1), 5}));
  }
}

TEST_CASE("what was lowered to nothing has not ended, whatever is forgotten") {
  processed_changes changes;
  changes.add(change(1, 5, 1));
  changes.add(change(1, 5, 2));
  changes.add(change(1, 6, 1));
  for (std::uint64_t n = 7; n <= processed_changes::max_ended_of_node + 20; ++n)
    changes.add(change(1, n, 1, {{node(1), n - 1, 1}}));
  changes.add(change(2, 1, 4));
  auto lowered = changes;
  lowered.lower({{node(1), 5, 1}, {node(2), 1, 3}});
  CHECK_FALSE(lowered.covers(dot{node(1), 5, 1}));
  CHECK_FALSE(lowered.has_forgotten({node(1), 5}));
  CHECK(lowered.at({node(2), 1}) == 2);
  CHECK(reread(lowered) == lowered);
  lowered.add(change(1, 5, 1));
  CHECK(lowered.at({node(1), 5}) == 1);
}

TEST_CASE("many nodes together are remembered up to a bound") {
  processed_changes changes;
  constexpr std::uint64_t each = 700, nodes = processed_changes::max_ended / each + 20;
  for (unsigned n = 1; n <= nodes; ++n)
    for (std::uint64_t i = 1; i <= each; ++i) {
      std::vector<version_entry> after;
      if (i > 1) after.push_back({node(n), i - 1, 1});
      changes.add(change(n, i, 1, after));
    }
  CHECK(changes.vector().entries().size() == nodes);
  CHECK(encode(changes).size() < 40 * nodes + 3 * processed_changes::max_ended);
  // The latest are the ones that everyone keeps.
  for (unsigned n = 1; n <= nodes; ++n) CHECK_FALSE(changes.has_forgotten({node(n), each - 1}));
}

TEST_CASE("the vector does not depend on the order of the changes") {
  CHECK(rc::check("any order that a replica allows", [] {
    auto all = *rc::gen::exec(some_starts);
    const auto one = in_some_order(all, *rc::gen::arbitrary<unsigned>());
    RC_ASSERT(one == in_some_order(all, *rc::gen::arbitrary<unsigned>()));
    for (const auto& each : all) RC_ASSERT(one.covers(each.dot));
  }));
}

TEST_CASE("joining gives what all changes of both give") {
  CHECK(rc::check("any two replicas", [] {
    const auto all = *rc::gen::exec(some_starts);
    const auto some = [&] {
      auto these = all;
      in_some_order(these, *rc::gen::arbitrary<unsigned>());
      these.resize(*rc::gen::inRange<std::size_t>(0, these.size() + 1));
      return these;
    };
    auto ours = some(), theirs = some();
    auto joined = in_some_order(ours, 1), other = in_some_order(theirs, 1);
    const auto before = joined;
    joined.join(other);
    other.join(before);
    for (const auto& each : theirs)
      if (std::ranges::find(ours, each.dot, &change_record::dot) == ours.end())
        ours.push_back(each);
    RC_ASSERT(joined == in_some_order(ours, 2));
    RC_ASSERT(other == joined);
    joined.join(joined);
    RC_ASSERT(other == joined);
  }));
}

TEST_CASE("joining keeps what is forgotten, what runs and what was lowered to nothing") {
  const auto started = [](std::uint64_t times) {
    processed_changes changes;
    for (std::uint64_t n = 1; n <= times; ++n)
      changes.add(change(
          1, n, 1,
          n > 1 ? std::vector<version_entry>{{node(1), n - 1, 1}} : std::vector<version_entry>{}));
    return changes;
  };
  constexpr auto many = processed_changes::max_ended_of_node + 20;
  SUBCASE("of an incarnation that is forgotten there, nothing is missing here") {
    auto few = started(3);
    few.join(started(many));
    CHECK(few == started(many));
    CHECK(few.vector().entries().size() == 1);
    auto forgets = started(many);
    forgets.join(started(3));
    CHECK(forgets == started(many));
  }
  SUBCASE("the incarnation that runs goes on") {
    auto runs = started(3);
    runs.run_in({node(1), 3});
    runs.join(started(many));
    CHECK(runs.at({node(1), 3}) == 1);
    CHECK(runs.vector() == started(many).vector());
    runs.add(change(1, 3, 2));
    CHECK(runs.at({node(1), 3}) == 2);
    CHECK(runs.vector().entries().size() == 2);
  }
  SUBCASE("what neither has is still missing") {
    processed_changes none;
    none.add(change(1, 5, 1));
    for (std::uint64_t n = 6; n <= many + 6; ++n)
      none.add(change(
          1, n, 1,
          n > 6 ? std::vector<version_entry>{{node(1), n - 1, 1}} : std::vector<version_entry>{}));
    none.lower({{node(1), 5, 1}});
    REQUIRE_FALSE(none.covers(dot{node(1), 5, 1}));
    processed_changes other;
    other.join(none);
    CHECK(other == none);
    CHECK_FALSE(other.covers(dot{node(1), 5, 1}));
    none.join(started(5));
    CHECK(none.covers(dot{node(1), 5, 1}));
    CHECK_FALSE(none.covers(dot{node(1), 5, 2}));
  }
}

TEST_CASE("what is stored is checked") {
  const auto refused = [](std::string_view bytes) {
    return !decode<processed_changes>(bytes, {}).has_value();
  };
  CHECK_FALSE(refused(encode(processed_changes{})));
  CHECK(refused("\x92\x90\x90"));
  CHECK(refused("\x93\x01\x90\x90"));
  CHECK(refused("\x93\x90\x01\x90"));
  CHECK(refused("\x93\x90\x90\x01"));
  CHECK(refused("\x93\x90\x90\x91\x01"));
  CHECK(refused("\x93\x90\x90\x91\x92\x01\x01"));
  const std::string id = "\xc4\x10" + std::string(16, 'x');
  CHECK(refused("\x93\x90\x90\x91\x92" + id + "\xc0"));
  CHECK(refused("\x93\x90\x90\x91\x94" + id + "\x01\x01\xc0"));
  CHECK(refused("\x93\x90\x90\x91\x93" + id + "\x01\x01"));
}
