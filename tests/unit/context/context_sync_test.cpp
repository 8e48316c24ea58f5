#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/tests/support/fixtures/sync_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- greeting -------------------------------------------------------------------------------------

TEST_CASE("a session starts by sending this replica's identity and what it has") {
  one_side side;
  side.view.committed = processed_changes{upto(1, 3)};
  side.view.root = {1, 2};
  side.view.links = {node(2)};
  const auto hello = sent<sync_hello>(side.session.start(0));
  REQUIRE(hello.size() == 1);
  CHECK(hello[0] == sync_hello{cluster, node(1), 1, upto(1, 3), {1, 2}, 7, {node(2)}, {}});
  CHECK(decode<sync_hello>(encode(hello[0])) == hello[0]);
  CHECK_FALSE(side.session.is_open());
  side.session.receive(side.greeting());
  CHECK(side.session.is_open());
}

TEST_CASE("a peer that does not belong here is refused with the reason") {
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
  SUBCASE("a peer that knows this incarnation's future") {
    hello.vector = upto(1, 1);
    check_closed(side.session.receive(hello), error_code::already_exists, "identity");
  }
  SUBCASE("a peer that does not greet") {
    check_closed(side.session.receive(sync_ack{}), error_code::protocol_violation, "sync.hello");
  }
  CHECK_FALSE(side.session.is_open());
  CHECK(side.session.receive(side.greeting()).empty());
  CHECK(side.commit(changes(1, 1, 1)).empty());
  CHECK(side.session.tick(100'000).empty());
  CHECK(side.session.links_changed().empty());
  CHECK(side.session.log_read({}).empty());
}

TEST_CASE(
    "greeting twice, acknowledging the future, and claiming this incarnation's changes end a "
    "session") {
  one_side side;
  side.open();
  SUBCASE("twice") {
    check_closed(side.session.receive(side.greeting()), error_code::protocol_violation,
                 "only once");
  }
  SUBCASE("acknowledged") { check_closed(side.ack(1), error_code::protocol_violation, "push 1"); }
  SUBCASE("acknowledged in heads") {
    check_closed(side.heads({}, 9), error_code::protocol_violation, "push 9");
  }
  SUBCASE("claimed in heads") {
    check_closed(side.heads(upto(1, 1)), error_code::already_exists, "identity");
  }
  SUBCASE("claimed in an ack") {
    check_closed(side.ack(0, upto(1, 1)), error_code::already_exists, "identity");
  }
  SUBCASE("a malformed push") {
    check_closed(side.session.receive(sync_push{1, {{"x"}}}), error_code::protocol_violation,
                 "malformed");
  }
  SUBCASE("too many ranges") {
    check_closed(side.session.receive(sync_pull{std::vector<dot_range>(1025)}),
                 error_code::limit_exceeded, "1025");
  }
  SUBCASE("incarnations without end") {
    side.view.committed = {};
    for (std::uint64_t i = 1; i <= 3; ++i) side.session.receive(push_of(i, changes(2, i, i, 10)));
    sync_limits few;
    few.max_incarnations = 5;
    one_side bounded{few};
    bounded.open();
    std::vector<version_entry> entries;
    for (std::uint64_t n = 1; n <= 6; ++n) entries.push_back({node(3), n, 1});
    SUBCASE("in heads") {
      check_closed(bounded.heads(version_vector{entries}), error_code::limit_exceeded,
                   "5 incarnations");
    }
    SUBCASE("in pushes") {
      for (std::uint64_t n = 1; n <= 5; ++n)
        CHECK(
            effects_of<apply_changes>(bounded.session.receive(push_of(n, changes(3, 1, 1, 10, n))))
                .size() == 1);
      check_closed(bounded.session.receive(push_of(6, changes(3, 1, 1, 10, 6))),
                   error_code::limit_exceeded, "5 incarnations");
    }
  }
}

TEST_CASE("different conflict rules are reported, and the session goes on") {
  one_side side;
  side.session.start(0);
  auto hello = side.greeting();
  hello.strategies = 8;
  const auto reports = effects_of<report_mismatch>(side.session.receive(hello));
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].ours == 7);
  CHECK(reports[0].theirs == 8);
  CHECK(side.session.is_open());
}

