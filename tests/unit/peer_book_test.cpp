#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <troupe/actors/links/mesh/peer_book.hpp>
#include <troupe/tests/support/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

using addresses = std::vector<std::string>;

constexpr peer_book::time_point start{std::chrono::hours{1}};
const error refused{error_code::unavailable, "refused", {}};

/// All that is due, in the order in which it is to be dialed.
addresses due(peer_book& book, peer_book::time_point now) {
  addresses all;
  while (auto next = book.next_due(now)) all.push_back(*next);
  return all;
}

/// A book that has dialed "b:1" and was answered by node 2 over connection 1.
peer_book connected_book() {
  peer_book book{node(1), 10, "a:1"};
  book.learn("b:1", start);
  REQUIRE(due(book, start) == addresses{"b:1"});
  REQUIRE(book.connected(1, node(2), "bee", 20, "b:1", start).keep);
  return book;
}

}  // namespace

TEST_CASE("an address is dialed as soon as it is learned, and not again while it is dialed") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  book.learn("c:1", start);
  CHECK(due(book, start) == addresses{"b:1", "c:1"});
  CHECK(due(book, start + 1h).empty());
}

TEST_CASE("a node does not dial itself, nor nowhere") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("a:1", start);
  book.learn("", start);
  CHECK(due(book, start).empty());
  CHECK(book.addresses().empty());
}

TEST_CASE("learning an address again changes nothing") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  CHECK(due(book, start).size() == 1);
  book.dial_failed("b:1", refused, 0, start);
  book.learn("b:1", start);
  CHECK(due(book, start).empty());
}

TEST_CASE("addresses are learned up to the bound") {
  peer_book book{node(1), 1, "a:1"};
  for (std::size_t i = 0; i < peer_book::max_addresses + 10; ++i)
    book.learn("host:" + std::to_string(i), start);
  CHECK(book.peers().size() == peer_book::max_addresses);
  CHECK(due(book, start).size() == peer_book::max_addresses);
}

TEST_CASE("an address that is given has a place, also when others have filled the book") {
  peer_book book{node(1), 1, "a:1"};
  for (std::size_t i = 0; i < peer_book::max_addresses; ++i)
    book.learn("host:" + std::to_string(i), start);
  book.give("b:1", start + 1s);
  book.give("host:7", start + 1s);
  CHECK(book.peers().size() == peer_book::max_addresses);
  CHECK(book.next_due(start + 1s) == "host:7");
  CHECK(book.next_due(start + 1s) == "b:1");
}

TEST_CASE(
    "addresses that were given, and those where a node was met, are dialed before those that were "
    "learned") {
  auto book = connected_book();
  for (const auto* each : {"a:5", "c:1", "d:1"}) book.learn(each, start);
  CHECK(book.disconnected(1, refused, 0, start + 1s) == node(2));
  book.give("e:1", start + 2s);
  CHECK(due(book, start + 2s) == addresses{"b:1", "e:1", "a:5", "c:1", "d:1"});
}

TEST_CASE(
    "a learned address where nobody was met is forgotten after some failures, others are not") {
  auto book = connected_book();
  CHECK(book.disconnected(1, refused, 0, start) == node(2));
  book.give("c:1", start);
  book.learn("d:1", start);
  auto now = start;
  for (std::uint32_t i = 1; i <= peer_book::max_failures; ++i) {
    CHECK(book.peers().size() == 3);
    now += 10s;
    for (const auto& each : due(book, now)) book.dial_failed(each, refused, 0, now);
  }
  CHECK(due(book, now + 1h) == addresses{"b:1", "c:1"});
  book.learn("d:1", now);
  CHECK(book.peers().size() == 3);
}

TEST_CASE("hearsay is not passed on") {
  auto book = connected_book();
  book.learn("c:1", start);
  book.give("d:1", start);
  book.learn("e:1", node(5), 1, start);
  CHECK(book.addresses() == addresses{"b:1", "d:1", "e:1"});
}

TEST_CASE("each failure doubles the wait before the next try, up to the longest") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  auto now = start;
  for (const auto wait : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    REQUIRE(due(book, now) == addresses{"b:1"});
    book.dial_failed("b:1", refused, 0, now);
    CHECK(due(book, now + wait - 1ms).empty());
    now += wait;
  }
}

