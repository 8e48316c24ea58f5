#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <zstd.h>

#include <troupe/actors/context/strategies.hpp>
#include <troupe/actors/context/sync_session.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/context_fixture.hpp>

using namespace troupe;
using test::node;
using test::put;

namespace {

const cluster_id cluster{node(99).id};

encoded_record change(unsigned origin, std::uint64_t seq, std::size_t bytes = 10, std::uint64_t incarnation = 1) {
  return encode_record(put({node(origin), incarnation, seq}, "/a", std::string(bytes, 'x')));
}

std::vector<encoded_record> changes(unsigned origin, std::uint64_t first, std::uint64_t last, std::size_t bytes = 10) {
  std::vector<encoded_record> records;
  for (auto seq = first; seq <= last; ++seq) records.push_back(change(origin, seq, bytes));
  return records;
}

shared_batch batch_of(std::vector<encoded_record> records) {
  return std::make_shared<const push_batch>(std::move(records));
}

/// The messages of one kind among actions.
template <class Message>
std::vector<Message> sent(const sync_session::actions& actions) {
  std::vector<Message> messages;
  for (const auto& each : actions)
    if (const auto* action = std::get_if<send_message>(&each))
      if (const auto* message = std::get_if<Message>(&action->message)) messages.push_back(*message);
  return messages;
}

template <class Action>
std::vector<Action> wished(const sync_session::actions& actions) {
  std::vector<Action> found;
  for (const auto& each : actions)
    if (const auto* action = std::get_if<Action>(&each)) found.push_back(*action);
  return found;
}

/// The dots of all pushes among actions.
std::vector<dot> pushed(const sync_session::actions& actions) {
  std::vector<dot> dots;
  for (const auto& push : sent<sync_push>(actions)) {
    const auto records = decode_push(push);
    REQUIRE(records);
    for (const auto& each : *records) dots.push_back(each.dot);
  }
  return dots;
}

/// Node 1 in a session with node 2.
struct one_side {
  explicit one_side(sync_limits limits = {}) : session({cluster, node(1), 1, 7}, node(2), view, limits) {}

  sync_hello greeting(version_vector vector = {}) const {
    return {cluster, node(2), 1, std::move(vector), {}, 7, {node(1)}, {}};
  }
  sync_session::actions open(version_vector theirs = {}) {
    session.start(0);
    return session.receive(greeting(std::move(theirs)));
  }
  sync_session::actions commit(std::vector<encoded_record> records) {
    for (const auto& each : records) view.committed.raise(each.dot.origin, each.dot.incarnation, each.dot.seq);
    return session.committed(batch_of(std::move(records)));
  }
  /// Lets a second pass.
  sync_session::actions second() { return session.tick(now += 1000); }
  sync_session::actions ack(std::uint64_t batch, version_vector vector = {}) {
    return session.receive(sync_ack{batch, std::move(vector)});
  }
  sync_session::actions heads(version_vector vector, std::uint64_t batch = 0, std::vector<node_id> links = {node(1)}) {
    return session.receive(sync_heads{std::move(vector), {}, batch, std::move(links), {}});
  }

  sync_view view;
  sync_session session;
  std::uint64_t now = 0;
};

version_vector upto(unsigned origin, std::uint64_t seq) { return version_vector{{{node(origin), 1, seq}}}; }

std::vector<dot> dots(unsigned origin, std::uint64_t first, std::uint64_t last) {
  std::vector<dot> all;
  for (auto seq = first; seq <= last; ++seq) all.push_back({node(origin), 1, seq});
  return all;
}

void check_closed(const sync_session::actions& actions, error_code code, std::string_view part) {
  const auto closes = wished<close_session>(actions);
  REQUIRE(closes.size() == 1);
  CHECK(closes[0].reason.code == code);
  CHECK_MESSAGE(closes[0].reason.message.find(part) != std::string::npos, closes[0].reason.message);
}

}  // namespace

// -- batches ---------------------------------------------------------------------------------------------------------

