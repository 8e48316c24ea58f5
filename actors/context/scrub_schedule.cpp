#include <troupe/actors/context/scrub_schedule.hpp>

namespace troupe {

bool scrub_schedule::begins(std::uint64_t now_ms) noexcept {
  if (!is_set_) next_ms_ = now_ms + pace_.first_after_ms;
  is_set_ = true;
  if (is_under_way_ || now_ms < next_ms_) return false;
  is_under_way_ = true;
  return true;
}

void scrub_schedule::make_due(std::uint64_t now_ms) noexcept {
  // After a step that has failed the pause goes on: damage that stays is met again and again.
  if (has_failed_) return;
  is_set_ = true;
  next_ms_ = now_ms;
}

void scrub_schedule::stepped(outcome how, std::uint64_t now_ms) noexcept {
  is_under_way_ = false;
  has_failed_ = how == outcome::failed;
  next_ms_ = now_ms + (how == outcome::goes_on ? pace_.step_ms
                       : how == outcome::done  ? pace_.every_ms
                                               : pace_.again_ms);
}

}  // namespace troupe