TEST_CASE("jitter lengthens a wait by up to half") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  REQUIRE(due(book, start).size() == 1);
  book.dial_failed("b:1", refused, 1, start);
  CHECK(due(book, start + 149ms).empty());
  CHECK(due(book, start + 150ms).size() == 1);
}

TEST_CASE("a failure at an address that is not known is passed over") {
  peer_book book{node(1), 1, "a:1"};
  book.dial_failed("b:1", refused, 0, start);
  CHECK(book.addresses().empty());
}

TEST_CASE("a connected node is not dialed, and is shown") {
  auto book = connected_book();
  CHECK(due(book, start + 1h).empty());
  REQUIRE(book.peers().size() == 1);
  CHECK(book.peers()[0] == peer_info{"b:1", true, node(2), "bee", 20, ""});
  CHECK(book.addresses() == addresses{"b:1"});
}

TEST_CASE("a node that dialed this one is shown without an address") {
  peer_book book{node(1), 1, "a:1"};
  CHECK(book.connected(1, node(2), "bee", 20, "", start).keep);
  REQUIRE(book.peers().size() == 1);
  CHECK(book.peers()[0] == peer_info{"", true, node(2), "bee", 20, ""});
}

TEST_CASE("an address that cannot be reached is shown with the reason") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  REQUIRE(due(book, start).size() == 1);
  book.dial_failed("b:1", refused, 0, start);
  CHECK(book.peers().at(0) == peer_info{"b:1", false, {}, "", 0, "refused"});
}

TEST_CASE("a connection that is lost is dialed again, with the first wait") {
  auto book = connected_book();
  CHECK(book.disconnected(1, refused, 0, start) == node(2));
  CHECK_FALSE(book.peers().at(0).connected);
  CHECK(due(book, start + 99ms).empty());
  CHECK(due(book, start + 100ms) == addresses{"b:1"});
}

TEST_CASE("a connection that lasts forgets the failures before it, a short one does not") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  for (int i = 0; i < 3; ++i) book.dial_failed("b:1", refused, 0, start);
  auto now = start + 1s;
  REQUIRE(due(book, now) == addresses{"b:1"});
  REQUIRE(book.connected(1, node(2), "bee", 20, "b:1", now).keep);
  now += peer_book::success_after - 1ms;
  CHECK(book.disconnected(1, refused, 0, now).has_value());
  CHECK(due(book, now + 799ms).empty());
  now += 800ms;
  REQUIRE(due(book, now) == addresses{"b:1"});
  REQUIRE(book.connected(2, node(2), "bee", 20, "b:1", now).keep);
  now += peer_book::success_after;
  CHECK(book.disconnected(2, refused, 0, now).has_value());
  CHECK(due(book, now + 99ms).empty());
  CHECK(due(book, now + 100ms) == addresses{"b:1"});
}

TEST_CASE("an address whose node closes each connection at once is dialed less and less often") {
  peer_book book{node(1), 1, "a:1"};
  book.give("b:1", start);
  auto now = start;
  peer_book::connection link = 0;
  for (const auto wait : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
    REQUIRE(due(book, now) == addresses{"b:1"});
    REQUIRE(book.connected(++link, node(2), "bee", 20, "b:1", now).keep);
    CHECK(book.disconnected(link, refused, 1, now) == node(2));
    CHECK(due(book, now + wait * 3 / 2 - 1ms).empty());
    now += wait * 3 / 2;
  }
  CHECK(book.peers().at(0).problem == "refused");
}

TEST_CASE("of why there is no connection so much is kept as people read, in whole characters") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  std::string endless = "x";
  for (int i = 0; i < 100'000; ++i) endless += "é";
  book.dial_failed("b:1", {error_code::unavailable, endless, {}}, 0, start);
  CHECK(book.peers().at(0).problem == endless.substr(0, 511));
}

TEST_CASE("the end of a connection that nobody has is no loss of a node") {
  auto book = connected_book();
  CHECK_FALSE(book.disconnected(99, refused, 0, start).has_value());
  CHECK(book.peers().at(0).connected);
}