// -- receiving ------------------------------------------------------------------------------------

TEST_CASE(
    "a push is applied and acknowledged once it is processed, with how far its incarnations have "
    "come") {
  one_side side;
  side.open();
  const auto applies =
      effects_of<apply_changes>(side.session.receive(push_of(1, changes(2, 1, 2))));
  REQUIRE(applies.size() == 1);
  CHECK(applies[0].push == 1);
  CHECK(applies[0].parts.at(0).records.size() == 2);
  side.view.committed = processed_changes{version_vector{{{node(2), 1, 2}, {node(1), 1, 5}}}};
  const auto acks = sent<sync_ack>(side.session.processed(1));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0] == sync_ack{1, upto(2, 2)});
  CHECK(decode<sync_ack>(encode(acks[0])) == acks[0]);
  CHECK(side.session.processed(1).empty());
}

TEST_CASE(
    "what is pushed while too much waits for the disk is dropped, and taken when it is sent "
    "again") {
  one_side side;
  side.open();
  const auto push = [&](std::uint64_t batch) {
    return effects_of<apply_changes>(side.session.receive(push_of(batch, changes(2, 1, 1)))).size();
  };
  SUBCASE("too many pushes") {
    for (std::uint64_t batch = 1; batch <= 1024; ++batch) REQUIRE(push(batch) == 1);
    CHECK(side.session.receive(push_of(1025, changes(2, 1, 1))).empty());
    CHECK(side.session.is_open());
    CHECK(sent<sync_ack>(side.session.processed(1)).size() == 1);
    CHECK(push(1026) == 1);
  }
  SUBCASE("too many changes") {
    side.view.takes_pushes = false;
    CHECK(side.session.receive(push_of(1, changes(2, 1, 1))).empty());
    CHECK(side.session.peer_vector() == version_vector{});
    side.view.takes_pushes = true;
    CHECK(push(2) == 1);
  }
}

TEST_CASE("equal vectors with different roots are reported") {
  one_side side;
  side.view.committed = processed_changes{upto(2, 3)};
  side.view.root = {1, 1};
  side.open(upto(2, 3));
  const auto told = [&](version_vector vector, state_hash root) {
    return effects_of<report_roots>(
               side.session.receive(sync_heads{std::move(vector), root, 0, {node(1)}, {}}))
        .size();
  };
  CHECK(told(upto(2, 3), {1, 1}) == 0);
  CHECK(told(upto(2, 4), {2, 2}) == 0);  // not the same changes
  CHECK(told(upto(2, 3), {}) == 0);      // it has changes that are not committed
  side.view.root = {};
  CHECK(told(upto(2, 3), {2, 2}) == 0);  // this node has
  side.view.root = {1, 1};
  CHECK(told(upto(2, 3), {2, 2}) == 1);
  CHECK(told(upto(2, 3), {2, 2}) == 1);  // whoever looks why knows whether it has
  CHECK(side.session.is_open());
}

TEST_CASE("what the log lacks is not pushed, and who lacks it asks for the whole state") {
  one_side side;
  side.view.committed = processed_changes{upto(2, 9)};
  side.view.log_base = processed_changes{upto(2, 5)};
  side.view.stable = upto(2, 4);
  side.open();
  side.second();
  const auto heads = sent<sync_heads>(side.second());
  REQUIRE(heads.size() == 1);
  CHECK(heads[0].base == upto(2, 5));
  CHECK(heads[0].stable == upto(2, 4));
  CHECK(decode<sync_heads>(encode(heads[0])) == heads[0]);
  CHECK(effects_of<read_log>(side.heads({})).empty());
  CHECK(effects_of<read_log>(side.heads(upto(2, 4))).empty());
  CHECK(effects_of<read_log>(side.heads(upto(2, 5))).size() == 1);

  one_side lacks;
  lacks.open();
  const auto needs = [&](std::uint64_t base) {
    sync_heads theirs{upto(2, 9), {}, 0, {node(1)}, {}};
    theirs.base = upto(2, base);
    lacks.session.receive(theirs);
    lacks.session.receive(theirs);
    return effects_of<need_state>(lacks.second()).size();
  };
  CHECK(needs(5) == 0);  // another one may push it within a second
  CHECK(needs(5) == 1);
  lacks.view.committed = processed_changes{upto(2, 5)};
  CHECK(needs(5) == 0);
  CHECK(needs(6) == 0);
  CHECK(needs(6) == 1);
  CHECK(effects_of<give_state>(lacks.session.receive(sync_range{1, 1, {}})).size() == 1);
  CHECK(effects_of<take_state>(lacks.session.receive(sync_state{1, 1, {}, {}, {}, {}})).size() ==
        1);
}