TEST_CASE("a batch comes out of its message as it went in") {
  const auto small = batch_of(changes(1, 1, 2));
  CHECK(small->to_message(5).batch == 5);
  CHECK(small->to_message(5).encoding == push_encoding::plain);
  const auto large = batch_of(changes(1, 1, 50));
  CHECK(large->to_message(1).encoding == push_encoding::zstd);
  CHECK(large->wire_bytes() < 50 * large->records()[0].bytes.size() / 3);
  for (const auto& batch : {small, large}) {
    const auto message = decode<sync_push>(encode(batch->to_message(1)));
    REQUIRE(message);
    const auto records = decode_push(*message);
    REQUIRE(records);
    std::vector<encoded_record> again;
    for (const auto& each : *records) again.push_back(encode_record(each));
    CHECK(again == batch->records());
  }
  CHECK_THROWS_AS(push_batch{{}}, std::invalid_argument);
}

TEST_CASE("what compression does not shrink is sent plain") {
  std::string noise;
  std::uint64_t state = 1;
  for (int i = 0; i < 4000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    noise += static_cast<char>(state >> 56);
  }
  const auto record = put({node(1), 1, 1}, "/a", value::binary(noise));
  CHECK(batch_of({encode_record(record)})->to_message(1).encoding == push_encoding::plain);
}

