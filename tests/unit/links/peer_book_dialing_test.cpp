// Which addresses a node dials, and when it dials them again.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <troupe/actors/links/mesh/peer_book.hpp>
#include <troupe/tests/support/fixtures/peer_book_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace troupe::test::peers;

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
    "a learned address that never led to a node is forgotten after some failures, others are not") {
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

TEST_CASE("a long reason why there is no connection is cut between characters") {
  peer_book book{node(1), 1, "a:1"};
  book.learn("b:1", start);
  std::string endless = "x";
  for (int i = 0; i < 100'000; ++i) endless += "é";
  book.dial_failed("b:1", {error_code::unavailable, endless, {}}, 0, start);
  CHECK(book.peers().at(0).problem == endless.substr(0, 511));
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