TEST_CASE(
    "of two connections that nodes open to each other both keep the one that the smaller id "
    "dialed") {
  constexpr peer_book::connection by_small = 1, by_large = 2;
  const auto small = node(1), large = node(2);
  for (const bool small_sees_own_first : {true, false}) {
    for (const bool large_sees_own_first : {true, false}) {
      CAPTURE(small_sees_own_first);
      CAPTURE(large_sees_own_first);
      /// What stays open at one side after both connections were seen there.
      const auto kept = [](node_id self, node_id other, peer_book::connection own,
                           peer_book::connection theirs, bool own_first) {
        peer_book book{self, 1, "self:1"};
        book.learn("other:1", start);
        REQUIRE(due(book, start).size() == 1);
        std::vector<peer_book::connection> open;
        const auto see = [&](peer_book::connection link) {
          const auto verdict =
              book.connected(link, other, "other", 1, link == own ? "other:1" : "", start);
          if (verdict.close) {
            std::erase(open, *verdict.close);
            CHECK_FALSE(book.disconnected(*verdict.close, verdict.reason, 0, start).has_value());
          }
          if (verdict.keep) open.push_back(link);
          if (!verdict.keep || verdict.close)
            CHECK(verdict.reason.code == error_code::already_exists);
        };
        see(own_first ? own : theirs);
        see(own_first ? theirs : own);
        CHECK(due(book, start + 1h).empty());
        return open;
      };
      CHECK(kept(small, large, by_small, by_large, small_sees_own_first) == std::vector{by_small});
      CHECK(kept(large, small, by_large, by_small, large_sees_own_first) == std::vector{by_small});
    }
  }
}

TEST_CASE("a newer connection in the same direction replaces the older one") {
  auto book = connected_book();
  book.learn("b:2", start);
  REQUIRE(due(book, start) == addresses{"b:2"});
  const auto verdict = book.connected(2, node(2), "bee", 20, "b:2", start);
  CHECK(verdict.keep);
  CHECK(verdict.close == 1u);
  CHECK(verdict.reason.message == "replaced by a newer connection of the same node");
  CHECK_FALSE(book.disconnected(1, refused, 0, start).has_value());
  CHECK(due(book, start + 1h).empty());
  CHECK(book.disconnected(2, refused, 0, start) == node(2));
}

TEST_CASE("a node that was started anew replaces its old connection, whoever dialed") {
  auto book = connected_book();
  const auto verdict = book.connected(2, node(2), "bee", 21, "", start);
  CHECK(verdict.keep);
  CHECK(verdict.close == 1u);
  CHECK(book.peers().at(0).incarnation == 21);
}

TEST_CASE("an older incarnation of a connected node is refused as a copy") {
  auto book = connected_book();
  const auto verdict = book.connected(2, node(2), "bee", 19, "", start);
  CHECK_FALSE(verdict.keep);
  CHECK_FALSE(verdict.close.has_value());
  CHECK(verdict.reason.code == error_code::already_exists);
  CHECK(verdict.reason.message ==
        "node " + to_string(node(2)) +
            " is connected with the newer incarnation 20; its data directory may have been copied");
  CHECK(book.peers().at(0).incarnation == 20);
}

TEST_CASE("a node that dialed itself forgets that address") {
  peer_book book{node(1), 10, "a:1"};
  book.learn("localhost:1", start);
  REQUIRE(due(book, start).size() == 1);
  const auto verdict = book.connected(1, node(1), "me", 10, "localhost:1", start);
  CHECK_FALSE(verdict.keep);
  CHECK(verdict.reason.message == "this is the node itself");
  CHECK(book.addresses().empty());
  CHECK(due(book, start + 1h).empty());
  CHECK_FALSE(book.connected(2, node(1), "me", 10, "", start).keep);
}

TEST_CASE(
    "an address that was given is kept when somebody there says to be this node, and dialed after "
    "the longest wait") {
  peer_book book{node(1), 10, "a:1"};
  book.give("b:1", start);
  REQUIRE(due(book, start).size() == 1);
  CHECK_FALSE(book.connected(1, node(1), "me", 10, "b:1", start).keep);
  CHECK(book.peers().at(0).problem == "this is the node itself");
  CHECK(due(book, start + peer_book::last_retry - 1ms).empty());
  CHECK(due(book, start + peer_book::last_retry) == addresses{"b:1"});
}

