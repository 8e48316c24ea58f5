#include <doctest/doctest.h>

#include <memory>

#include <troupe/actors/links/read_window.hpp>

using namespace troupe;

TEST_CASE(
    "as many reads as the window allows are handed on, and the others in their order as those are "
    "answered") {
  read_window<int> window{2};
  CHECK(window.enter(1) == 1);
  CHECK(window.enter(2) == 2);
  CHECK_FALSE(window.enter(3));
  CHECK_FALSE(window.enter(4));
  CHECK(window.leave() == 3);
  CHECK(window.leave() == 4);
  CHECK_FALSE(window.leave());
  CHECK(window.enter(5) == 5);
  CHECK_FALSE(window.enter(6));
  CHECK(window.leave() == 6);
  CHECK_FALSE(window.leave());
  CHECK_FALSE(window.leave());
  CHECK(window.enter(7) == 7);
}

TEST_CASE("reads are moved, never copied") {
  read_window<std::unique_ptr<int>> window{1};
  CHECK(window.enter(std::make_unique<int>(1)));
  CHECK_FALSE(window.enter(std::make_unique<int>(2)));
  CHECK(**window.leave() == 2);
}
