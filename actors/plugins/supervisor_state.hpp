#pragma once

#include <optional>
#include <random>
#include <unordered_map>

#include <caf/io/typed_broker.hpp>

#include <troupe/actors/links/read_window.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/links/stream.hpp>
#include <troupe/actors/plugins/call_check.hpp>
#include <troupe/actors/plugins/restart_policy.hpp>
#include <troupe/actors/plugins/supervisor.hpp>

namespace troupe {

/// An error that a plugin has told, short enough to become one of the node: of its message, the
/// beginning; of much detail, nothing.
error cut_error(error from_plugin);

/// The state behind `supervisor_actor`.
///
/// A plugin's life, as `plugin_phase`: starting (launched, has not yet told its commands) → running
/// → stopping → stopped; from an end that was not asked for to starting again, to failed (its mode
/// says to stay down) or to quarantined.
class supervisor_state : public link_events {
public:
  using interface = supervisor_actor::extend_with<caf::io::connection_handler>;
  using pointer = interface::broker_pointer;
  static constexpr const char* name = "supervisor";

  supervisor_state(pointer self, supervisor_setup setup);
  /// However it ends, nothing of the plugin stays.
  ~supervisor_state() override;
  supervisor_state(const supervisor_state&) = delete;
  supervisor_state& operator=(const supervisor_state&) = delete;

  interface::behavior_type make_behavior();

private:
  using void_promise = caf::typed_response_promise<void>;

  // -- life (supervisor_life.cpp) -----------------------------------------------------------------
  caf::result<void> obey(plugin_order order);
  void launch();
  void connect(const plugin_launched& launched);
  void open_session(std::uint32_t id, std::string_view method, std::string_view params);
  void ask_commands();
  void offer_commands(std::vector<command_spec> commands);
  void become_running();
  void fail_run(error reason, exit_reason kind, std::chrono::milliseconds patience = {});
  void tell_fall();
  void end_crashed();
  void take_end(const plugin_ended& end);
  void decide_restart(const error& reason, exit_reason kind);
  void disconnect(const error& reason);
  void begin_stop();
  void finish_stop();
  void settle_stop();
  void retract_all();
  void settle_starts(const result<void>& outcome);

  // -- traffic (supervisor_traffic.cpp) -----------------------------------------------------------
  void on_request(std::uint32_t id, std::string_view method, std::string_view params,
                  const rpc::envelope& beside) override;
  void on_notification(std::string_view method, std::string_view params) override;
  void on_cancelled(request_serial request) override;
  caf::result<value> invoke(const invocation& asked);
  void cancel(const cancel_request& gone);
  void tell_denial(const call_decision& decision, trace_id trace);
  void forward(routed_request asked);
  void hand_on(routed_request asked, link_session::time_point at);
  void read(const caf::io::new_data_msg& data);
  void pass_time(tick pace);
  void schedule_tick();
  void flush();
  std::optional<std::uint32_t> call(std::string_view method, std::string_view params,
                                    std::chrono::milliseconds deadline, call_completion done);

  // -- policy (supervisor_policy.cpp) -------------------------------------------------------------
  launch_plugin describe_launch() const;
  result<void> alter(const alter_grant& change);
  void publish_policy();
  void retract_denied();
  void audit(std::string event, std::string subject, std::string rule, trace_id trace = {});
  plugin_info describe() const;

  const std::string& plugin() const noexcept { return setup_.manifest->name; }
  link_session::time_point now() const { return self_->clock().now(); }

  /// One process of the plugin, from its launch to its end.
  struct run {
    run(std::uint32_t which, stream connection, const link_limits& limits,
        link_session::time_point now)
        : number(which), bytes(connection), session(limits, now) {}

    /// By which a request of this run is cancelled.
    std::uint64_t ticket(request_serial request) const noexcept {
      return std::uint64_t{number} << 32 | request;
    }

    std::uint32_t number;  ///< Counts the runs of the plugin.
    stream bytes;
    link_session session;
    bool opened = false;
    read_window<routed_request> reads{max_reads_at_once};
    std::unordered_map<std::uint64_t, std::uint32_t>
        invocations;  ///< Calls that are open, by their tickets.
  };

  /// How far a run has come.
  enum class stage : std::uint8_t { launched, opened, running };
  stage reached() const noexcept {
    return phase_ != plugin_phase::starting ? stage::running
           : run_ && run_->opened           ? stage::opened
                                            : stage::launched;
  }
  /// How its process ended, and of one that never ran what its author needs to know.
  std::string describe_exit(const exit_status& status, const std::string& last_output,
                            stage reached) const;

  /// A run that has ended by itself, until nothing of it is left.
  struct crash_record {
    error reason;
    exit_reason kind = exit_reason::abnormal;
    stage reached = stage::running;
    bool may_restart = false;
    std::chrono::milliseconds patience{
        0};                ///< For the process to end by itself, which then says reason and kind.
    bool is_told = false;  ///< That it fell, and why.
    bool stuck = false;    ///< It could not be ended, which has been told.
    std::chrono::milliseconds wait{1000};  ///< Before the next attempt.
    std::optional<link_session::time_point>
        retry_at;  ///< Nothing while the launcher has not answered.
  };

  pointer self_;
  supervisor_setup setup_;
  permissions policy_;
  std::vector<std::string> effective_;  ///< What the policy gives now.
  restart_policy restarts_;
  principal_ptr principal_;
  std::shared_ptr<spdlog::logger> log_;
  std::mt19937_64 random_;
  plugin_phase phase_ = plugin_phase::discovered;
  std::shared_ptr<run>
      run_;  ///< Shared, as what is read from a session may end the run while the session reads.
  link_session::time_point start_by_;
  std::optional<link_session::time_point> restart_at_;
  std::uint64_t generation_ =
      0;  ///< Counts runs, so that answers meant for an earlier one are recognised.
  std::uint32_t runs_ = 0;
  std::uint64_t process_ = 0;
  std::vector<std::string> commands_;
  std::size_t open_offers_ =
      0;  ///< Commands that the dispatcher was offered and has not answered for, of any run.
  std::optional<crash_record> crash_;
  std::optional<result<void>> ended_;  ///< The outcome of the end of a stop.
  std::vector<void_promise> starting_, stopping_;
  std::uint64_t restarted_ = 0;
  std::uint64_t denials_ = 0;
  std::uint64_t denials_this_second_ = 0;  ///< Since the last slow tick.
  std::uint32_t log_lines_ = 0;            ///< Since the last slow tick.
  std::uint64_t log_lines_dropped_ = 0;
  std::string problem_;
  std::string audit_problem_;
  bool fast_tick_ = false;
};

}  // namespace troupe