TEST_CASE(
    "another node with the id of this one is refused, and dialed again only after the longest "
    "wait") {
  peer_book book{node(1), 10, "a:1"};
  book.learn("b:1", start);
  REQUIRE(due(book, start).size() == 1);
  const auto verdict = book.connected(1, node(1), "copy", 11, "b:1", start);
  CHECK_FALSE(verdict.keep);
  CHECK(verdict.reason.code == error_code::already_exists);
  CHECK(verdict.reason.message ==
        "another node runs with the id of this one, " + to_string(node(1)) +
            "; its data directory was copied: give the copy a data directory of its own");
  CHECK(book.peers().at(0).problem == verdict.reason.message);
  CHECK(due(book, start + peer_book::last_retry - 1ms).empty());
  CHECK(due(book, start + peer_book::last_retry) == addresses{"b:1"});
}

TEST_CASE("two addresses of one node are shown with the node while it is connected") {
  auto book = connected_book();
  book.learn("b:2", start);
  REQUIRE(due(book, start).size() == 1);
  REQUIRE(book.connected(2, node(2), "bee", 20, "b:2", start).keep);
  const auto peers = book.peers();
  REQUIRE(peers.size() == 2);
  CHECK(peers[0].connected);
  CHECK(peers[1].connected);
}

TEST_CASE("the address of a node that dialed this one is dialed when that node is gone") {
  peer_book book{node(2), 1, "b:1"};
  book.learn("a:1", start);
  REQUIRE(due(book, start).size() == 1);
  REQUIRE(book.connected(1, node(1), "a", 1, "", start).keep);
  REQUIRE_FALSE(book.connected(2, node(1), "a", 1, "a:1", start).keep);
  CHECK(due(book, start + 1h).empty());
  CHECK(book.disconnected(1, refused, 0, start + 1h) == node(1));
  CHECK(due(book, start + 1h + peer_book::first_retry) == addresses{"a:1"});
}

TEST_CASE("the wait for the address of a node that is gone has its jitter") {
  peer_book book{node(2), 1, "b:1"};
  REQUIRE(book.connected(1, node(1), "a", 1, "", start).keep);
  book.learn("a:1", node(1), 1, start);
  CHECK(book.disconnected(1, refused, 1, start + 1h) == node(1));
  CHECK(due(book, start + 1h + 149ms).empty());
  CHECK(due(book, start + 1h + 150ms) == addresses{"a:1"});
}

// -- what a connected node announces --------------------------------------------------------------

TEST_CASE(
    "the address that a connected node announces is not dialed while it is connected, also when it "
    "was heard of before") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  REQUIRE(book.connected(1, node(2), "bee", 20, "", start).keep);
  book.learn("b:1", node(2), 20, start);
  CHECK(due(book, start + 1h).empty());
  CHECK(book.peers().at(0).address == "b:1");
  CHECK(book.peers().at(0).connected);
  CHECK(book.disconnected(1, refused, 0, start + 1h) == node(2));
  CHECK(due(book, start + 2h) == addresses{"b:1"});
}

TEST_CASE(
    "a node that was started anew is dialed where it was met, unless it announces that it is "
    "there") {
  for (const bool announces : {false, true}) {
    auto book = connected_book();
    CHECK(book.disconnected(1, refused, 0, start) == node(2));
    REQUIRE(book.connected(2, node(2), "bee", 21, "", start).keep);
    if (announces) book.learn("b:1", node(2), 21, start);
    CHECK(due(book, start + 1s).empty() == announces);
  }
}

TEST_CASE(
    "what a node announces of an address changes nothing of one that was given or where another "
    "was met") {
  auto book = connected_book();
  book.give("c:1", start);
  CHECK(book.disconnected(1, refused, 0, start) == node(2));
  REQUIRE(book.connected(3, node(9), "liar", 1, "", start).keep);
  book.learn("b:1", node(9), 1, start);
  book.learn("c:1", node(9), 1, start);
  CHECK(due(book, start + 1s) == addresses{"c:1", "b:1"});
}
