#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// The obvious form of a version vector.
using model = std::map<std::pair<node_id, std::uint64_t>, std::uint64_t>;

std::vector<version_entry> draw_entries() {
  std::vector<version_entry> entries;
  for (int left = *rc::gen::inRange(0, 12); left > 0; --left)
    entries.push_back({node(*rc::gen::inRange(0u, 3u)), *rc::gen::inRange<std::uint64_t>(1, 3),
                       *rc::gen::inRange<std::uint64_t>(0, 5)});
  return entries;
}

model model_of(const std::vector<version_entry>& entries) {
  model made;
  for (const auto& each : entries)
    if (each.seq > 0)
      made[{each.origin, each.incarnation}] =
          std::max(made[{each.origin, each.incarnation}], each.seq);
  return made;
}

std::vector<version_entry> entries_of(const model& from) {
  std::vector<version_entry> entries;
  for (const auto& [run, seq] : from) entries.push_back({run.first, run.second, seq});
  return entries;
}

}  // namespace

TEST_CASE("nothing is known of a run that is not in the vector") {
  const version_vector vector{{{node(1), 1, 5}}};
  CHECK(vector.at(node(1), 1) == 5);
  CHECK(vector.at(node(1), 2) == 0);
  CHECK(vector.at(node(2), 1) == 0);
}

TEST_CASE("a vector covers the changes up to its entry of their run") {
  const version_vector vector{{{node(1), 1, 5}}};
  CHECK(vector.covers(dot{node(1), 1, 5}));
  CHECK_FALSE(vector.covers(dot{node(1), 1, 6}));
  CHECK_FALSE(vector.covers(dot{node(1), 2, 1}));
}

TEST_CASE("an entry is raised and never lowered") {
  version_vector vector;
  vector.raise(node(2), 1, 3);
  vector.raise(node(1), 1, 1);
  vector.raise(node(2), 1, 2);
  vector.raise(node(3), 1, 0);
  CHECK(vector == version_vector{{{node(1), 1, 1}, {node(2), 1, 3}}});
}

TEST_CASE("a vector is sorted, has one entry for each run, and none that says nothing") {
  CHECK(rc::check("against a map", [] {
    const auto entries = draw_entries();
    RC_ASSERT(version_vector{entries}.entries() == entries_of(model_of(entries)));
  }));
}

TEST_CASE("raising one by one gives the same vector as building it at once") {
  CHECK(rc::check("raise", [] {
    const auto entries = draw_entries();
    version_vector raised;
    for (const auto& each : entries) raised.raise(each.origin, each.incarnation, each.seq);
    RC_ASSERT(raised == version_vector{entries});
  }));
}

TEST_CASE("a vector covers another when it covers every change of it") {
  CHECK(rc::check("covers", [] {
    const auto ours = draw_entries();
    const auto theirs = draw_entries();
    const version_vector vector{ours};
    bool all = true;
    for (const auto& each : theirs)
      for (std::uint64_t seq = 1; seq <= each.seq; ++seq)
        all = all && vector.covers(dot{each.origin, each.incarnation, seq});
    RC_ASSERT(vector.covers(version_vector{theirs}) == all);
    RC_ASSERT(vector.covers(vector));
    RC_ASSERT(vector.covers(version_vector{}));
  }));
}

TEST_CASE("a change has the same id wherever it is seen, and no other change has it") {
  change_record one, other;
  one.dot = other.dot = {node(1), 2, 3};
  other.principal = "somebody";
  CHECK(one.id() == other.id());
  other.dot.seq = 4;
  CHECK(one.id() != other.id());
  CHECK((one.id().id.bytes[6] >> 4) == 8);
  CHECK((one.id().id.bytes[8] >> 6) == 2);
  node_id origin;
  origin.id.bytes[0] = 1;
  one.dot = {origin, 0x0102030405060708, 9};
  CHECK(to_string(one.id()) == "ed444183-b76e-8abe-84a6-759b192f8c33");  // on every machine
}

TEST_CASE("dots, hashes and times are shown and taken apart") {
  CHECK(to_string(dot{node_id{}, 2, 3}) == "00000000-0000-0000-0000-000000000000/2/3");
  CHECK(to_string(state_hash{0x1, 0xabc}) == "00000000000000010000000000000abc");
  const auto time = timestamp::from_parts(1'700'000'000'000, 65535);
  CHECK(time.milliseconds() == 1'700'000'000'000);
  CHECK(time.counter() == 65535);
  CHECK(timestamp::from_parts(2, 0) > timestamp::from_parts(1, 65535));
}

TEST_CASE("the version of a path is a text of 32 hexadecimal digits, on the wire too") {
  const value_version version{{0x0123456789abcdef, 0xfedcba9876543210}};
  CHECK(to_string(version) == "0123456789abcdeffedcba9876543210");
  CHECK(value_version::parse(to_string(version)) == version);
  CHECK(value_version::parse("0123456789ABCDEFFEDCBA9876543210") == version);
  for (const auto* wrong : {"", "0", "0123456789abcdeffedcba987654321",
                            "0123456789abcdeffedcba98765432100", "g123456789abcdeffedcba9876543210",
                            "-123456789abcdeffedcba9876543210", "0123456789abcde fedcba9876543210"})
    CHECK(value_version::parse(wrong).error().code == error_code::invalid_argument);
  const set_value asked{path{"/a"}, 1, durability::memory, version};
  CHECK(decode<set_value>(encode(asked)) == asked);
  const auto bad = value::map({{"path", "/a"}, {"value", 1}, {"if_version", "x"}});
  CHECK(decode<set_value>(bad.msgpack()).error().message.find("32 hexadecimal digits") !=
        std::string::npos);
}
