#include <doctest/doctest.h>

#include <memory>
#include <string>

#include <troupe/actors/kernel/fair_queue.hpp>

using troupe::fair_queue;

namespace {

/// All that waits, in the order in which it is taken.
std::string all_of(fair_queue<int, std::string>& queue) {
  std::string all;
  while (const auto next = queue.take()) all += next->second + " ";
  return all;
}

}  // namespace

TEST_CASE("senders take turns, and each keeps its order") {
  fair_queue<int, std::string> queue{100};
  CHECK(queue.empty());
  CHECK_FALSE(queue.take());
  for (const auto* each : {"a1", "a2", "a3"}) CHECK(queue.put(1, each, 1));
  CHECK(queue.put(2, "b1", 1));
  CHECK_FALSE(queue.empty());
  CHECK(queue.take()->second == "a1");
  CHECK(queue.put(3, "c1", 1));
  CHECK(queue.put(2, "b2", 1));
  CHECK(all_of(queue) == "b1 a2 c1 b2 a3 ");
  CHECK(queue.empty());
  CHECK(queue.put(1, "a4", 1));
  CHECK(all_of(queue) == "a4 ");
}

TEST_CASE("a sender has room up to a weight, and what others send does not count") {
  fair_queue<int, std::string> queue{10};
  CHECK(queue.put(1, "a1", 6));
  CHECK_FALSE(queue.put(1, "too much", 5));
  CHECK(queue.put(1, "a2", 4));
  CHECK_FALSE(queue.put(1, "too much", 1));
  CHECK(queue.put(2, "heavy", 1000));
  CHECK_FALSE(queue.put(2, "too much", 1));
  CHECK(queue.put(2, "weightless", 0));
  CHECK(queue.take()->second == "a1");
  CHECK(queue.put(1, "a3", 6));
  CHECK(all_of(queue) == "heavy a2 weightless a3 ");
}

TEST_CASE("what cannot be copied can wait") {
  fair_queue<int, std::unique_ptr<int>> queue{1};
  CHECK(queue.put(1, std::make_unique<int>(7), 1));
  CHECK(*queue.take()->second == 7);
}
