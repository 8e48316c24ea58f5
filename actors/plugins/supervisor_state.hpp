#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include <caf/io/typed_broker.hpp>

#include <troupe/actors/kernel/rate_window.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/links/connection_shell.hpp>
#include <troupe/actors/plugins/life/plugin_life.hpp>
#include <troupe/actors/plugins/policy/grant_book.hpp>
#include <troupe/actors/plugins/supervisor.hpp>

namespace troupe {

/// The state behind `supervisor_actor`. A `plugin_life` decides when the plugin is launched and
/// ended, a `grant_book` what it may do, a `served_connection` how it is served, and two
/// `rate_window`s how much of it is recorded. The supervisor reports events to them and carries out
/// what they want.
class supervisor_state : public connection_owner {
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
  using shell = connection_shell<std::remove_pointer_t<pointer>>;

  // -- what it is asked (supervisor.cpp) ----------------------------------------------------------
  void obey(plugin_order order, reply_to<void> to);
  result<void> alter(const alter_grant& change);
  void check(const check_operation& wanted, reply_to<permission_decision> to);
  plugin_info describe() const;
  void pass_time(tick pace);
  void begin_second();
  void audit(std::string event, std::string subject, std::string rule, trace_id trace = {});
  void deny(const permission_decision& decision, trace_id trace);

  // -- effects of the life (supervisor_effects.cpp) -----------------------------------------------
  void carry_out(life_effects effects);
  void carry_out(life_effect::launch& wanted);
  void carry_out(life_effect::connect& wanted);
  void carry_out(life_effect::disconnect& wanted);
  void carry_out(life_effect::ask_commands& wanted);
  void carry_out(life_effect::offer_command& wanted);
  void carry_out(life_effect::retract& wanted);
  void carry_out(life_effect::ask_stop& wanted);
  void carry_out(life_effect::end_process& wanted);
  void carry_out(life_effect::answer_starts& wanted);
  void carry_out(life_effect::answer_stops& wanted);
  void carry_out(life_effect::audit& wanted);
  void carry_out(life_effect::deny& wanted);
  void carry_out(life_effect::log& wanted);
  void carry_out(life_effect::wake& wanted);
  void carry_out(life_effect::quit& wanted);
  launch_plugin describe_launch() const;
  shell& connected();
  served_setup describe_connection(launch_number number);

  // -- traffic (supervisor_traffic.cpp) -----------------------------------------------------------
  result<session_grant> admit(const session_open& opening) const;
  result<void> check_request(const method_rule& rule, std::string_view params,
                             const rpc::envelope& beside);
  void on_session(session_began& session) override;
  void on_notification(const notification_came& notification) override;
  void on_refused(const notification_refused& refused) override;
  void on_more_refused(std::uint64_t count) override;
  void on_failure(connection_failed& failed) override;
  void invoke(const invocation& asked, reply_to<value> to);
  void cancel(const cancel_request& gone);

  const std::string& plugin() const noexcept { return setup_.manifest->name; }
  auto now() const { return self_->clock().now(); }

  pointer self_;
  supervisor_setup setup_;
  plugin_life life_;
  std::deque<one_life_effect> effects_;  ///< To be carried out. The first one is at this moment.
  std::shared_ptr<spdlog::logger> log_;
  std::mt19937_64 random_;
  std::shared_ptr<shell> connection_;  ///< To the process of the latest launch, or null.
  std::unordered_map<std::uint64_t, std::uint32_t> invocations_;  ///< Open calls, by their tickets.
  std::vector<reply_to<void>> starting_, stopping_;
  rate_window denials_, log_lines_;
  std::string audit_problem_;
};

}  // namespace troupe
