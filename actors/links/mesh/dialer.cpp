#include <troupe/actors/links/mesh/dialer.hpp>

#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/sockets.hpp>

namespace troupe {

namespace {

result<connected_socket> dial(const dial_address& wanted) {
  auto where = parse_endpoint(wanted.address);
  if (!where) return fail(std::move(where.error()));
  auto socket = connect_tcp(*where, wanted.deadline);
  if (!socket) return fail(std::move(socket.error()));
  return connected_socket{std::make_shared<unique_fd>(std::move(*socket))};
}

class dialer_state {
public:
  using interface = dialer_actor;
  static constexpr const char* name = "dialer";

  explicit dialer_state(interface::pointer) {}

  interface::behavior_type make_behavior() {
    return {[](const dial_address& wanted) { return reply(dial(wanted)); }};
  }
};

}  // namespace

dialer_actor spawn_dialer(caf::actor_system& system) {
  return spawn_blocking<dialer_state>(system);
}

child_spec dialer_child(caf::actor_system& system, on_started<dialer_actor> started) {
  return make_child(
      "dialer", [&system] { return spawn_dialer(system); }, std::move(started));
}

}  // namespace troupe
