#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <troupe/actors/plugins/life/plugin_process.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/logging.hpp>
#include <troupe/messages/plugin.hpp>

namespace troupe {

/// Counts the launches of one plugin from 1. A launch is one process of the plugin, from the order
/// to start it until nothing of it is left.
using launch_number = std::uint32_t;

/// Why a process is ended.
enum class end_cause : std::uint8_t {
  crash,  ///< What is left of a launch that has crashed.
  stop,   ///< The plugin is stopped for good.
};

/// What a `plugin_life` wants done. The supervisor does it, and reports what became of it as an
/// event of the life; each effect names that event.
namespace life_effect {

/// Start a process: `launched` or `launch_failed`, at the latest after `deadline`.
struct launch {
  launch_number number = 0;
  std::chrono::milliseconds deadline{0};
};
/// Open the connection to the process: `session_opened`, `opening_refused`, and from then on
/// `connection_closed`, `protocol_violated` or `given_up`.
struct connect {
  launch_number number = 0;
  plugin_launched process;
};
/// Close the connection. Calls that are open on it fail with `reason`.
struct disconnect {
  error reason;
};
/// Ask the plugin which commands it has: `commands_received` or `commands_refused`.
struct ask_commands {
  launch_number number = 0;
  std::chrono::milliseconds deadline{0};
};
/// Offer a command of the plugin to callers: `offer_accepted` or `offer_refused`, at the latest
/// after `deadline`.
struct offer_command {
  launch_number number = 0;
  command_spec spec;
  std::chrono::milliseconds deadline{0};
};
/// Take commands back, those included whose offer has not been answered.
struct retract {
  std::vector<std::string> commands;
};
/// Ask the plugin to end: `stop_answered`, whatever it says.
struct ask_stop {
  std::chrono::milliseconds deadline{0};
};
/// End the process: by itself within `patience`, asked within `grace`, then by force. `ended` or
/// `end_failed`, at the latest after `deadline`.
struct end_process {
  end_cause cause = end_cause::crash;
  std::chrono::milliseconds patience{0};
  std::chrono::milliseconds grace{0};
  std::chrono::milliseconds deadline{0};
};
/// Answer the start orders that wait.
struct answer_starts {
  result<void> outcome;
};
/// Answer the stop orders that wait.
struct answer_stops {
  result<void> outcome;
};
/// Write an audit record.
struct audit {
  std::string event;
  std::string subject;
  std::string rule;
};
/// Count, log and record that something was denied.
struct deny {
  permission_decision decision;
};
/// Write a log line about the plugin.
struct log {
  log_severity severity = log_severity::info;
  std::string event;   ///< Its id, such as `plugin.ended`.
  std::string fields;  ///< `key=value`, beside the plugin's name.
};
/// Call `tick` after this time.
struct wake {
  std::chrono::milliseconds delay{0};
};
/// The life is over: the supervisor ends.
struct quit {};

}  // namespace life_effect

/// What a supervisor has to do.
using one_life_effect =
    std::variant<life_effect::launch, life_effect::connect, life_effect::disconnect,
                 life_effect::ask_commands, life_effect::offer_command, life_effect::retract,
                 life_effect::ask_stop, life_effect::end_process, life_effect::answer_starts,
                 life_effect::answer_stops, life_effect::audit, life_effect::deny, life_effect::log,
                 life_effect::wake, life_effect::quit>;

/// To be carried out in order.
using life_effects = std::vector<one_life_effect>;

}  // namespace troupe
