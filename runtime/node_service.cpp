#include <troupe/runtime/node_service.hpp>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto replica_deadline = 5s;
constexpr auto slack = 1s;

class node_service_state {
public:
  using interface = node_service_actor;
  static constexpr const char* name = "node_service";

  node_service_state(interface::pointer self, node_info about, replica_actor replica,
                     std::chrono::milliseconds settle_deadline,
                     std::function<void(stop_request)> on_stop)
      : self_(self),
        about_(std::move(about)),
        replica_(std::move(replica)),
        settle_deadline_(settle_deadline),
        on_stop_(std::move(on_stop)),
        started_(self->clock().now()) {}

  interface::behavior_type make_behavior() {
    return {
        [this](get_node_info) {
          return reply_later<node_info>(self_, [this](reply_to<node_info> to) { describe(to); });
        },
        [this](service_call& call) { return serve(call); },
        [](const service_notification&) {},
    };
  }

private:
  caf::result<payload> serve(service_call& call) {
    return serve_method(message_types<get_node_info, stop_node>{}, call,
                        overloaded{[this](get_node_info, const service_call&) {
                                     return reply_bytes_later<node_info>(
                                         self_, [this](reply_to<node_info> to) { describe(to); });
                                   },
                                   [this](stop_node, const service_call& asked) {
                                     return reply_bytes_later<void>(self_, [&](reply_to<void> to) {
                                       stop(asked.caller->name, std::move(to));
                                     });
                                   }});
  }

  /// Answers with what is not on the disk, before the links end.
  void stop(const std::string& caller, reply_to<void> to) {
    stops_.push_back(std::move(to));
    if (stops_.size() > 1) return;
    const auto settled = [this, caller](const result<void>& outcome) {
      for (auto& each : std::exchange(stops_, {})) each(outcome);
      on_stop_({"asked by " + caller});
    };
    ask(self_, replica_, settle_deadline_ + slack, settle_context{settle_deadline_})
        .then([settled] { settled({}); },
              [settled](const error& why) {
                settled(fail(error_code::storage_failure, why.message));
              });
  }

  void describe(reply_to<node_info> to) {
    ask(self_, replica_, replica_deadline, take_snapshot{})
        .then(
            [this, to](const snapshot_taken& now) mutable {
              node_info info = about_;
              info.root_hash = now.tree.hash();
              info.entries = now.values;
              info.conflicts = now.conflicts;
              info.members = now.members;
              info.problems = now.problems;
              const auto uptime = self_->clock().now() - started_;
              info.uptime_ms = static_cast<std::uint64_t>(
                  std::chrono::duration_cast<std::chrono::milliseconds>(uptime).count());
              to(std::move(info));
            },
            pass_error(to));
  }

  interface::pointer self_;
  node_info about_;
  replica_actor replica_;
  std::chrono::milliseconds settle_deadline_;
  std::function<void(stop_request)> on_stop_;
  std::vector<reply_to<void>> stops_;  ///< Wait for what is not on the disk.
  std::chrono::steady_clock::time_point started_;
};

}  // namespace

node_service_actor spawn_node_service(caf::actor_system& system, node_info about,
                                      replica_actor replica,
                                      std::chrono::milliseconds settle_deadline,
                                      std::function<void(stop_request)> on_stop) {
  return spawn_shell<node_service_state>(system, std::move(about), std::move(replica),
                                         settle_deadline, std::move(on_stop));
}

child_spec node_service_child(caf::actor_system& system, node_info about,
                              std::function<replica_actor()> replica,
                              std::chrono::milliseconds settle_deadline,
                              std::function<void(stop_request)> on_stop,
                              on_started<node_service_actor> started) {
  return make_child(
      "node_service",
      [&system, about = std::move(about), replica = std::move(replica), settle_deadline,
       on_stop = std::move(on_stop)] {
        return spawn_node_service(system, about, replica(), settle_deadline, on_stop);
      },
      std::move(started));
}

}  // namespace troupe