TEST_CASE("a log that lacks only what has ended says so") {
  auto first = put({node(2), 2, 1}, "/a", 1);
  first.after = {{node(2), 1, 5}};
  processed_changes all{upto(2, 5)};
  all.add(first);
  one_side side;
  side.view.committed = all;
  side.view.log_base = all;
  side.view.log_base.lower({{node(2), 2, 1}});
  REQUIRE(side.view.log_base.vector() == version_vector{});
  side.open();
  const auto heads = sent<sync_heads>(side.second());
  REQUIRE(heads.size() == 1);
  CHECK(heads[0].base == upto(2, 5));
}

TEST_CASE("heads go out every second and say what was processed") {
  one_side side;
  side.open();
  side.session.receive(push_of(1, changes(2, 1, 1)));
  side.view.committed = processed_changes{upto(2, 1)};
  side.view.root = {3, 4};
  side.session.processed(1);
  CHECK(side.session.tick(999).empty());
  const auto heads = sent<sync_heads>(side.session.tick(1000));
  REQUIRE(heads.size() == 1);
  auto expected = sync_heads{upto(2, 1), {3, 4}, 1, {}, {}};
  expected.number = 1;
  CHECK(heads[0] == expected);
  CHECK(decode<sync_heads>(encode(heads[0])) == heads[0]);
  CHECK(side.session.tick(1999).empty());
  CHECK(sent<sync_heads>(side.session.tick(2000)).size() == 1);
}

TEST_CASE("heads tell the peer of which incarnations it need not send more") {
  one_side side;
  side.open();
  side.session.decline({node(5), 1});
  CHECK(sent<sync_heads>(side.second()).at(0).declined ==
        std::vector<incarnation_id>{{node(5), 1}});
}