TEST_CASE("batches are closed before they grow beyond their bound, and a large record travels alone") {
  auto records = changes(1, 1, 100, 2000);
  records.insert(records.begin() + 50, change(2, 1, 100'000));
  const auto batches = make_batches(records);
  std::vector<encoded_record> again;
  for (const auto& each : batches) {
    std::size_t bytes = 0;
    for (const auto& record : each->records()) bytes += record.bytes.size();
    CHECK((bytes <= push_batch::max_bytes || each->records().size() == 1));
    again.insert(again.end(), each->records().begin(), each->records().end());
  }
  CHECK(again == records);
  CHECK(batches.size() == 5);
  CHECK(make_batches({}).empty());
}

TEST_CASE("a payload that is not what it says is a violation, and claims are not believed") {
  const auto violates = [](push_encoding encoding, std::string payload, std::string_view part) {
    const auto records = decode_push({1, encoding, {std::move(payload)}});
    REQUIRE_FALSE(records);
    CHECK(records.error().code == error_code::protocol_violation);
    CHECK_MESSAGE(records.error().message.find(part) != std::string::npos, records.error().message);
  };
  violates(push_encoding::plain, "\x01", "malformed");
  violates(push_encoding::plain, "", "malformed");
  violates(push_encoding::zstd, "garbage", "zstd frame");
  auto packed = batch_of(changes(1, 1, 50))->to_message(1).payload.bytes;
  violates(push_encoding::zstd, packed.substr(0, packed.size() / 2), "damaged");

  const std::string bomb(std::size_t{64} << 20, '\0');
  std::string frame(ZSTD_compressBound(bomb.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), bomb.data(), bomb.size(), 1));
  violates(push_encoding::zstd, frame, "at most");
  std::string empty(64, '\0');
  empty.resize(ZSTD_compress(empty.data(), empty.size(), "", 0, 1));
  violates(push_encoding::zstd, empty, "malformed");
}

// -- greeting --------------------------------------------------------------------------------------------------------

TEST_CASE("a session starts by telling who this is and what it has") {
  one_side side;
  side.view.committed = upto(1, 3);
  side.view.root = {1, 2};
  side.view.links = {node(2)};
  side.view.declined = {{node(5), 1}};
  const auto hello = sent<sync_hello>(side.session.start(0));
  REQUIRE(hello.size() == 1);
  CHECK(hello[0] == sync_hello{cluster, node(1), 1, upto(1, 3), {1, 2}, 7, {node(2)}, {{node(5), 1}}});
  CHECK(decode<sync_hello>(encode(hello[0])) == hello[0]);
  CHECK_FALSE(side.session.is_open());
  side.session.receive(side.greeting());
  CHECK(side.session.is_open());
}

TEST_CASE("whoever does not belong here is turned away with the reason") {
  one_side side;
  side.session.start(0);
  auto hello = side.greeting();
  SUBCASE("another cluster") {
    hello.cluster = cluster_id{node(98).id};
    check_closed(side.session.receive(hello), error_code::permission_denied, "cluster");
  }
  SUBCASE("this node's own id") {
    hello.node = node(1);
    check_closed(side.session.receive(hello), error_code::already_exists, "copy");
  }
  SUBCASE("another id than the link's") {
    hello.node = node(3);
    check_closed(side.session.receive(hello), error_code::protocol_violation, "calls itself");
  }
  SUBCASE("someone who knows this run's future") {
    hello.vector = upto(1, 1);
    check_closed(side.session.receive(hello), error_code::already_exists, "identity");
  }
  SUBCASE("someone who does not greet") {
    check_closed(side.session.receive(sync_ack{}), error_code::protocol_violation, "sync.hello");
  }
  CHECK_FALSE(side.session.is_open());
  CHECK(side.session.receive(side.greeting()).empty());
  CHECK(side.commit(changes(1, 1, 1)).empty());
  CHECK(side.session.tick(100'000).empty());
  CHECK(side.session.links_changed().empty());
  CHECK(side.session.log_read({}).empty());
}

TEST_CASE("greeting twice, acknowledging the future, and claiming this run's changes end a session") {
  one_side side;
  side.open();
  SUBCASE("twice") { check_closed(side.session.receive(side.greeting()), error_code::protocol_violation, "only once"); }
  SUBCASE("acknowledged") { check_closed(side.ack(1), error_code::protocol_violation, "push 1"); }
  SUBCASE("acknowledged in heads") { check_closed(side.heads({}, 9), error_code::protocol_violation, "push 9"); }
  SUBCASE("claimed in heads") { check_closed(side.heads(upto(1, 1)), error_code::already_exists, "identity"); }
  SUBCASE("claimed in an ack") { check_closed(side.ack(0, upto(1, 1)), error_code::already_exists, "identity"); }
  SUBCASE("a malformed push") {
    check_closed(side.session.receive(sync_push{1, push_encoding::plain, {"x"}}), error_code::protocol_violation,
                 "malformed");
  }
  SUBCASE("too many ranges") {
    check_closed(side.session.receive(sync_pull{std::vector<dot_range>(1025)}), error_code::limit_exceeded, "1025");
  }
  SUBCASE("runs without end") {
    side.view.committed = {};
    for (std::uint64_t i = 1; i <= 3; ++i) side.session.receive(batch_of(changes(2, i, i, 10))->to_message(i));
    sync_limits few;
    few.max_runs = 5;
    one_side bounded{few};
    bounded.open();
    std::vector<version_entry> runs;
    for (std::uint64_t run = 1; run <= 6; ++run) runs.push_back({node(3), run, 1});
    SUBCASE("in heads") { check_closed(bounded.heads(version_vector{runs}), error_code::limit_exceeded, "5 runs"); }
    SUBCASE("in pushes") {
      for (std::uint64_t run = 1; run <= 5; ++run)
        CHECK(wished<apply_records>(bounded.session.receive(batch_of({change(3, 1, 10, run)})->to_message(run))).size() == 1);
      check_closed(bounded.session.receive(batch_of({change(3, 1, 10, 6)})->to_message(6)), error_code::limit_exceeded, "5 runs");
    }
  }
}

TEST_CASE("different conflict rules are reported, and the session goes on") {
  one_side side;
  side.session.start(0);
  auto hello = side.greeting();
  hello.strategies = 8;
  const auto reports = wished<report_mismatch>(side.session.receive(hello));
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].ours == 7);
  CHECK(reports[0].theirs == 8);
  CHECK(side.session.is_open());
}

// -- catching up -----------------------------------------------------------------------------------------------------

TEST_CASE("after the greeting the peer gets from the log what it lacks, and nothing that it has") {
  one_side side;
  side.view.committed = version_vector{{{node(1), 1, 5}, {node(4), 1, 9}, {node(2), 1, 3}}};
  side.view.links = {node(2)};
  auto wishes = side.open(version_vector{{{node(1), 1, 2}, {node(2), 1, 3}}});
  auto reads = wished<read_log>(wishes);
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].run == run_id{node(1), 1});
  CHECK(reads[0].first == 3);
  wishes = side.session.log_read(changes(1, 3, 5));
  CHECK(pushed(wishes) == dots(1, 3, 5));
  reads = wished<read_log>(wishes);
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].run == run_id{node(4), 1});
  wishes = side.session.log_read(changes(4, 1, 4));
  CHECK(pushed(wishes) == dots(4, 1, 4));
  CHECK(wished<read_log>(wishes).at(0).first == 5);
  wishes = side.session.log_read(changes(4, 5, 9));
  CHECK(pushed(wishes) == dots(4, 5, 9));
  CHECK(wished<read_log>(wishes).empty());
}

