#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <vector>

#include <troupe/actors/plugins/life/restart_policy.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = restart_policy::time_point;
constexpr double no_jitter = 0.0;

restart_spec three_in_30s(restart_mode mode = restart_mode::permanent) { return {mode, 3, 30s}; }
restart_decision restart_after(std::chrono::milliseconds delay) {
  return {restart_action::restart, delay};
}
const restart_decision leave{restart_action::leave, 0ms};
const restart_decision quarantine{restart_action::quarantine, 0ms};

}  // namespace

TEST_SUITE("restart policy") {
  TEST_CASE("a permanent plugin is restarted whatever its end was") {
    restart_policy policy{three_in_30s()};
    CHECK(policy.on_exit(exit_reason::normal, time_point{}, no_jitter) == restart_after(100ms));
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{} + 1s, no_jitter) ==
          restart_after(200ms));
  }

  TEST_CASE("a transient plugin is restarted after an abnormal end only") {
    restart_policy policy{three_in_30s(restart_mode::transient)};
    CHECK(policy.on_exit(exit_reason::normal, time_point{}, no_jitter) == leave);
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, no_jitter) == restart_after(100ms));
  }

  TEST_CASE("a temporary plugin is never restarted") {
    restart_policy policy{three_in_30s(restart_mode::temporary)};
    CHECK(policy.on_exit(exit_reason::normal, time_point{}, no_jitter) == leave);
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, no_jitter) == leave);
    CHECK_FALSE(policy.quarantined());
  }

  TEST_CASE(
      "too many restarts within the period lead to quarantine, from which only clear leads out") {
    restart_policy policy{three_in_30s()};
    for (int i = 0; i < 3; ++i)
      CHECK(policy.on_exit(exit_reason::abnormal, time_point{} + i * 10s, no_jitter).action ==
            restart_action::restart);
    CHECK(policy.recent_restarts() == 3);
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{} + 30s, no_jitter) == quarantine);
    CHECK(policy.quarantined());
    CHECK(policy.on_exit(exit_reason::normal, time_point{} + 24h, no_jitter) == quarantine);
    policy.clear();
    CHECK_FALSE(policy.quarantined());
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{} + 25h, no_jitter) ==
          restart_after(100ms));
  }

  TEST_CASE("restarts older than the period are forgotten, and the delay with them") {
    restart_policy policy{three_in_30s()};
    for (int i = 0; i < 20; ++i)
      CHECK(policy.on_exit(exit_reason::abnormal, time_point{} + i * 31s, no_jitter) ==
            restart_after(100ms));
    CHECK(policy.recent_restarts() == 1);
  }

  TEST_CASE("restarts in a row wait longer and longer, however short the period is") {
    restart_policy policy{{restart_mode::permanent, 100, 1s}};
    time_point now{};
    for (const auto expected :
         {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10'000ms, 10'000ms}) {
      CHECK(policy.on_exit(exit_reason::abnormal, now, no_jitter) == restart_after(expected));
      now += expected + 29s;
    }
    // A run that was long enough begins a new row.
    CHECK(policy.on_exit(exit_reason::abnormal, now + 2s, no_jitter) == restart_after(100ms));
  }

  TEST_CASE("an intensity of zero allows no restart") {
    restart_policy policy{{restart_mode::permanent, 0, 30s}};
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, no_jitter) == quarantine);
  }

  TEST_CASE("delays double up to the longest one") {
    restart_policy policy{{restart_mode::permanent, 1000, 1h}, {.first = 100ms, .longest = 1s}};
    for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms})
      CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, no_jitter) ==
            restart_after(expected));
    for (int i = 0; i < 200; ++i)
      CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, no_jitter) ==
            restart_after(1000ms));
  }

  TEST_CASE("jitter takes away up to half of a delay") {
    restart_policy policy{three_in_30s()};
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, 0.5) == restart_after(75ms));
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, 7.0) == restart_after(100ms));
    CHECK(policy.on_exit(exit_reason::abnormal, time_point{}, -1.0) == restart_after(400ms));
  }

  TEST_CASE("no period ever sees more restarts than the intensity") {
    CHECK(rc::check("whatever the times of the exits are", [] {
      const auto intensity = *rc::gen::inRange<std::uint32_t>(0, 6);
      const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 2000));
      restart_policy policy{{restart_mode::permanent, intensity, 1s}};
      std::vector<time_point> restarts;
      time_point now{};
      for (const int step : steps) {
        now += std::chrono::milliseconds{step};
        if (policy.on_exit(exit_reason::abnormal, now, 0.3).action != restart_action::restart)
          break;
        restarts.push_back(now);
      }
      for (std::size_t i = intensity; i < restarts.size(); ++i)
        RC_ASSERT(restarts[i] - restarts[i - intensity] > 1s);
    }));
  }
}
