#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include <troupe/actors/links/mesh/peer_book.hpp>
#include <troupe/tests/support/context_fixture.hpp>

namespace troupe::test::peers {

using namespace std::chrono_literals;

using addresses = std::vector<std::string>;

inline constexpr peer_book::time_point start{std::chrono::hours{1}};
inline const error refused{error_code::unavailable, "refused", {}};

/// All that is due, in the order in which it is to be dialed.
inline addresses due(peer_book& book, peer_book::time_point now) {
  addresses all;
  while (auto next = book.next_due(now)) all.push_back(*next);
  return all;
}

/// A book that has dialed "b:1" and was answered by node 2 over connection 1.
inline peer_book connected_book() {
  peer_book book{node(1), 10, "a:1"};
  book.learn("b:1", start);
  REQUIRE(due(book, start) == addresses{"b:1"});
  REQUIRE(book.connected(1, node(2), "bee", 20, "b:1", start).keep);
  return book;
}

}  // namespace troupe::test::peers
