#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <vector>

#include <troupe/actors/kernel/supervision/restart_window.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = restart_window::time_point;
constexpr time_point start{1000h};

}  // namespace

TEST_SUITE("restart window") {
  TEST_CASE("as many restarts as the intensity are admitted within a period") {
    restart_window window{2, 10s};
    CHECK(window.admit(start));
    CHECK(window.admit(start + 5s));
    CHECK_FALSE(window.admit(start + 10s));
    CHECK(window.count() == 2);
  }

  TEST_CASE("restarts that are older than the period are forgotten") {
    restart_window window{2, 10s};
    CHECK(window.admit(start));
    CHECK(window.admit(start + 5s));
    CHECK(window.admit(start + 10s + 1ms));
    CHECK_FALSE(window.admit(start + 15s));
    CHECK(window.admit(start + 15s + 1ms));
  }

  TEST_CASE("a restart that is refused does not count") {
    restart_window window{1, 10s};
    CHECK(window.admit(start));
    for (int i = 1; i <= 10; ++i) CHECK_FALSE(window.admit(start + i * 1s));
    CHECK(window.admit(start + 11s));
  }

  TEST_CASE("an intensity of zero admits none") {
    CHECK_FALSE(restart_window(0, 10s).admit(start));
  }

  TEST_CASE("after clear the window is empty") {
    restart_window window{1, 10s};
    CHECK(window.admit(start));
    window.clear();
    CHECK(window.count() == 0);
    CHECK(window.admit(start));
  }

  TEST_CASE("no period sees more restarts than the intensity, and none is refused without need") {
    CHECK(rc::check("whatever the times of the restarts are", [] {
      const auto intensity = *rc::gen::inRange<std::size_t>(0, 6);
      restart_window window{intensity, 1s};
      std::vector<time_point> admitted;
      time_point now = start;
      for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 600))) {
        now += std::chrono::milliseconds{step};
        std::size_t recent = 0;
        for (const auto each : admitted) recent += now - each <= 1s;
        RC_ASSERT(window.admit(now) == (recent < intensity));
        if (recent < intensity) admitted.push_back(now);
      }
    }));
  }
}
