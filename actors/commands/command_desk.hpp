#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/caller_cache.hpp>
#include <troupe/actors/commands/ledger/open_requests.hpp>
#include <troupe/actors/commands/performance_monitor.hpp>
#include <troupe/actors/commands/registry.hpp>
#include <troupe/actors/commands/resolver.hpp>
#include <troupe/messages/execution.hpp>

namespace troupe {

/// Where the executions of a command run.
struct execution_place {
  enum class kind : std::uint8_t {
    dispatcher,  ///< Inside the dispatcher, at once.
    worker,      ///< On a thread of their own.
    handler,     ///< At the actor `handler`.
  };
  kind where = kind::dispatcher;
  handler_id handler = 0;
};

/// A caller's wish that a command runs.
struct command_call {
  std::string_view command;
  arguments& given;  ///< Validation adds defaults and converts.
  const principal_ptr& caller;
  std::chrono::milliseconds callers_time{0};  ///< 0 when the caller named no deadline.
  request_origin origin;
};

/// Makes all decisions of a dispatcher: which commands exist, which callers may see and run them,
/// what becomes of each request, and what is counted. Knows no actors and no clock.
///
/// A call takes the steps resolve, permit, validate and admit, in this order, and the first that
/// refuses ends it. From its admission on it is in the ledger `open_requests`, and the effects say
/// what to carry out. Every outcome of a known command is counted once.
class command_desk {
public:
  using time_point = open_requests::time_point;
  using nanoseconds = open_requests::nanoseconds;

  struct limits {
    std::size_t max_commands = registry::default_capacity;  ///< At least 1.
    open_requests::limits requests;
  };

  explicit command_desk(const limits& bounds);
  command_desk(const command_desk&) = delete;  // `resolver_` refers to `registry_`
  command_desk& operator=(const command_desk&) = delete;

  // -- the register -------------------------------------------------------------------------------

  /// Fails as `registry::add`.
  result<command_index> add(command_spec spec, std::vector<custom_check> checks,
                            execution_place place);

  /// What the removal of a command leads to.
  struct removal {
    command_index index;
    request_effects effects;  ///< Its queued requests are answered.
  };
  /// Nothing when there is no such command.
  std::optional<removal> remove(std::string_view command, time_point now);
  /// Removes a command on behalf of the handler that runs it. Nothing for a command that another
  /// one runs: it may have got the name since.
  std::optional<removal> retract(std::string_view command, handler_id by, time_point now);

  /// The commands whose names begin like this, sorted by name.
  command_list list(std::string_view prefix) const;
  /// Of them, those that the caller may run. Every question for a caller fails with
  /// `permission_denied` when the caller's capabilities are malformed.
  result<command_list> list_for(const principal_ptr& caller, std::string_view prefix);
  result<command_spec> describe(std::string_view command) const;
  /// A command that the caller may not run is `not_found`.
  result<command_spec> describe_for(const principal_ptr& caller, std::string_view command);

  /// The metrics of one command, or of all when `command` is empty. A command that has ended no
  /// request has none. Fails with `not_found` for an unknown command.
  result<metrics_list> metrics(std::string_view command) const;
  void reset_metrics() { monitor_.reset_metrics(); }

  // -- the way in ---------------------------------------------------------------------------------

  /// A call that may run.
  struct admitted {
    const registered_command* command = nullptr;  ///< Never null. Valid until it is removed.
    time_point deadline{};
    request_id request = 0;  ///< 0 for one that runs inside the dispatcher: see `end_inline`.
  };
  /// @param effects Gets what to carry out for a call that runs elsewhere.
  result<admitted> admit(const command_call& wanted, time_point now, request_effects& effects);
  /// An execution inside the dispatcher has ended. Nothing else happens here in between.
  void end_inline(const registered_command& command, const result<value>& outcome,
                  time_point started, time_point ended);

  // -- on the way ---------------------------------------------------------------------------------
  // As the functions of the same names in `open_requests`; what they answer is counted.

  request_effects finish(request_id request, result<value> outcome, time_point now);
  request_effects cancel(const request_origin& origin, time_point now);
  request_effects end_handler(handler_id handler, time_point now);
  request_effects expire(time_point now);
  result<request_effects> stop(time_point stop_by, time_point now);
  const open_requests& requests() const noexcept { return requests_; }

private:
  result<const permit*> rights_of(const principal_ptr& caller);
  command_list list(std::string_view prefix, const permit* by) const;
  result<command_spec> describe(std::string_view command, const permit* by) const;
  error reject(const registered_command& command, const rejected& verdict);
  error refuse(const registered_command& command, command_outcome outcome, error why);
  request_effects counted(request_effects effects);

  registry registry_;
  resolver resolver_;
  caller_cache callers_;
  open_requests requests_;
  performance_monitor monitor_;
  std::vector<execution_place> places_;  ///< By the slot of the command's index.
};

}  // namespace troupe