TEST_CASE("at first a connected origin is left to push its changes itself; after a second anyone does") {
  one_side side;
  side.view.committed = upto(3, 4);
  side.view.links = {node(2), node(3)};
  CHECK(wished<read_log>(side.open()).empty());
  // Heads that come because links come and go hurry nothing.
  for (int i = 0; i < 5; ++i) CHECK(wished<read_log>(side.heads({}, 0, {node(1), node(3)})).empty());
  side.second();
  CHECK(wished<read_log>(side.heads({}, 0, {node(1), node(3)})).at(0).run == run_id{node(3), 1});
}

TEST_CASE("changes of the peer itself that it has lost are given back at once") {
  one_side side;
  side.view.committed = upto(2, 4);
  side.view.links = {node(2)};
  CHECK(wished<read_log>(side.open(upto(2, 1))).at(0).first == 2);
}

TEST_CASE("what the peer got elsewhere while the log was read is not pushed") {
  one_side side;
  side.view.committed = upto(1, 5);
  REQUIRE(wished<read_log>(side.open()).size() == 1);
  side.heads(upto(1, 3));
  CHECK(pushed(side.session.log_read(changes(1, 1, 5))) == dots(1, 4, 5));
}

TEST_CASE("a log that cannot help is not asked again before the next heads") {
  one_side side;
  side.view.committed = upto(1, 5);
  REQUIRE(wished<read_log>(side.open()).size() == 1);
  SUBCASE("because it failed") { CHECK(side.session.log_read({}).empty()); }
  SUBCASE("because it begins later") { CHECK(side.session.log_read(changes(1, 3, 5)).empty()); }
  side.second();
  CHECK(wished<read_log>(side.heads({})).size() == 1);
}

TEST_CASE("records of another run than was asked for are ignored, and so is an answer that nobody asked for") {
  one_side side;
  CHECK(side.session.log_read(changes(1, 1, 1)).empty());
  side.view.committed = upto(1, 1);
  side.open();
  CHECK(pushed(side.session.log_read(changes(5, 1, 1))).empty());
  CHECK(side.session.log_read(changes(1, 1, 1)).empty());
}

TEST_CASE("runs that the peer declines are not pushed") {
  one_side side;
  side.view.committed = upto(1, 5);
  side.session.start(0);
  auto hello = side.greeting();
  hello.declined = {{node(1), 1}};
  CHECK(wished<read_log>(side.session.receive(hello)).empty());
  CHECK(pushed(side.commit(changes(1, 6, 6))).empty());
}

// -- pushing ---------------------------------------------------------------------------------------------------------

TEST_CASE("a committed change goes out at once, in the very batch that all peers share") {
  one_side side;
  side.open();
  const auto batch = batch_of(changes(1, 1, 3));
  side.view.committed = upto(1, 3);
  const auto pushes = sent<sync_push>(side.session.committed(batch));
  REQUIRE(pushes.size() == 1);
  CHECK(pushes[0] == batch->to_message(1));
  CHECK(sent<sync_push>(side.commit(changes(1, 4, 4))).at(0).batch == 2);
}

TEST_CASE("a change is not echoed to the peer that it came from") {
  one_side side;
  side.open();
  const auto wishes = side.session.receive(batch_of(changes(5, 1, 3))->to_message(1));
  REQUIRE(wished<apply_records>(wishes).size() == 1);
  CHECK(side.commit(changes(5, 1, 3)).empty());
  CHECK(side.session.peer_vector() == upto(5, 3));
}

TEST_CASE("a change of a third node is forwarded unless the peer is connected with that node") {
  one_side side;
  side.open();
  side.heads({}, 0, {node(1), node(3)});
  CHECK(pushed(side.commit(changes(3, 1, 1))).empty());
  CHECK(pushed(side.commit(changes(4, 1, 1))) == dots(4, 1, 1));
  auto mixed = changes(3, 2, 2);
  mixed.push_back(change(4, 2));
  CHECK(pushed(side.commit(mixed)) == std::vector<dot>{{node(4), 1, 2}});
}

TEST_CASE("what a connected origin did not deliver within a second is pushed after all") {
  one_side side;
  side.open();
  side.heads({}, 0, {node(3)});
  side.commit(changes(3, 1, 2));
  side.second();
  CHECK(wished<read_log>(side.heads({}, 0, {node(3)})).empty());
  side.second();
  CHECK(wished<read_log>(side.heads(upto(3, 2), 0, {node(3)})).empty());
  side.commit(changes(3, 3, 4));
  side.second();
  CHECK(wished<read_log>(side.heads(upto(3, 2), 0, {node(3)})).empty());
  side.second();
  const auto reads = wished<read_log>(side.heads(upto(3, 2), 0, {node(3)}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].first == 3);
}

