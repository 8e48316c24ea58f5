#include <troupe/actors/commands/worker.hpp>

#include <exception>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

namespace {

class worker_state {
public:
  using interface = worker_actor;
  static constexpr const char* name = "worker";

  explicit worker_state(interface::pointer self) : self_(self) {}

  interface::behavior_type make_behavior() {
    return {[this](run_function& work) {
      const command_context about{work.caller->name, work.trace, work.deadline, work.stop};
      tell(self_, sender_of_message<function_sink>(self_),
           function_done{work.execution, call_function(*work.run, work.given, about)});
    }};
  }

private:
  interface::pointer self_;
};

}  // namespace

worker_actor spawn_worker(caf::actor_system& system) {
  return spawn_blocking<worker_state>(system);
}

result<value> call_function(const command_function& run, arguments& given,
                            const command_context& about) noexcept {
  try {
    return run(given, about);
  } catch (const std::exception& problem) {
    return fail(error_code::handler_failed, std::string{"the command failed: "} + problem.what());
  } catch (...) {
    return fail(error_code::handler_failed, "the command failed with an unknown exception");
  }
}

}  // namespace troupe
