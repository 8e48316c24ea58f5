// Which connections a node keeps, and what connected nodes announce.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/links/mesh/peer_book.hpp>
#include <troupe/tests/support/fixtures/peer_book_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace troupe::test::peers;

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

TEST_CASE("the end of an unknown connection is no loss of a node") {
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

TEST_CASE("a newer incarnation of a connected node is refused until the connection has ended") {
  auto book = connected_book();
  const auto verdict = book.connected(2, node(2), "bee", 21, "", start);
  CHECK_FALSE(verdict.keep);
  CHECK_FALSE(verdict.close.has_value());
  CHECK(verdict.reason.code == error_code::already_exists);
  CHECK(verdict.reason.message.find("is connected with incarnation 20") != std::string::npos);
  CHECK(book.peers().at(0).incarnation == 20);
  CHECK(book.disconnected(1, refused, 0, start) == node(2));
  // The one that was connected may come back first.
  CHECK_FALSE(book.connected(3, node(2), "bee", 21, "", start + 9s).keep);
  SUBCASE("it does") {
    CHECK(book.connected(4, node(2), "bee", 20, "", start + 9s).keep);
    CHECK_FALSE(book.connected(5, node(2), "bee", 21, "", start + 11s).keep);
  }
  SUBCASE("it does not") {
    CHECK(book.connected(5, node(2), "bee", 21, "", start + 10s).keep);
    CHECK(book.peers().at(0).incarnation == 21);
  }
}

TEST_CASE("a node that was started anew is taken at once when its old connection has ended") {
  auto book = connected_book();
  CHECK(book.disconnected(1, refused, 0, start) == node(2));
  CHECK(book.connected(2, node(2), "bee", 21, "", start).keep);
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
    "an address that was given is kept when it leads to this node itself, and dialed after "
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
