#include <troupe/actors/context/clock.hpp>

#include <algorithm>

namespace troupe {

// Counting up the 64 bits as one number carries a full counter into the milliseconds, so no burst can make it wrap.
timestamp hybrid_clock::tick(std::uint64_t now_ms) noexcept {
  last_ = std::max(timestamp{last_.ticks + 1}, timestamp::from_parts(now_ms, 0));
  return last_;
}

void hybrid_clock::observe(timestamp seen, std::uint64_t now_ms) noexcept {
  const auto wall_ms = timestamp::from_parts(now_ms, 0).milliseconds();
  if (seen.milliseconds() <= wall_ms + max_skew_ms) raise_floor(seen);
}

void hybrid_clock::raise_floor(timestamp given) noexcept { last_ = std::max(last_, given); }

}  // namespace troupe
