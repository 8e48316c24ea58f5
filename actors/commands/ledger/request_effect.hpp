#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include <troupe/actors/commands/command_index.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/value.hpp>

namespace troupe {

/// Names an open request. Never used twice.
using request_id = std::uint64_t;
/// Names an actor that handles commands.
using handler_id = std::uint64_t;

/// What `open_requests` decides, the desk counts and the dispatcher carries out, in the order
/// given.
namespace request_effect {

/// Answer the caller. Comes exactly once for each request.
struct answer {
  request_id request = 0;
  command_index command;
  std::shared_ptr<const command_spec> spec;
  result<value> outcome;
  command_outcome counted = command_outcome::ok;  ///< What the desk counts it as.
  /// From the start of the execution to this answer. Nothing when the execution never started.
  std::optional<std::chrono::nanoseconds> ran;
};

/// Start the request's function on this worker. Start the worker first when it is a new one.
struct start_function {
  request_id request = 0;
  std::size_t worker = 0;  ///< See `work_schedule::worker_index`.
};

/// Ask a running function to stop.
struct stop_function {
  request_id request = 0;
};

/// Ask the request's handler to run the command.
struct ask_handler {
  request_id request = 0;
  std::shared_ptr<const command_spec> spec;
  std::chrono::nanoseconds time_left{0};      ///< Until the request's deadline.
  std::chrono::nanoseconds give_up_after{0};  ///< Wait for the handler's answer at most this long.
};

/// Tell the request's handler that its answer is no longer wanted.
struct cancel_at_handler {
  request_id request = 0;
};

/// Log something about an execution that passed its deadline.
struct log {
  enum class event : std::uint8_t {
    timed_out,  ///< The deadline passed, and the caller was answered.
    late,       ///< The execution ended after the deadline.
    given_up,   ///< The handler did not answer within its grace. Its place is free again.
  };
  event what = event::timed_out;
  std::shared_ptr<const command_spec> spec;
  std::chrono::nanoseconds ran{0};
};

/// Answer the request to stop.
struct report_stop {
  result<void> outcome;
};

/// One effect.
using any = std::variant<answer, start_function, stop_function, ask_handler, cancel_at_handler, log,
                         report_stop>;

}  // namespace request_effect

/// To be carried out in order.
using request_effects = std::vector<request_effect::any>;

}  // namespace troupe
