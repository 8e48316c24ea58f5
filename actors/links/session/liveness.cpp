#include <troupe/actors/links/session/liveness.hpp>

#include <string>
#include <utility>

namespace troupe {

namespace {

/// Between two ticks of an owner that is not held up.
constexpr std::chrono::milliseconds longest_tick{2'000};

}  // namespace

liveness::liveness(const link_limits& limits, time_point now)
    : half_frame_(limits.half_frame),
      ping_interval_(limits.ping_interval),
      silence_(limits.silence),
      message_began_(now),
      last_ping_(now),
      last_pass_(now) {}

void liveness::pass(time_point now) noexcept {
  if (now - std::exchange(last_pass_, now) <= longest_tick) return;
  // What the other side has sent meanwhile may not have been read yet.
  restart_message(now);
  hear();
}

void liveness::expect_sign(time_point busy_until) noexcept {
  if (!unheard_since_) unheard_since_ = busy_until;
}

result<void> liveness::check_message(time_point now, std::size_t pending) const {
  if (pending == 0 || now - message_began_ <= half_frame_) return {};
  return fail(error_code::protocol_violation,
              "a message that began " + std::to_string(half_frame_.count()) +
                  " ms ago has not ended; " + std::to_string(pending) + " bytes of it arrived");
}

result<bool> liveness::check_silence(time_point now, bool has_calls) {
  if (ping_interval_.count() == 0) return false;
  const auto silent = [this](const char* since) {
    return fail(error_code::unavailable,
                "nothing was heard for " + std::to_string(silence_.count()) + " ms" + since);
  };
  if (unheard_since_ && now - *unheard_since_ > silence_)
    return silent(" after a call had passed its deadline");
  if (now - last_ping_ < ping_interval_) return false;
  if (has_calls) {
    silent_since_.reset();
    // Behind an overdue call the other side may show by a ping that it lives.
    if (!unheard_since_) return false;
  } else if (!silent_since_) {
    silent_since_ = now;
  } else if (now - *silent_since_ > silence_) {
    return silent("");
  }
  last_ping_ = now;
  return true;
}

}  // namespace troupe
