#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>
#include <optional>
#include <set>

#include <troupe/actors/kernel/deadlines/wake_plan.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = wake_plan::time_point;
constexpr time_point start{1000h};

}  // namespace

TEST_SUITE("wake plan") {
  TEST_CASE("the timer of an idle actor is set for exactly the deadline") {
    wake_plan plan;
    CHECK(plan.added(start + 123'456ns) == start + 123'456ns);
  }

  TEST_CASE("a later deadline leaves the timer as it is, a much earlier one moves it") {
    wake_plan plan;
    CHECK(plan.added(start + 5s));
    CHECK_FALSE(plan.added(start + 6s));
    CHECK_FALSE(plan.added(start + 5s - 10ms));
    CHECK(plan.added(start + 5s - 11ms) == start + 5s - 11ms);
    CHECK_FALSE(plan.added(start + 5s));
  }

  TEST_CASE("when it has rung, it is set for what is left") {
    wake_plan plan;
    plan.added(start + 1s);
    CHECK(plan.rang(start + 1s, start + 3s) == start + 3s);
    CHECK_FALSE(plan.rang(start + 3s, std::nullopt));
    CHECK(plan.added(start + 9s) == start + 9s);
  }

  TEST_CASE("it does not ring twice within 10 ms") {
    wake_plan plan;
    plan.added(start);
    CHECK(plan.rang(start, start + 1ms) == start + 10ms);
    CHECK_FALSE(plan.added(start + 2ms));
    CHECK_FALSE(plan.rang(start + 10ms, std::nullopt));
    CHECK(plan.added(start + 11ms) == start + 20ms);
  }

  TEST_CASE("no deadline is noticed early or more than 10 ms late, and no two wakes are closer") {
    CHECK(rc::check("whatever is added and cancelled in between", [] {
      wake_plan plan;
      std::multiset<time_point> open;
      std::optional<time_point> timer, last_wake;
      time_point now = start;
      const auto set = [&](std::optional<time_point> at) {
        if (at) timer = std::max(*at, now);
      };
      const auto ring = [&] {
        now = *timer;
        if (last_wake) RC_ASSERT(now - *last_wake >= 10ms);
        last_wake = now;
        while (!open.empty() && *open.begin() <= now) {
          RC_ASSERT(now - *open.begin() <= 10ms);
          open.erase(open.begin());
        }
        timer = std::nullopt;
        set(plan.rang(now, open.empty() ? std::nullopt : std::optional{*open.begin()}));
      };
      for (auto steps = *rc::gen::inRange(1, 200); steps > 0; --steps) {
        const auto at = now + std::chrono::microseconds{*rc::gen::inRange(0, 30'000)};
        while (timer && *timer <= at) ring();
        now = at;
        if (!open.empty() && *rc::gen::inRange(0, 3) == 0) {
          open.erase(open.begin());
        } else {
          const auto deadline = now + std::chrono::microseconds{*rc::gen::inRange(0, 60'000)};
          open.insert(deadline);
          set(plan.added(deadline));
        }
        RC_ASSERT(open.empty() || timer.has_value());
      }
      while (timer) ring();
      RC_ASSERT(open.empty());
    }));
  }
}
