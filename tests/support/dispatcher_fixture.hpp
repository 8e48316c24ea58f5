#pragma once

#include <string>
#include <utility>

#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/tests/support/actor_fixture.hpp>

namespace troupe::test {

/// A dispatcher in a system of its own.
template <class System>
class dispatcher_fixture {
public:
  explicit dispatcher_fixture(dispatcher_config config = {})
      : dispatcher(system.own(spawn_dispatcher(system.caf(), config, log.target()))) {}

  System system;
  recorded_log log;
  dispatcher_actor dispatcher;

  answer<void> add(command_spec spec, command_handler handler) {
    return system.template ask<void>(dispatcher,
                                     add_command{std::move(spec), std::move(handler), {}});
  }
  answer<value> execute(std::string command, arguments given = {},
                        principal_ptr caller = the_host(),
                        std::chrono::milliseconds deadline = 0ms) {
    return system.template ask<value>(
        dispatcher,
        execute_command{std::move(command), std::move(given), std::move(caller), deadline, {}});
  }
};

/// How often a command ended in this way.
inline std::uint64_t count_of(const metrics_list& numbers, command_outcome outcome) {
  return numbers.commands.empty()
             ? 0
             : numbers.commands.front().outcomes.at(static_cast<std::size_t>(outcome));
}

/// An inline handler that answers with a constant.
inline inline_handler answering(value constant) {
  return {
      [constant](const arguments&, const command_context&) -> result<value> { return constant; }};
}

}  // namespace troupe::test
