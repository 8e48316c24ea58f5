#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <troupe/tests/support/fixtures/sync_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// What sessions make of vectors that leave out the incarnations that have ended.

namespace {

/// Node 3 has had the incarnations 4, 6 and 9; each one has ended the one before.
processed_changes incarnations(std::uint64_t last = 9) {
  processed_changes all;
  std::uint64_t before = 0, seqs = 0;
  for (const auto [incarnation, seq] : {std::pair{4, 5}, {6, 2}, {9, 3}}) {
    const auto now = static_cast<std::uint64_t>(incarnation);
    if (now > last) break;
    auto first = put({node(3), now, 1}, "/a", 1);
    if (before > 0) first.after = {{node(3), before, seqs}};
    all.add(first);
    all.raise({node(3), now, static_cast<std::uint64_t>(seq)});
    before = now;
    seqs = static_cast<std::uint64_t>(seq);
  }
  return all;
}

version_vector upto_in(std::uint64_t incarnation, std::uint64_t seq) {
  return version_vector{{{node(3), incarnation, seq}}};
}

shared_batch batch(std::uint64_t incarnation, std::uint64_t first, std::uint64_t last) {
  return changes(3, first, last, 10, incarnation);
}

}  // namespace

TEST_CASE("a peer that knows an earlier incarnation gets all since, in one row") {
  one_side side;
  side.view.committed = incarnations();
  auto effects = side.open(upto_in(4, 2));
  auto reads = effects_of<read_log>(effects);
  REQUIRE(reads.size() == 1);
  REQUIRE(reads[0].wanted.size() == 1);
  CHECK(reads[0].wanted[0].first == dot{node(3), 4, 3});
  CHECK(reads[0].wanted[0].last == dot{node(3), 9, 3});
  effects = side.session.log_read({batch(4, 3, 5), batch(6, 1, 1)});
  CHECK(pushed(effects).size() == 4);
  reads = effects_of<read_log>(effects);
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first == dot{node(3), 6, 2});
  effects = side.session.log_read({batch(6, 2, 2), batch(9, 1, 3)});
  CHECK(pushed(effects).size() == 4);
  CHECK(effects_of<read_log>(effects).empty());
}

TEST_CASE("a peer that knows nothing of a node gets all its incarnations") {
  one_side side;
  side.view.committed = incarnations();
  const auto reads = effects_of<read_log>(side.open());
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first == dot{node(3), 1, 1});
}

TEST_CASE("a peer that knows a later incarnation gets nothing") {
  one_side side;
  side.view.committed = incarnations(6);
  CHECK(effects_of<read_log>(side.open(upto_in(9, 1))).empty());
  side.second();
  CHECK(effects_of<read_log>(side.heads(upto_in(9, 1))).empty());
}

TEST_CASE("what goes on beside a later incarnation is pushed until the peer says that it has it") {
  one_side side;
  side.view.committed = incarnations();
  side.view.committed.raise({node(3), 6, 4});
  CHECK(side.view.committed.vector().entries().size() == 2);
  const auto reads = effects_of<read_log>(side.open(upto_in(9, 3)));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first == dot{node(3), 6, 1});
  CHECK(pushed(side.session.log_read({batch(6, 1, 4)})).size() == 4);
  side.ack(1, upto_in(6, 4));
  side.second();
  CHECK(effects_of<read_log>(side.heads(side.view.committed.vector(), 1)).empty());
}

TEST_CASE(
    "a peer that pulls from an incarnation that has ended gets it, and is not guessed to have it") {
  one_side side;
  side.view.committed = incarnations();
  side.open(upto_in(9, 3));
  auto reads = effects_of<read_log>(side.session.receive(sync_pull{{{node(3), 4, 2, 9}}}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first == dot{node(3), 4, 2});
  CHECK(reads[0].wanted.at(0).last == dot{node(3), 4, 5});
  CHECK(pushed(side.session.log_read({batch(4, 1, 5)})).size() == 5);
  // Once: the next heads tell, or the peer pulls again.
  side.ack(1);
  side.second();
  CHECK(effects_of<read_log>(side.heads(upto_in(9, 3), 1)).empty());
}

TEST_CASE("a peer that asks for what the log lacks is told so, until it asks for something else") {
  one_side side;
  side.view.committed = incarnations();
  processed_changes base;
  base.raise({node(3), 4, 5});
  base.end({node(3), 4});
  base.raise({node(3), 6, 1});
  side.view.log_base = base;
  REQUIRE(base.latest() == upto_in(6, 1));
  side.open(upto_in(9, 3));
  const auto said = [&] { return sent<sync_heads>(side.second()).at(0).base; };
  CHECK(said() == base.latest());
  side.session.receive(sync_pull{{{node(3), 4, 2, 9}, {node(8), 1, 1, 1}}});
  CHECK(said() == version_vector{{{node(3), 4, 5}, {node(3), 6, 1}}});
  side.session.receive(sync_pull{{{node(3), 4, 6, 9}}});
  CHECK(said() == base.latest());
}

TEST_CASE("what goes on after its end is pushed from where the log begins") {
  one_side side;
  side.view.committed = processed_changes{
      version_vector{{{node(3), 4, 9}, {node(3), 5, 1}}}};  // 4 has not ended here
  side.view.log_base = processed_changes{version_vector{{{node(3), 4, 7}}}};
  const auto reads = effects_of<read_log>(side.open(upto_in(5, 1)));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first == dot{node(3), 4, 8});
  CHECK(reads[0].wanted.at(0).last == dot{node(3), 4, 9});
}

