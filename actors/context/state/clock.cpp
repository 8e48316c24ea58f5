#include <troupe/actors/context/state/clock.hpp>

#include <algorithm>

namespace troupe {

// Counting in the 64 bits as one number carries a full counter into the milliseconds, so a burst
// cannot wrap it.
timestamp hybrid_clock::next(std::uint64_t now_ms) const noexcept {
  return std::max(timestamp{last_.ticks + 1}, timestamp::from_parts(now_ms, 0));
}

timestamp hybrid_clock::tick(std::uint64_t now_ms) noexcept { return last_ = next(now_ms); }

void hybrid_clock::observe(timestamp seen, std::uint64_t now_ms) noexcept {
  const auto wall_ms = timestamp::from_parts(now_ms, 0).milliseconds();
  if (seen.milliseconds() <= wall_ms + max_skew_ms) last_ = std::max(last_, seen);
}

void hybrid_clock::raise_floor(timestamp given) noexcept {
  certain_ = std::max(certain_, given);
  last_ = std::max(last_, given);
}

bool hybrid_clock::resume(timestamp claimed, std::uint64_t now_ms) noexcept {
  const auto known_ms =
      std::max(timestamp::from_parts(now_ms, 0).milliseconds(), certain_.milliseconds());
  if (claimed.milliseconds() > known_ms + max_resume_ms) return false;
  last_ = std::max(last_, claimed);
  return true;
}

}  // namespace troupe
