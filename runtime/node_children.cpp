#include <troupe/runtime/node_children.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include <troupe/actors/links/admission.hpp>
#include <troupe/actors/links/listener.hpp>
#include <troupe/actors/links/sockets.hpp>
#include <troupe/runtime/node_service.hpp>
#include <troupe/runtime/plugin_hosting.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;
using shared_parts = std::shared_ptr<node_parts>;

/// Keeps the handle of a child that has started.
template <class Handle>
on_started<Handle> keep(const shared_parts& parts, Handle node_actors::*as) {
  return [parts, as](const Handle& started) { parts->actors.*as = started; };
}

/// The same for a child that serves methods.
template <class Handle>
on_started<Handle> keep(const shared_parts& parts, Handle node_actors::*as, service serves) {
  return [parts, as, serves](const Handle& started) {
    parts->actors.*as = started;
    parts->services[serves] = started;
  };
}

link_limits peer_limits() {
  link_limits limits;
  limits.ping_interval = 1s;
  return limits;
}

/// Who was linked so shortly ago that no link may have had the time to come back counts as present.
lease_limits leases_of(const config& settings) {
  const auto length = static_cast<std::uint64_t>(settings.member_lease.count());
  return {length, std::min<std::uint64_t>(lease_limits{}.present_ms, length / 4)};
}

replica_setup setup_of_replica(node_parts& parts) {
  return {.engine = std::move(parts.recovered.engine),
          .identity = parts.recovered.identity,
          .store = parts.actors.store,
          .log = parts.log,
          .replayed = parts.recovered.replayed,
          .log_base = std::move(parts.recovered.log_base),
          .notes = std::move(parts.recovered.notes),
          .saved = std::move(parts.recovered.saved),
          .leases = leases_of(parts.settings)};
}

plugin_environment environment_of_plugins(const node_parts& parts) {
  return {.launcher = parts.actors.launcher,
          .dispatcher = parts.actors.dispatcher,
          .audit = parts.actors.audit,
          .services = parts.services,
          .introduction = parts.acceptance,
          .python_sdk = find_python_sdk(parts.settings),
          .log = parts.log};
}

mesh_setup setup_of_mesh(const node_parts& parts) {
  return {.introduction = parts.introduction,
          .seeds = parts.settings.join,
          .discover = parts.settings.discover,
          .limits = peer_limits(),
          .log = parts.log,
          .services = {{service::context, parts.actors.replica}},
          .replica = parts.actors.replica,
          .dialer = parts.actors.dialer};
}

// -- listeners ------------------------------------------------------------------------------------

/// Gives duplicates of a socket until the node stops. The programs that a host starts do not
/// inherit them.
std::function<unique_fd()> duplicates(const std::shared_ptr<node_doors>& doors,
                                      unique_fd node_doors::*which) {
  return [doors = std::weak_ptr{doors}, which] {
    const auto open = doors.lock();
    return open ? unique_fd{fcntl(((*open).*which).get(), F_DUPFD_CLOEXEC, 0)} : unique_fd{};
  };
}

listener_setup setup_for_peers(const node_parts& parts) {
  const link_setup setup{
      .label = "peer",
      .limits = peer_limits(),
      .log = parts.log,
      .services = {{service::context, parts.actors.replica}, {service::mesh, parts.actors.mesh}},
      .gate = [own = parts.introduction](
                  const session_open& opening) { return admit_peer(opening, own); },
      .owner = link_owner{parts.actors.mesh}};
  return {.label = parts.introduction.address, .log = parts.log, .setup_for = [setup](int) {
            return setup;
          }};
}

listener_setup setup_for_clients(const node_parts& parts) {
  const link_setup setup{.label = "client",
                         .log = parts.log,
                         .services = parts.services,
                         .gate = [own = parts.acceptance](const session_open& opening) {
                           return admit_client(opening, own);
                         }};
  return {.label = "troupe.sock",
          .log = parts.log,
          .setup_for = [setup](int socket) -> result<link_setup> {
            const auto user = peer_user(socket);
            if (!user) return fail(user.error());
            if (auto admitted = admit_user(*user, geteuid()); !admitted)
              return fail(std::move(admitted.error()));
            return setup;
          }};
}

}  // namespace

// -- all of them ----------------------------------------------------------------------------------

std::vector<child_spec> node_children(const shared_parts& parts,
                                      const std::shared_ptr<node_doors>& doors) {
  auto& system = parts->system;
  const auto& settings = parts->settings;
  const auto& log = parts->log;

  std::vector<child_spec> all;
  all.push_back(dialer_child(system, keep(parts, &node_actors::dialer)));
  all.push_back(store_keeper_child(
      system, [parts] { return std::move(parts->recovered.store); },
      keep(parts, &node_actors::store)));
  all.push_back(replica_child(
      system, [parts] { return setup_of_replica(*parts); },
      keep(parts, &node_actors::replica, service::context)));
  all.push_back(audit_child(system, {.directory = settings.data_dir, .log = log},
                            keep(parts, &node_actors::audit, service::audit)));
  all.push_back(dispatcher_child(system, {.max_workers = settings.worker_threads}, log,
                                 keep(parts, &node_actors::dispatcher, service::commands)));
  all.push_back(package_reader_child(system, keep(parts, &node_actors::packages)));
  all.push_back(launcher_child(
      system, choose_sandbox(settings, log), [parts] { return parts->actors.packages; }, log,
      keep(parts, &node_actors::launcher)));
  all.push_back(plugin_manager_child(
      system, [parts] { return environment_of_plugins(*parts); },
      keep(parts, &node_actors::plugins, service::plugins)));
  all.push_back(mesh_child(
      system, [parts] { return setup_of_mesh(*parts); },
      keep(parts, &node_actors::mesh, service::mesh)));
  all.push_back(node_service_child(
      system, parts->about, [parts] { return parts->actors.replica; }, settings.stop_deadline / 2,
      parts->on_stop,
      [parts](const node_service_actor& started) { parts->services[service::node] = started; }));
  if (doors->peers)
    all.push_back(listener_child(system, "peer_listener", duplicates(doors, &node_doors::peers),
                                 [parts] { return setup_for_peers(*parts); }));
  if (doors->clients)
    all.push_back(listener_child(system, "client_listener", duplicates(doors, &node_doors::clients),
                                 [parts] { return setup_for_clients(*parts); }));
  for (auto& each : all) each.stop_deadline = std::max(settings.stop_deadline, 1000ms);
  return all;
}

}  // namespace troupe
