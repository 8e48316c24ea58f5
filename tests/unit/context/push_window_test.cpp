#include <doctest/doctest.h>

#include <troupe/actors/context/sync/push_window.hpp>

using namespace troupe;

TEST_CASE("a window has room until its bytes or its pushes are used up, and for one push always") {
  push_window by_bytes{100, 10};
  CHECK(by_bytes.has_room());
  CHECK(by_bytes.add(1'000) == 1);
  CHECK_FALSE(by_bytes.has_room());
  CHECK(by_bytes.acknowledge(1));
  CHECK(by_bytes.has_room());
  push_window by_pushes{100, 2};
  by_pushes.add(1);
  CHECK(by_pushes.has_room());
  by_pushes.add(1);
  CHECK_FALSE(by_pushes.has_room());
}

TEST_CASE("an acknowledgement covers all pushes before it, and an older one changes nothing") {
  push_window window{100, 10};
  for (int i = 0; i < 3; ++i) window.add(10);
  CHECK(window.oldest() == 1);
  CHECK(window.acknowledge(2));
  CHECK(window.oldest() == 3);
  CHECK(window.bytes() == 10);
  CHECK(window.acknowledge(1));
  CHECK(window.acknowledged() == 2);
  CHECK(window.acknowledge(3));
  CHECK(window.empty());
}

TEST_CASE("a push that was never made cannot be acknowledged") {
  push_window window{100, 10};
  CHECK(window.acknowledge(0));
  CHECK_FALSE(window.acknowledge(1));
  window.add(10);
  CHECK_FALSE(window.acknowledge(2));
  CHECK(window.bytes() == 10);
}

TEST_CASE("presumed lost pushes make room and keep their numbers") {
  push_window window{10, 1};
  window.add(10);
  window.presume_lost();
  CHECK(window.empty());
  CHECK(window.bytes() == 0);
  CHECK(window.add(10) == 2);
  CHECK(window.acknowledge(1));
  CHECK_FALSE(window.empty());
}