TEST_CASE("a change whose predecessors are not in the queue waits for the log to supply them") {
  one_side side;
  side.open();
  side.heads({}, 0, {node(3)});
  side.commit(changes(3, 1, 2));  // left to node 3
  side.heads({}, 0, {});          // which the peer has lost sight of
  auto reads = wished<read_log>(side.commit(changes(3, 3, 3)));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].first == 1);
  CHECK(side.session.queued_bytes() == 0);
  CHECK(pushed(side.session.log_read(changes(3, 1, 3))) == dots(3, 1, 3));
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
  CHECK(pushed(side.ack(1, upto(1, 1))) == dots(1, 3, 3));
  CHECK(pushed(side.ack(3, upto(1, 3))) == dots(1, 4, 5));
  CHECK(side.ack(5, upto(1, 5)).empty());
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

TEST_CASE("a peer that does not keep up loses its queue, is told the heads, and catches up from the log") {
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
  auto wishes = side.ack(1, upto(1, 1));
  REQUIRE(wished<read_log>(wishes).size() == 1);
  CHECK(wished<read_log>(wishes)[0].first == 2);
  CHECK(pushed(side.session.log_read(changes(1, 2, seq + 1))) == dots(1, 2, seq + 1));
  CHECK(wished<read_log>(side.ack(2, upto(1, seq + 1))).empty());
  CHECK(pushed(side.commit(changes(1, seq + 2, seq + 2))) == dots(1, seq + 2, seq + 2));
}

TEST_CASE("what a peer acknowledged and still lacks is pushed again at its heads, not before") {
  one_side side;
  side.open();
  side.commit(changes(1, 1, 3));
  CHECK(side.ack(1, upto(1, 1)).empty());
  const auto reads = wished<read_log>(side.heads(upto(1, 1), 1));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].first == 2);
}

TEST_CASE("pushes without any sign of life for two seconds are taken for lost at the next heads") {
  one_side side;
  side.open();
  side.second();
  side.commit(changes(1, 1, 3));
  for (int i = 0; i < 3; ++i) CHECK(wished<read_log>(side.heads({})).empty());
  side.second();
  CHECK(wished<read_log>(side.heads({})).empty());
  side.second();
  const auto reads = wished<read_log>(side.heads({}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].first == 1);
}

TEST_CASE("heads repeat a lost acknowledgement") {
  one_side side;
  side.open();
  side.commit(changes(1, 1, 3));
  CHECK(side.session.in_flight_bytes() > 0);
  side.heads(upto(1, 3), 1);
  CHECK(side.session.in_flight_bytes() == 0);
}

// -- receiving -------------------------------------------------------------------------------------------------------

TEST_CASE("a push is applied and acknowledged once it is processed, with how far its runs have come") {
  one_side side;
  side.open();
  const auto records = changes(2, 1, 2);
  const auto applies = wished<apply_records>(side.session.receive(batch_of(records)->to_message(1)));
  REQUIRE(applies.size() == 1);
  CHECK(applies[0].batch == 1);
  CHECK(applies[0].records.size() == 2);
  side.view.committed = version_vector{{{node(2), 1, 2}, {node(1), 1, 5}}};
  const auto acks = sent<sync_ack>(side.session.processed(1));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0] == sync_ack{1, upto(2, 2)});
  CHECK(decode<sync_ack>(encode(acks[0])) == acks[0]);
  CHECK(side.session.processed(1).empty());
}

TEST_CASE("what is pushed while too much waits for the disk is dropped, and taken when it is sent again") {
  one_side side;
  side.open();
  const auto push = [&](std::uint64_t batch) {
    return wished<apply_records>(side.session.receive(batch_of(changes(2, 1, 1))->to_message(batch))).size();
  };
  SUBCASE("too many pushes") {
    for (std::uint64_t batch = 1; batch <= 1024; ++batch) REQUIRE(push(batch) == 1);
    CHECK(side.session.receive(batch_of(changes(2, 1, 1))->to_message(1025)).empty());
    CHECK(side.session.is_open());
    CHECK(sent<sync_ack>(side.session.processed(1)).size() == 1);
    CHECK(push(1026) == 1);
  }
  SUBCASE("too many changes") {
    side.view.takes_pushes = false;
    CHECK(side.session.receive(batch_of(changes(2, 1, 1))->to_message(1)).empty());
    CHECK(side.session.peer_vector() == version_vector{});
    side.view.takes_pushes = true;
    CHECK(push(2) == 1);
  }
}

