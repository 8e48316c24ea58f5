#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/tests/support/fixtures/sync_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- catching up ----------------------------------------------------------------------------------

TEST_CASE("after the greeting the peer gets from the log what it lacks, and nothing that it has") {
  one_side side;
  side.view.committed =
      processed_changes{version_vector{{{node(1), 1, 5}, {node(4), 1, 9}, {node(2), 1, 3}}}};
  side.view.links = {node(2)};
  auto effects = side.open(version_vector{{{node(1), 1, 2}, {node(2), 1, 3}}});
  auto reads = effects_of<read_log>(effects);
  REQUIRE(reads.size() == 1);
  CHECK(incarnation_of(reads[0].wanted.at(0).first) == incarnation_id{node(1), 1});
  CHECK(reads[0].wanted.at(0).first.seq == 3);
  effects = side.session.log_read({changes(1, 3, 5)});
  CHECK(pushed(effects) == dots(1, 3, 5));
  reads = effects_of<read_log>(effects);
  REQUIRE(reads.size() == 1);
  CHECK(incarnation_of(reads[0].wanted.at(0).first) == incarnation_id{node(4), 1});
  effects = side.session.log_read({changes(4, 1, 4)});
  CHECK(pushed(effects) == dots(4, 1, 4));
  CHECK(effects_of<read_log>(effects).at(0).wanted.at(0).first.seq == 5);
  effects = side.session.log_read({changes(4, 5, 9)});
  CHECK(pushed(effects) == dots(4, 5, 9));
  CHECK(effects_of<read_log>(effects).empty());
}

TEST_CASE("at first a connected origin pushes its changes itself; after a second every node does") {
  one_side side;
  side.view.committed = processed_changes{upto(3, 4)};
  side.view.links = {node(2), node(3)};
  CHECK(effects_of<read_log>(side.open()).empty());
  // Heads that come because links come and go hurry nothing.
  for (int i = 0; i < 5; ++i)
    CHECK(effects_of<read_log>(side.heads({}, 0, {node(1), node(3)})).empty());
  side.second();
  CHECK(
      effects_of<read_log>(side.heads({}, 0, {node(1), node(3)})).at(0).wanted.at(0).first.origin ==
      node(3));
}

TEST_CASE("changes of the peer itself that it has lost are given back at once") {
  one_side side;
  side.view.committed = processed_changes{upto(2, 4)};
  side.view.links = {node(2)};
  CHECK(effects_of<read_log>(side.open(upto(2, 1))).at(0).wanted.at(0).first.seq == 2);
}

TEST_CASE("what the peer got elsewhere while the log was read is not pushed") {
  one_side side;
  side.view.committed = processed_changes{upto(1, 5)};
  REQUIRE(effects_of<read_log>(side.open()).size() == 1);
  side.heads(upto(1, 3));
  CHECK(pushed(side.session.log_read({changes(1, 1, 3), changes(1, 4, 5)})) == dots(1, 4, 5));
}

TEST_CASE("what the log holds beyond what is committed is not pushed") {
  one_side side;
  side.view.committed = processed_changes{upto(1, 3)};
  REQUIRE(effects_of<read_log>(side.open()).size() == 1);
  CHECK(pushed(side.session.log_read({changes(1, 1, 3), changes(1, 4, 5)})) == dots(1, 1, 3));
  CHECK(pushed(side.commit(changes(1, 4, 5))) == dots(1, 4, 5));
}

TEST_CASE("a log that cannot help is not asked again before the next heads") {
  one_side side;
  side.view.committed = processed_changes{upto(1, 5)};
  REQUIRE(effects_of<read_log>(side.open()).size() == 1);
  SUBCASE("because it failed") { CHECK(side.session.log_read({}).empty()); }
  SUBCASE("because it begins later") { CHECK(side.session.log_read({changes(1, 3, 5)}).empty()); }
  side.second();
  CHECK(effects_of<read_log>(side.heads({})).size() == 1);
}

TEST_CASE(
    "records of another incarnation than was asked for are ignored, and so is an answer without a "
    "question") {
  one_side side;
  CHECK(side.session.log_read({changes(1, 1, 1)}).empty());
  side.view.committed = processed_changes{upto(1, 1)};
  side.open();
  CHECK(pushed(side.session.log_read({changes(5, 1, 1)})).empty());
  CHECK(side.session.log_read({changes(1, 1, 1)}).empty());
}

TEST_CASE("incarnations that the peer declines are not pushed") {
  one_side side;
  side.view.committed = processed_changes{upto(1, 5)};
  side.session.start(0);
  auto hello = side.greeting();
  hello.declined = {{node(1), 1}};
  CHECK(effects_of<read_log>(side.session.receive(hello)).empty());
  CHECK(pushed(side.commit(changes(1, 6, 6))).empty());
}

// -- pushing --------------------------------------------------------------------------------------

TEST_CASE("a committed change goes out at once, in the very batch that all peers share") {
  one_side side;
  side.open();
  const auto batch = changes(1, 1, 3);
  side.view.committed = processed_changes{upto(1, 3)};
  const auto pushes = sent<sync_push>(side.session.committed(batch));
  REQUIRE(pushes.size() == 1);
  CHECK(pushes[0] == push_of(1, batch));
  CHECK(sent<sync_push>(side.commit(changes(1, 4, 4))).at(0).batch == 2);
}

TEST_CASE("a change is not echoed to the peer that it came from") {
  one_side side;
  side.open();
  const auto effects = side.session.receive(push_of(1, changes(5, 1, 3)));
  REQUIRE(effects_of<apply_changes>(effects).size() == 1);
  CHECK(side.commit(changes(5, 1, 3)).empty());
  CHECK(side.session.peer_vector() == upto(5, 3));
}

