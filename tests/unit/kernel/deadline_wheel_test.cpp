#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include <troupe/actors/kernel/deadlines/deadline_wheel.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = deadline_wheel<int>::time_point;
using numbers = std::vector<int>;

constexpr time_point start{1000h};

}  // namespace

TEST_SUITE("deadline wheel") {
  TEST_CASE("a deadline expires at its time, and neither before nor again") {
    deadline_wheel<int> wheel;
    wheel.add(start + 5ms, 1);
    CHECK(wheel.expire(start + 5ms - 1ns).empty());
    CHECK(wheel.expire(start + 5ms) == numbers{1});
    CHECK(wheel.expire(start + 24h).empty());
    CHECK(wheel.size() == 0);
  }

  TEST_CASE("deadlines expire in their order, equal ones in the order in which they were added") {
    deadline_wheel<int> wheel;
    wheel.add(start + 3ms, 3);
    wheel.add(start + 1ms, 1);
    wheel.add(start + 3ms, 4);
    wheel.add(start + 2ms, 2);
    wheel.add(start + 1h, 5);
    CHECK(wheel.expire(start + 3ms) == numbers{1, 2, 3, 4});
    CHECK(wheel.size() == 1);
  }

  TEST_CASE("a deadline that has passed when it is added expires with the next look") {
    deadline_wheel<int> wheel;
    CHECK(wheel.expire(start).empty());
    wheel.add(start - 1h, 1);
    wheel.add(time_point{}, 0);
    CHECK(wheel.next() == time_point{});
    CHECK(wheel.expire(start) == numbers{0, 1});
  }

  TEST_CASE("a cancelled deadline does not expire, and is cancelled once") {
    deadline_wheel<int> wheel;
    const auto first = wheel.add(start + 1ms, 1);
    const auto second = wheel.add(start + 1ms, 2);
    CHECK(wheel.cancel(first));
    CHECK_FALSE(wheel.cancel(first));
    CHECK(wheel.expire(start + 1ms) == numbers{2});
    CHECK_FALSE(wheel.cancel(second));
    CHECK_FALSE(wheel.cancel({}));
  }

  TEST_CASE("a token of the past names no deadline that was added later") {
    deadline_wheel<int> wheel;
    const auto old = wheel.add(start, 1);
    CHECK(wheel.cancel(old));
    wheel.add(start, 2);
    CHECK_FALSE(wheel.cancel(old));
    CHECK(wheel.expire(start) == numbers{2});
  }

  TEST_CASE("the next deadline is the earliest of those that are open") {
    deadline_wheel<int> wheel;
    CHECK_FALSE(wheel.next());
    wheel.add(start + 7h, 1);
    const auto early = wheel.add(start + 3s, 2);
    wheel.add(start + 4s, 3);
    CHECK(wheel.next() == start + 3s);
    wheel.cancel(early);
    CHECK(wheel.next() == start + 4s);
    CHECK(wheel.expire(start + 5s) == numbers{3});
    CHECK(wheel.next() == start + 7h);
  }

  TEST_CASE("the furthest time that the clock has can be a deadline") {
    deadline_wheel<int> wheel;
    wheel.add(time_point::max(), 1);
    CHECK(wheel.expire(start).empty());
    CHECK(wheel.next() == time_point::max());
    CHECK(wheel.expire(time_point::max()) == numbers{1});
  }

  TEST_CASE("what a deadline stands for is moved, and released with it") {
    deadline_wheel<std::shared_ptr<int>> wheel;
    const auto kept = std::make_shared<int>(7);
    const auto token = wheel.add(start, kept);
    wheel.add(start, kept);
    CHECK(kept.use_count() == 3);
    wheel.cancel(token);
    CHECK(kept.use_count() == 2);
    CHECK(wheel.expire(start).front() == kept);
    CHECK(kept.use_count() == 1);
  }

  TEST_CASE("tokens stay valid when many deadlines have come and gone") {
    deadline_wheel<int> wheel;
    std::vector<deadline_token> tokens;
    for (int i = 0; i < 5000; ++i) tokens.push_back(wheel.add(start + i * 1ms, i));
    for (const auto token : tokens) CHECK(wheel.cancel(token));
    const auto late = wheel.add(start, 1);
    for (const auto token : tokens) CHECK_FALSE(wheel.cancel(token));
    CHECK(wheel.cancel(late));
  }

  TEST_CASE("it does what a sorted map does") {
    CHECK(rc::check("whatever is added and cancelled, and whenever it is looked at", [] {
      deadline_wheel<int> wheel;
      std::multimap<time_point, int> sorted;
      struct added {
        deadline_token token;
        std::multimap<time_point, int>::iterator entry;
        bool open = true;
      };
      std::vector<added> all;
      time_point now{std::chrono::nanoseconds{*rc::gen::inRange<std::int64_t>(0, 1ll << 50)}};
      // Distances of every size, so that all levels are used.
      const auto distance = [] {
        return std::chrono::nanoseconds{*rc::gen::inRange<std::int64_t>(0, 1000)
                                        << *rc::gen::inRange(0, 38)};
      };
      const auto steps = *rc::gen::inRange(1, 200);
      for (int i = 0; i < steps; ++i) {
        switch (*rc::gen::inRange(0, 4)) {
          case 0:
          case 1: {
            const auto deadline = now + distance();
            all.push_back({wheel.add(deadline, i), sorted.emplace(deadline, i)});
            break;
          }
          case 2: {
            if (all.empty()) break;
            auto& chosen = all[*rc::gen::inRange<std::size_t>(0, all.size())];
            RC_ASSERT(wheel.cancel(chosen.token) == chosen.open);
            if (std::exchange(chosen.open, false)) sorted.erase(chosen.entry);
            break;
          }
          case 3: {
            now += distance();
            numbers due;
            while (!sorted.empty() && sorted.begin()->first <= now) {
              for (auto& each : all)
                if (each.open && each.entry == sorted.begin()) each.open = false;
              due.push_back(sorted.begin()->second);
              sorted.erase(sorted.begin());
            }
            RC_ASSERT(wheel.expire(now) == due);
          }
        }
        RC_ASSERT(wheel.size() == sorted.size());
        const auto next = wheel.next();
        RC_ASSERT(next.has_value() == !sorted.empty());
        if (next) RC_ASSERT(*next == sorted.begin()->first);
      }
    }));
  }
}
