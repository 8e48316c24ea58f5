#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <troupe/actors/context/state/clock.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using test::noon;

TEST_CASE("a clock follows wall time when that moves on") {
  hybrid_clock clock;
  CHECK(clock.tick(noon) == timestamp::from_parts(noon, 0));
  CHECK(clock.tick(noon + 5) == timestamp::from_parts(noon + 5, 0));
}

TEST_CASE("a clock counts on when wall time stands still or jumps back") {
  hybrid_clock clock;
  clock.tick(noon);
  CHECK(clock.tick(noon) == timestamp::from_parts(noon, 1));
  CHECK(clock.tick(noon - 3'600'000) == timestamp::from_parts(noon, 2));
}

TEST_CASE("a full counter carries into the milliseconds") {
  hybrid_clock clock;
  clock.raise_floor(timestamp::from_parts(noon, 0xffff));
  CHECK(clock.tick(noon) == timestamp::from_parts(noon + 1, 0));
}

TEST_CASE("a tick is later than what was observed within the accepted skew") {
  hybrid_clock clock;
  const auto seen = timestamp::from_parts(noon + hybrid_clock::max_skew_ms, 7);
  clock.observe(seen, noon);
  CHECK(clock.tick(noon) > seen);
}

TEST_CASE("a timestamp beyond the accepted skew does not move the clock") {
  hybrid_clock clock;
  clock.tick(noon);
  const auto before = clock.last();
  clock.observe(timestamp::from_parts(noon + hybrid_clock::max_skew_ms + 1, 0), noon);
  CHECK(clock.last() == before);
}

TEST_CASE("an own timestamp of an earlier incarnation is a floor however far ahead it is") {
  hybrid_clock clock;
  const auto given = timestamp::from_parts(noon + 86'400'000, 3);
  clock.raise_floor(given);
  CHECK(clock.tick(noon) > given);
  clock.raise_floor(timestamp::from_parts(noon, 0));
  CHECK(clock.last() > given);
}

TEST_CASE("a clock never runs backwards whatever wall time and other nodes say") {
  CHECK(rc::check([] {
    hybrid_clock clock;
    timestamp last;
    const auto steps = *rc::gen::container<std::vector<std::pair<bool, std::uint32_t>>>(
        rc::gen::pair(rc::gen::arbitrary<bool>(), rc::gen::inRange<std::uint32_t>(0, 10'000)));
    for (const auto& [is_tick, offset] : steps) {
      if (is_tick) {
        const auto given = clock.tick(noon + offset);
        RC_ASSERT(given > last);
        last = given;
      } else {
        clock.observe(timestamp::from_parts(noon + offset, 1), noon);
        RC_ASSERT(clock.last() >= last);
      }
    }
  }));
}

TEST_CASE("what others say of an earlier incarnation is believed within reason") {
  hybrid_clock clock;
  const auto ahead = [](std::uint64_t ms) { return timestamp::from_parts(noon + ms, 0); };
  CHECK(clock.resume(ahead(hybrid_clock::max_resume_ms), noon));
  CHECK(clock.last() == ahead(hybrid_clock::max_resume_ms));
  CHECK_FALSE(clock.resume(ahead(hybrid_clock::max_resume_ms + 1), noon));
  CHECK_FALSE(clock.resume(timestamp{(std::uint64_t{1} << 63) - 1}, noon));
  CHECK(clock.last() == ahead(hybrid_clock::max_resume_ms));
  SUBCASE("and beyond that, the checkpoint's time counts") {
    clock.raise_floor(ahead(2 * hybrid_clock::max_resume_ms));
    CHECK(clock.resume(ahead(3 * hybrid_clock::max_resume_ms), noon));
  }
}

TEST_CASE("looking at the next timestamp gives none") {
  hybrid_clock clock;
  CHECK(clock.next(noon) == timestamp::from_parts(noon, 0));
  CHECK(clock.tick(noon) == timestamp::from_parts(noon, 0));
  CHECK(clock.next(noon) == timestamp::from_parts(noon, 1));
}