TEST_CASE("a change of a third node is forwarded unless the peer is connected with that node") {
  one_side side;
  side.open();
  side.heads({}, 0, {node(1), node(3)});
  CHECK(pushed(side.commit(changes(3, 1, 1))).empty());
  CHECK(pushed(side.commit(changes(4, 1, 1))) == dots(4, 1, 1));
}

TEST_CASE("what a connected origin did not deliver within a second is pushed after all") {
  one_side side;
  side.open();
  side.heads({}, 0, {node(3)});
  side.commit(changes(3, 1, 2));
  side.second();
  CHECK(effects_of<read_log>(side.heads({}, 0, {node(3)})).empty());
  side.second();
  CHECK(effects_of<read_log>(side.heads(upto(3, 2), 0, {node(3)})).empty());
  side.commit(changes(3, 3, 4));
  side.second();
  CHECK(effects_of<read_log>(side.heads(upto(3, 2), 0, {node(3)})).empty());
  side.second();
  const auto reads = effects_of<read_log>(side.heads(upto(3, 2), 0, {node(3)}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first.seq == 3);
}

TEST_CASE("a change whose predecessors are not in the queue waits for the log to supply them") {
  one_side side;
  side.open();
  side.heads({}, 0, {node(3)});
  side.commit(changes(3, 1, 2));  // left to node 3
  side.heads({}, 0, {});          // which the peer has lost sight of
  auto reads = effects_of<read_log>(side.commit(changes(3, 3, 3)));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first.seq == 1);
  CHECK(side.session.queued_bytes() == 0);
  CHECK(pushed(side.session.log_read({changes(3, 1, 3)})) == dots(3, 1, 3));
}

TEST_CASE("no more is in flight than allowed, and acknowledgements let the rest out") {
  sync_limits limits;
  limits.max_in_flight_batches = 2;
  one_side side{limits};
  side.open();
  std::vector<dot> out;
  for (std::uint64_t seq = 1; seq <= 5; ++seq)
    for (const auto& each : pushed(side.commit(changes(1, seq, seq)))) out.push_back(each);
  CHECK(out == dots(1, 1, 2));
  CHECK(side.session.queued_bytes() > 0);
  const auto more = side.ack(1, upto(1, 1));
  CHECK(sent<sync_push>(more).size() == 1);  // with all that has gathered
  CHECK(pushed(more) == dots(1, 3, 5));
  CHECK(side.ack(3, upto(1, 5)).empty());
  CHECK(side.session.in_flight_bytes() == 0);
  CHECK(side.session.queued_bytes() == 0);
}

TEST_CASE("bytes in flight are bounded too, but one push always fits") {
  sync_limits limits;
  limits.max_in_flight_bytes = 1;
  one_side side{limits};
  side.open();
  CHECK(pushed(side.commit(changes(1, 1, 1))) == dots(1, 1, 1));
  CHECK(pushed(side.commit(changes(1, 2, 2))).empty());
  CHECK(pushed(side.ack(1)) == dots(1, 2, 2));
}

TEST_CASE(
    "a peer that does not keep up loses its queue, receives the heads, and catches up from the "
    "log") {
  sync_limits limits;
  limits.max_in_flight_batches = 1;
  limits.max_queued_bytes = 1000;
  one_side side{limits};
  side.open();
  std::size_t heads = 0;
  std::uint64_t seq = 0;
  while (heads == 0) {
    ++seq;
    heads += sent<sync_heads>(side.commit(changes(1, seq, seq))).size();
    CHECK(side.session.queued_bytes() <= limits.max_queued_bytes);
    REQUIRE(seq < 100);
  }
  CHECK(side.session.queued_bytes() == 0);
  CHECK(side.commit(changes(1, seq + 1, seq + 1)).empty());
  CHECK(side.session.queued_bytes() == 0);  // the log has it
  auto effects = side.ack(1, upto(1, 1));
  REQUIRE(effects_of<read_log>(effects).size() == 1);
  CHECK(effects_of<read_log>(effects)[0].wanted.at(0).first.seq == 2);
  CHECK(pushed(side.session.log_read({changes(1, 2, seq + 1)})) == dots(1, 2, seq + 1));
  CHECK(effects_of<read_log>(side.ack(2, upto(1, seq + 1))).empty());
  CHECK(pushed(side.commit(changes(1, seq + 2, seq + 2))) == dots(1, seq + 2, seq + 2));
}

TEST_CASE("what a peer acknowledged and still lacks is pushed again at its heads, not before") {
  one_side side;
  side.open();
  side.commit(changes(1, 1, 3));
  CHECK(side.ack(1, upto(1, 1)).empty());
  const auto reads = effects_of<read_log>(side.heads(upto(1, 1), 1));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first.seq == 2);
}

TEST_CASE("pushes without any sign of life for two seconds are taken for lost at the next heads") {
  one_side side;
  side.open();
  side.second();
  side.commit(changes(1, 1, 3));
  for (int i = 0; i < 3; ++i) CHECK(effects_of<read_log>(side.heads({})).empty());
  side.second();
  CHECK(effects_of<read_log>(side.heads({})).empty());
  side.second();
  const auto reads = effects_of<read_log>(side.heads({}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].wanted.at(0).first.seq == 1);
}

TEST_CASE("heads repeat a lost acknowledgement") {
  one_side side;
  side.open();
  side.commit(changes(1, 1, 3));
  CHECK(side.session.in_flight_bytes() > 0);
  side.heads(upto(1, 3), 1);
  CHECK(side.session.in_flight_bytes() == 0);
}