TEST_CASE("a peer is told of so many declined incarnations at most") {
  one_side side;
  side.open();
  for (std::uint64_t incarnation = 1; incarnation <= 2'000; ++incarnation)
    side.session.decline({node(5), incarnation});
  CHECK(sent<sync_heads>(side.second()).at(0).declined.size() == 1024);
}

TEST_CASE("a push whose changes take far more memory than its bytes ends the session") {
  std::vector<change_record> records;
  for (std::uint64_t seq = 1; seq <= 2000; ++seq)
    records.push_back(put({node(2), 1, seq}, "/" + std::string(1000, 'x'), 1));
  const auto batches = make_batches(records);
  one_side side;
  side.open();
  sync_push push{1, {}};
  for (std::uint64_t i = 0; i < 40; ++i)
    for (const auto& each : batches) push.changes.push_back({each->bytes()});
  check_closed(side.session.receive(push), error_code::protocol_violation, "memory");
  one_side other;
  other.open();
  check_closed(other.session.receive(sync_push{1, {}}), error_code::protocol_violation,
               "must carry changes");
}

TEST_CASE("a change of links is sent at once") {
  one_side side;
  side.open();
  side.view.links = {node(2), node(3)};
  CHECK(sent<sync_heads>(side.session.links_changed()).at(0).links == side.view.links);
}

TEST_CASE("what is missing is asked for as far as the peer has it, once per second") {
  one_side side;
  side.open(upto(2, 10));
  side.view.missing = {{node(2), 1, 3, 4}, {node(2), 1, 8, 12}, {node(6), 1, 1, 1}};
  side.session.receive(push_of(1, changes(2, 5, 5)));
  side.session.receive(push_of(2, changes(2, 6, 6)));
  const auto pulls = sent<sync_pull>(side.session.processed(1));
  REQUIRE(pulls.size() == 1);
  CHECK(pulls[0].ranges == std::vector<dot_range>{{node(2), 1, 3, 4}, {node(2), 1, 8, 10}});
  CHECK(decode<sync_pull>(encode(pulls[0])) == pulls[0]);
  CHECK(sent<sync_pull>(side.session.processed(2)).empty());
  CHECK(sent<sync_pull>(side.session.tick(1000)).size() == 1);
}

TEST_CASE("what nobody gives is asked for ever more seldom") {
  one_side side;
  side.open(upto(2, 10));
  side.view.missing = {{node(2), 1, 3, 4}};
  std::vector<std::uint64_t> asked;
  const auto pass = [&](std::uint64_t from, std::uint64_t to) {
    for (auto second = from; second <= to; ++second)
      if (!sent<sync_pull>(side.session.tick(1000 * second)).empty()) asked.push_back(second);
  };
  pass(1, 70);
  CHECK(asked == std::vector<std::uint64_t>{1, 2, 4, 8, 16, 32, 48, 64});
  asked.clear();
  side.view.missing = {{node(2), 1, 4, 4}};  // a part of it has come
  pass(71, 76);
  CHECK(asked == std::vector<std::uint64_t>{71, 72, 74});
}

TEST_CASE("nothing is asked for while it would be dropped") {
  one_side side;
  side.open(upto(2, 10));
  side.view.missing = {{node(2), 1, 3, 4}};
  side.view.takes_pushes = false;
  CHECK(sent<sync_pull>(side.session.tick(1000)).empty());
  side.view.takes_pushes = true;
  CHECK(sent<sync_pull>(side.session.tick(2000)).size() == 1);
}

TEST_CASE("what has no place in a pull is in the next one") {
  constexpr auto most = sync_session::max_pull_ranges;
  one_side side;
  side.open(upto(2, 3 * most));
  const auto missing = [](std::uint64_t seq) { return dot_range{node(2), 1, 2 * seq, 2 * seq}; };
  for (std::uint64_t i = 1; i <= most + 1; ++i) side.view.missing.push_back(missing(i));
  const auto first = sent<sync_pull>(side.session.tick(1000)).at(0).ranges;
  REQUIRE(first.size() == most);
  CHECK(first.back() == missing(most));
  const auto next = sent<sync_pull>(side.session.tick(2000)).at(0).ranges;
  REQUIRE(next.size() == most);
  CHECK(next[0] == missing(most + 1));
  CHECK(next[1] == missing(1));
}

TEST_CASE("what is missing is asked of its origin where that is connected") {
  one_side side;
  side.view.links = {node(2), node(3)};
  side.open(version_vector{{{node(3), 1, 10}, {node(4), 1, 10}}});
  side.view.missing = {{node(3), 1, 1, 2}, {node(4), 1, 1, 2}};
  CHECK(sent<sync_pull>(side.session.tick(1000)).at(0).ranges ==
        std::vector<dot_range>{{node(4), 1, 1, 2}});
}

TEST_CASE("a pull is answered from the log at once, as far as it is committed") {
  one_side side;
  side.open();
  side.commit(changes(1, 1, 5));
  auto reads = effects_of<read_log>(
      side.session.receive(sync_pull{{{node(1), 1, 1, 3}, {node(8), 1, 1, 1}}}));
  REQUIRE(reads.size() == 1);
  CHECK(incarnation_of(reads[0].wanted.at(0).first) == incarnation_id{node(1), 1});
  CHECK(reads[0].wanted.at(0).first.seq == 1);
  CHECK(pushed(side.session.log_read({changes(1, 1, 5)})) == dots(1, 1, 5));
}
