#include <doctest/doctest.h>

#include <troupe/actors/kernel/rate_window.hpp>

using namespace troupe;

TEST_CASE("the first events of each second are treated, all are counted") {
  rate_window window{2};
  CHECK(window.admit());
  CHECK(window.admit());
  CHECK_FALSE(window.admit());
  CHECK_FALSE(window.admit());
  CHECK(window.renew() == 2);
  CHECK(window.admit());
  CHECK(window.renew() == 0);
  CHECK(window.total() == 5);
}

TEST_CASE("events that are not treated in any case take no place") {
  rate_window window{1};
  CHECK_FALSE(window.drop());
  CHECK(window.admit());
  CHECK(window.renew() == 1);
  CHECK(window.total() == 2);
}
