#include <troupe/runtime/node_service.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto replica_deadline = 5s;

class node_service_state {
public:
  using interface = node_service_actor;
  static constexpr const char* name = "node_service";

  node_service_state(interface::pointer self, node_info about, replica_actor replica,
                     std::function<void(stop_request)> on_stop)
      : self_(self),
        about_(std::move(about)),
        replica_(std::move(replica)),
        on_stop_(std::move(on_stop)),
        started_(self->clock().now()) {}

  interface::behavior_type make_behavior() {
    return {
        [this](no_parameters) {
          auto promise = self_->make_response_promise<node_info>();
          describe([promise](node_info info) mutable { promise.deliver(std::move(info)); },
                   deliver_error(promise));
          return promise;
        },
        [this](const service_call& call) -> caf::result<payload> {
          auto promise = self_->make_response_promise<payload>();
          if (call.method == "node.stop") {
            promise.deliver(done_payload());
            on_stop_({"asked by " + call.caller->name});
          } else {
            describe(deliver_encoded<node_info>(promise), deliver_error(promise));
          }
          return promise;
        },
        [](const service_notice&) {},
    };
  }

private:
  template <class Done, class Failed>
  void describe(Done done, Failed failed) {
    ask(self_, replica_, replica_deadline, take_snapshot{})
        .then(
            [this, done](const snapshot_taken& now) mutable {
              node_info info = about_;
              info.root_hash = now.tree.hash();
              info.entries = now.values;
              info.conflicts = now.conflicts;
              info.uptime_ms =
                  static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 self_->clock().now() - started_)
                                                 .count());
              done(std::move(info));
            },
            failed);
  }

  interface::pointer self_;
  node_info about_;
  replica_actor replica_;
  std::function<void(stop_request)> on_stop_;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace

node_service_actor spawn_node_service(caf::actor_system& system, node_info about,
                                      replica_actor replica,
                                      std::function<void(stop_request)> on_stop) {
  return spawn_shell<node_service_state>(system, std::move(about), std::move(replica),
                                         std::move(on_stop));
}

}  // namespace troupe
