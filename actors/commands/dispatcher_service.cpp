// The methods that links ask of the dispatcher.

#include <troupe/actors/commands/dispatcher_state.hpp>

namespace troupe {

caf::result<payload> dispatcher_state::serve(service_call& call) {
  using served =
      message_types<execute_request, list_commands, describe_command, get_metrics, reset_metrics>;
  return serve_method(
      served{}, call,
      overloaded{[this](execute_request& wanted, service_call& asked) {
                   execute_command request{std::move(wanted.command),
                                           std::move(wanted.arguments),
                                           asked.caller,
                                           asked.deadline,
                                           asked.trace,
                                           asked.ticket};
                   return execute<payload>(request);
                 },
                 [this](const list_commands& wanted, const service_call& asked) {
                   return desk_.list_for(asked.caller, wanted.prefix);
                 },
                 [this](const describe_command& wanted, const service_call& asked) {
                   return desk_.describe_for(asked.caller, wanted.command);
                 },
                 [this](const get_metrics& wanted, const service_call&) {
                   return desk_.metrics(wanted.command);
                 },
                 [this](reset_metrics, const service_call&) { desk_.reset_metrics(); }});
}

}  // namespace troupe
