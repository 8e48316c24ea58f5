#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <troupe/actors/kernel/supervision/stop_shares.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = stop_shares::time_point;
constexpr time_point start{1000h};

}  // namespace

TEST_SUITE("stop shares") {
  TEST_CASE("a step may take half of the time that is left") {
    const stop_shares shares{start + 10s};
    CHECK(shares.share(start, 1h) == 5s);
    CHECK(shares.share(start + 6s, 1h) == 2s);
  }

  TEST_CASE("a step may take no more than its child's own bound") {
    CHECK(stop_shares{start + 10s}.share(start, 1s) == 1s);
  }

  TEST_CASE("a step may take 20 ms when no time is left") {
    const stop_shares shares{start + 10s};
    CHECK(shares.share(start + 9'970ms, 1h) == 20ms);
    CHECK(shares.share(start + 10s, 1h) == 20ms);
    CHECK(shares.share(start + 11s, 1h) == 20ms);
    CHECK(shares.share(start, 0s) == 20ms);
  }

  TEST_CASE("a child gets a quarter less, at most 250 ms, in whole milliseconds") {
    CHECK(stop_shares::announced(100ms) == 75ms);
    CHECK(stop_shares::announced(20ms) == 15ms);
    CHECK(stop_shares::announced(1s) == 750ms);
    CHECK(stop_shares::announced(10s) == 9'750ms);
    CHECK(stop_shares::announced(1'999'999ns) == 1ms);
  }

  TEST_CASE("steps that all block end at the deadline, and 20 ms later for each without a share") {
    CHECK(rc::check("however many they are and whatever they may take", [] {
      const auto deadline = start + std::chrono::milliseconds{*rc::gen::inRange(0, 60'000)};
      const stop_shares shares{deadline};
      const auto bounds = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 60'000));
      auto now = start;
      auto allowed = deadline;
      for (const int bound : bounds) {
        const auto share = shares.share(now, std::chrono::milliseconds{bound});
        RC_ASSERT(share >= 20ms);
        RC_ASSERT(stop_shares::announced(share) > 0ms);
        RC_ASSERT(stop_shares::announced(share) < share);
        if (share == 20ms) allowed += 20ms;
        now += share;
        RC_ASSERT(now <= allowed);
      }
    }));
  }
}
