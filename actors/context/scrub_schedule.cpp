#include <troupe/actors/context/scrub_schedule.hpp>

#include <utility>

namespace troupe {

scrub_schedule::work scrub_schedule::begins(std::uint64_t now_ms) noexcept {
  if (!is_set_) next_ms_ = now_ms + pace_.first_after_ms;
  if (next_files_ms_ == 0) next_files_ms_ = now_ms + pace_.files_every_ms;
  is_set_ = true;
  if (under_way_ != work::none) return work::none;
  if (now_ms >= next_files_ms_)
    under_way_ = work::files;
  else if (now_ms >= next_ms_)
    under_way_ = work::part;
  return under_way_;
}

void scrub_schedule::make_due(std::uint64_t now_ms) noexcept {
  // After a step that has failed the pause goes on: damage that stays is met again and again.
  if (has_failed_) return;
  is_set_ = true;
  next_ms_ = now_ms;
}

scrub_schedule::work scrub_schedule::stepped(outcome how, std::uint64_t now_ms) noexcept {
  const auto done = std::exchange(under_way_, work::none);
  if (done == work::files) {
    next_files_ms_ = now_ms + pace_.files_every_ms;
    return done;
  }
  has_failed_ = how == outcome::failed;
  next_ms_ = now_ms + (how == outcome::goes_on ? pace_.step_ms
                       : how == outcome::done  ? pace_.every_ms
                                               : pace_.again_ms);
  return done;
}

}  // namespace troupe
