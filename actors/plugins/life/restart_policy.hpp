#pragma once

#include <chrono>
#include <cstdint>

#include <troupe/actors/kernel/supervision/restart_window.hpp>
#include <troupe/plugins/manifest.hpp>

namespace troupe {

/// How a plugin's process ended.
enum class exit_reason : std::uint8_t {
  normal,    ///< It exited with status 0, unasked.
  abnormal,  ///< Everything else: another status, a signal, a missed deadline, a broken protocol.
};

/// The delay before a restart. The n-th restart in a row waits `first × 2^(n-1)`, at most
/// `longest`. Jitter shortens the delay by up to half, so that plugins that crashed together do not
/// restart together. A plugin that stays up for more than `steady` starts a new row, whatever its
/// period is.
struct backoff_config {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds longest{std::chrono::seconds{10}};
  std::chrono::milliseconds steady{std::chrono::seconds{30}};
};

/// What to do about an exit.
enum class restart_action : std::uint8_t {
  restart,     ///< Start again after the delay.
  leave,       ///< Its mode says that it stays down.
  quarantine,  ///< It crashed too often. Only an operator starts it again.
};

/// What a restart policy decides. `delay` counts with `restart` only.
struct restart_decision {
  restart_action action = restart_action::leave;
  std::chrono::milliseconds delay{0};

  friend bool operator==(const restart_decision&, const restart_decision&) = default;
};

/// Decides whether and when a crashed plugin starts again: the child specification of Erlang/OTP's
/// supervisors (mode, intensity, period) with exponential backoff, and with quarantine where OTP's
/// supervisor would end itself.
///
/// Pure: time and randomness are arguments. Keeps at most `intensity` time points.
class restart_policy {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit restart_policy(restart_spec spec, backoff_config backoff = {});

  /// Decides about an exit. A restart beyond `intensity` within the latest `period` becomes
  /// `quarantine`, and so does every exit after that until `clear`.
  /// @param now Not before that of earlier calls.
  /// @param jitter In [0, 1); values outside are clamped.
  restart_decision on_exit(exit_reason reason, time_point now, double jitter);

  /// Forgets all restarts: an operator has enabled the plugin again.
  void clear() noexcept;

  bool quarantined() const noexcept { return quarantined_; }
  /// Restarts within the period that ended with the latest exit.
  std::size_t recent_restarts() const noexcept { return restarts_.count(); }

private:
  bool wants_restart(exit_reason reason) const noexcept;
  std::chrono::milliseconds delay_of_next(double jitter) const noexcept;

  restart_spec spec_;
  backoff_config backoff_;
  restart_window restarts_;
  std::size_t in_a_row_ = 0;
  time_point latest_start_{};  ///< Of a restart in the row.
  bool quarantined_ = false;
};

}  // namespace troupe
