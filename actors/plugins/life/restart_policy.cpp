#include <troupe/actors/plugins/life/restart_policy.hpp>

#include <algorithm>
#include <cmath>

namespace troupe {

using std::chrono::milliseconds;

restart_policy::restart_policy(restart_spec spec, backoff_config backoff)
    : spec_{spec}, backoff_{backoff}, restarts_{spec.intensity, spec.period} {}

restart_decision restart_policy::on_exit(exit_reason reason, time_point now, double jitter) {
  if (quarantined_) return {restart_action::quarantine, milliseconds{0}};
  if (!wants_restart(reason)) return {restart_action::leave, milliseconds{0}};
  if (!restarts_.admit(now)) {
    quarantined_ = true;
    return {restart_action::quarantine, milliseconds{0}};
  }
  if (now - latest_start_ > backoff_.steady) in_a_row_ = 0;
  const auto delay = delay_of_next(jitter);
  ++in_a_row_;
  latest_start_ = now + delay;
  return {restart_action::restart, delay};
}

void restart_policy::clear() noexcept {
  restarts_.clear();
  in_a_row_ = 0;
  quarantined_ = false;
}

bool restart_policy::wants_restart(exit_reason reason) const noexcept {
  switch (spec_.mode) {
    case restart_mode::permanent: return true;
    case restart_mode::transient: return reason == exit_reason::abnormal;
    case restart_mode::temporary: break;
  }
  return false;
}

milliseconds restart_policy::delay_of_next(double jitter) const noexcept {
  // Beyond 2^30 every delay is the longest one.
  const auto doublings = std::min<std::size_t>(in_a_row_, 30);
  const auto full = std::min(
      static_cast<double>(backoff_.first.count()) * std::ldexp(1.0, static_cast<int>(doublings)),
      static_cast<double>(backoff_.longest.count()));
  return milliseconds{std::llround(full * (1.0 - std::clamp(jitter, 0.0, 1.0) / 2))};
}

}  // namespace troupe