TEST_CASE("equal vectors with different roots are reported once") {
  one_side side;
  side.view.committed = upto(2, 3);
  side.view.root = {1, 1};
  side.open(upto(2, 3));
  const auto told = [&](version_vector vector, state_hash root) {
    return wished<report_roots>(side.session.receive(sync_heads{std::move(vector), root, 0, {node(1)}, {}})).size();
  };
  CHECK(told(upto(2, 3), {1, 1}) == 0);
  CHECK(told(upto(2, 4), {2, 2}) == 0);  // not the same changes
  CHECK(told(upto(2, 3), {}) == 0);      // it has changes that are not committed
  side.view.root = {};
  CHECK(told(upto(2, 3), {2, 2}) == 0);  // this node has
  side.view.root = {1, 1};
  CHECK(told(upto(2, 3), {2, 2}) == 1);
  CHECK(told(upto(2, 3), {2, 2}) == 0);
  CHECK(side.session.is_open());
}

TEST_CASE("heads go out every second and tell what was processed") {
  one_side side;
  side.open();
  side.session.receive(batch_of(changes(2, 1, 1))->to_message(1));
  side.view.committed = upto(2, 1);
  side.view.root = {3, 4};
  side.session.processed(1);
  CHECK(side.session.tick(999).empty());
  const auto heads = sent<sync_heads>(side.session.tick(1000));
  REQUIRE(heads.size() == 1);
  CHECK(heads[0] == sync_heads{upto(2, 1), {3, 4}, 1, {}, {}});
  CHECK(decode<sync_heads>(encode(heads[0])) == heads[0]);
  CHECK(side.session.tick(1999).empty());
  CHECK(sent<sync_heads>(side.session.tick(2000)).size() == 1);
}

TEST_CASE("a change of links is told at once") {
  one_side side;
  side.open();
  side.view.links = {node(2), node(3)};
  CHECK(sent<sync_heads>(side.session.links_changed()).at(0).links == side.view.links);
}

TEST_CASE("what is missing is asked for as far as the peer has it, once per second") {
  one_side side;
  side.open(upto(2, 10));
  side.view.missing = {{node(2), 1, 3, 4}, {node(2), 1, 8, 12}, {node(6), 1, 1, 1}};
  side.session.receive(batch_of(changes(2, 5, 5))->to_message(1));
  side.session.receive(batch_of(changes(2, 6, 6))->to_message(2));
  const auto pulls = sent<sync_pull>(side.session.processed(1));
  REQUIRE(pulls.size() == 1);
  CHECK(pulls[0].ranges == std::vector<dot_range>{{node(2), 1, 3, 4}, {node(2), 1, 8, 10}});
  CHECK(decode<sync_pull>(encode(pulls[0])) == pulls[0]);
  CHECK(sent<sync_pull>(side.session.processed(2)).empty());
  CHECK(sent<sync_pull>(side.session.tick(1000)).size() == 1);
}

TEST_CASE("what is missing is asked of its origin where that is connected") {
  one_side side;
  side.view.links = {node(2), node(3)};
  side.open(version_vector{{{node(3), 1, 10}, {node(4), 1, 10}}});
  side.view.missing = {{node(3), 1, 1, 2}, {node(4), 1, 1, 2}};
  CHECK(sent<sync_pull>(side.session.tick(1000)).at(0).ranges == std::vector<dot_range>{{node(4), 1, 1, 2}});
}

TEST_CASE("a pull is answered from the log at once, as far as it is committed") {
  one_side side;
  side.open();
  side.commit(changes(1, 1, 5));
  auto reads = wished<read_log>(side.session.receive(sync_pull{{{node(1), 1, 1, 3}, {node(8), 1, 1, 1}}}));
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].run == run_id{node(1), 1});
  CHECK(reads[0].first == 1);
  CHECK(pushed(side.session.log_read(changes(1, 1, 5))) == dots(1, 1, 5));
}
