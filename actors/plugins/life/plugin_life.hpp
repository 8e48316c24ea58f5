#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/actors/plugins/life/life_effects.hpp>
#include <troupe/actors/plugins/life/restart_policy.hpp>
#include <troupe/actors/plugins/policy/permissions.hpp>
#include <troupe/plugins/manifest.hpp>

namespace troupe {

/// An error that a plugin has sent, cut to what the node keeps: the beginning of its message, and
/// no long detail.
error cut_error(error from_plugin);

/// The life of one plugin, over all its launches: when it starts, which of its commands are
/// offered, what a crash means, when it starts again, and how it stops.
///
///     discovered ── start ──> starting ── commands accepted ──> running ── stop ──> stopping ──>
///     stopped
///                                │ crash                           │ crash
///                                └───────────────┬─────────────────┘
///                                             failed ── nothing of the launch is left ──> starting
///                                                └──── too many crashes ──> quarantined
///
/// A failed plugin stays failed when its restart mode says so, and when an ordered start has
/// failed. An ordered start brings it back from every phase but stopping and stopped.
///
/// Each event returns the effects to carry out. An event that belongs to an earlier launch, or that
/// comes when nothing waits for it, has no effect, so the owner reports what it sees without asking
/// whether it still counts.
///
/// Pure: time and jitter are arguments. Bounded: at most `max_commands` commands, and as many open
/// offers for each launch whose offers the dispatcher has not answered.
class plugin_life {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// That one plugin may offer.
  static constexpr std::size_t max_commands = 256;

  /// @param package For the audit trail: where the plugin came from.
  plugin_life(std::shared_ptr<const plugin_manifest> manifest, std::string package);

  // -- orders -------------------------------------------------------------------------------------
  /// Answered with `answer_starts`.
  life_effects start(time_point now);
  /// Answered with `answer_stops`.
  life_effects stop();
  /// What has to be done when the supervisor ends without a stop: nothing of the plugin may stay.
  life_effects abandon();

  // -- the launch ---------------------------------------------------------------------------------
  /// The launcher has started the process, or could not.
  life_effects launched(launch_number number, plugin_launched process);
  life_effects launch_failed(launch_number number, error why);
  /// The plugin has opened its session, or failed to.
  life_effects session_opened();
  life_effects opening_refused(error why);
  /// @param policy Decides which commands the plugin may offer.
  life_effects commands_received(launch_number number, std::vector<command_spec> commands,
                                 const permissions& policy);
  /// The plugin did not list its commands: it answered with this error, or not at all.
  life_effects commands_refused(launch_number number, error why);
  /// The dispatcher has accepted a command, or has refused it.
  life_effects offer_accepted(launch_number number, const std::string& command);
  life_effects offer_refused(launch_number number, const std::string& command, error why);

  // -- what happens to a launch -------------------------------------------------------------------
  /// The process has ended by itself. @param last_output Its last line of output, if any.
  life_effects exited(const exit_status& status, const std::string& last_output);
  /// The plugin uses more than its limits. @param what In words, with the numbers.
  life_effects exceeded(const std::string& what);
  /// The plugin has closed its connection, without a reason that is known yet.
  life_effects connection_closed();
  /// The plugin has broken the protocol.
  life_effects protocol_violated(const error& how);
  /// The plugin is silent, or its session cannot go on for another reason.
  life_effects given_up(const error& why);
  /// Nothing of the launch is left. @param jitter In [0, 1), for the delay of a restart.
  life_effects ended(end_cause cause, const plugin_ended& end, time_point now, double jitter);
  /// Something of the launch could not be ended.
  life_effects end_failed(end_cause cause, const error& why, time_point now);
  /// The plugin has answered the request to stop, or its deadline has passed.
  life_effects stop_answered();

  // -- time and policy ----------------------------------------------------------------------------
  /// At least once a second, and as `wake` asks.
  life_effects tick(time_point now);
  /// Retracts the commands that the plugin may no longer provide. They are offered again at the
  /// next launch, if they may be then.
  life_effects policy_changed(const permissions& policy);

  // -- what is known ------------------------------------------------------------------------------
  plugin_phase phase() const noexcept { return phase_; }
  /// That are offered, sorted once the plugin runs.
  const std::vector<std::string>& commands() const noexcept { return commands_; }
  /// Of the sandbox; 0 when there is none.
  std::uint64_t process() const noexcept { return launch_.process; }
  std::uint64_t restarts() const noexcept { return restart_count_; }
  /// Why the plugin does not run; empty when it does.
  const std::string& problem() const noexcept { return problem_; }

private:
  /// For the launcher, beyond the grace of the process.
  static constexpr std::chrono::milliseconds stop_end_slack{10'000};

  /// How far a launch has come.
  enum class stage : std::uint8_t {
    unconnected,  ///< Not connected yet, or not any more.
    connected,
    opened,    ///< The session is open, and the commands have been asked for.
    offering,  ///< The commands are known.
    running,
  };

  /// The latest launch.
  struct launch_state {
    launch_number number = 0;
    time_point start_by;
    std::uint64_t process = 0;
    stage reached = stage::unconnected;
    std::size_t awaited_offers = 0;  ///< Of this launch.
  };

  /// A launch that has crashed, until nothing of it is left.
  struct crash_state {
    error reason;
    exit_reason kind = exit_reason::abnormal;
    stage reached = stage::unconnected;
    bool may_restart = false;
    std::chrono::milliseconds patience{0};  ///< For the process to end by itself.
    bool is_reported = false;
    bool is_stuck = false;  ///< An attempt to end it has failed, which was reported.
    std::chrono::milliseconds retry_delay{1000};
    std::optional<time_point> retry_at;  ///< Empty while an attempt to end it is under way.
  };

  /// A stop, from its order on.
  struct stop_state {
    bool is_ending = false;               ///< The end of the process has been asked for.
    std::optional<result<void>> outcome;  ///< Of that end.
  };

  /// Whether an event of this launch, which is possible at this stage only, counts.
  bool awaits(launch_number number, stage reached) const noexcept {
    return phase_ == plugin_phase::starting && number == launch_.number &&
           launch_.reached == reached;
  }
  bool is_connected() const noexcept { return launch_.reached != stage::unconnected; }
  std::string describe_exit(const exit_status& status, const std::string& last_output,
                            stage reached) const;
  std::string quoted_name() const;

  void launch(life_effects& out, time_point now);
  result<void> check_offer(life_effects& out, const std::vector<command_spec>& commands,
                           const permissions& policy) const;
  void become_running(life_effects& out);
  void crash(life_effects& out, error reason, exit_reason kind = exit_reason::abnormal,
             std::chrono::milliseconds patience = {});
  void report_crash(life_effects& out);
  void end_crashed(life_effects& out);
  void decide_restart(life_effects& out, const error& reason, exit_reason kind, time_point now,
                      double jitter);
  void disconnect(life_effects& out, error reason);
  void end_for_stop(life_effects& out);
  void complete_stop(life_effects& out);
  void retract_all(life_effects& out);
  void answer_starts(life_effects& out, result<void> outcome);

  std::shared_ptr<const plugin_manifest> manifest_;
  std::string package_;
  restart_policy restarts_;
  plugin_phase phase_ = plugin_phase::discovered;
  launch_state launch_;
  bool start_is_awaited_ = false;
  std::optional<time_point> restart_at_;
  std::optional<crash_state> crash_;
  stop_state stop_;
  std::vector<std::string> commands_;
  std::size_t open_offers_ = 0;  ///< Of all launches.
  std::uint64_t restart_count_ = 0;
  std::string problem_;
};

}  // namespace troupe