TEST_CASE("a peer that asks for all before an incarnation gets all incarnations before") {
  one_side side;
  side.view.committed = incarnations();
  side.open(upto_in(9, 3));
  const auto reads = effects_of<read_log>(side.session.receive(sync_pull{{{node(3), 6, 0, 2}}}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first == dot{node(3), 1, 1});
  CHECK(reads[0].wanted.at(0).last == dot{node(3), 6, 2});
  const auto effects = side.session.log_read({batch(4, 1, 5), batch(6, 1, 2)});
  CHECK(pushed(effects).size() == 7);
  CHECK(effects_of<read_log>(effects).empty());
  // An acknowledgement does not begin it anew.
  CHECK(effects_of<read_log>(side.ack(1, upto_in(4, 5))).empty());
}

TEST_CASE("what a vector does not tell is asked of every peer that has more") {
  one_side side;
  side.view.links = {node(2), node(3)};
  side.open(upto_in(9, 1));
  side.view.missing = {{node(3), 6, 1, 2}};
  CHECK(sent<sync_pull>(side.session.tick(1000)).at(0).ranges ==
        std::vector<dot_range>{{node(3), 6, 1, 2}});
  side.view.committed = processed_changes{upto_in(9, 1)};
  CHECK(sent<sync_pull>(side.session.tick(2000)).empty());  // the peer has nothing more
}

TEST_CASE("the same is asked for once, and all that is before once in a second") {
  one_side side;
  side.open(upto_in(9, 1));
  side.view.missing = {{node(3), 6, 0, 2}};
  CHECK(sent<sync_pull>(side.session.tick(1000)).at(0).ranges[0].first == 0);
  side.session.receive(push_of(1, batch(9, 1, 1)));
  side.session.receive(push_of(2, batch(9, 1, 1)));
  const auto again = sent<sync_pull>(side.session.processed(1));
  REQUIRE(again.size() == 1);
  CHECK(again[0].ranges[0].first == 1);
  CHECK(sent<sync_pull>(side.session.processed(2)).empty());
}

TEST_CASE("a peer whose incarnation this node has forgotten is reported, once") {
  one_side side;
  for (std::uint64_t n = 1; n <= processed_changes::max_ended_of_node + 5; ++n) {
    auto first = put({node(3), n, 1}, "/a", 1);
    if (n > 1) first.after = {{node(3), n - 1, 1}};
    side.view.committed.add(first);
  }
  side.open();
  const auto reports = effects_of<report_forgotten>(side.heads(upto_in(2, 1)));
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].source == incarnation_id{node(3), 2});
  CHECK(effects_of<report_forgotten>(side.heads(upto_in(2, 1))).empty());
}

TEST_CASE("what is known of the incarnations of a peer does not grow") {
  one_side side;
  side.open();
  std::uint64_t pushes = 0;
  for (std::uint64_t n = 1; n <= 50; ++n) {
    auto first = put({node(3), n, 1}, "/a", 1);
    if (n > 1) first.after = {{node(3), n - 1, 1}};
    side.view.committed.add(first);
    side.session.committed(change_batch::of(std::vector{first}));
    side.ack(++pushes, upto_in(n, 1));
  }
  CHECK(side.session.peer_vector() == upto_in(50, 1));
}

TEST_CASE("heads pass on what other members have, to a peer that has no link with them") {
  one_side side;
  side.view.reports = {{node(4), 1, upto_in(9, 1)}, {node(5), 1, upto_in(9, 2)}, {node(2), 1, {}}};
  side.session.start(0);
  auto greeting = side.greeting();
  greeting.links = {node(1), node(5)};
  side.session.receive(greeting);
  const auto reports = sent<sync_heads>(side.session.tick(1000)).at(0).reports;
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].node == node(4));
}
