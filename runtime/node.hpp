#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>

#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/context/replica.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/kernel/system.hpp>
#include <troupe/actors/links/mesh/dialer.hpp>
#include <troupe/actors/links/mesh/mesh.hpp>
#include <troupe/actors/monitor/audit.hpp>
#include <troupe/actors/plugins/manager.hpp>
#include <troupe/runtime/config.hpp>
#include <troupe/runtime/stop_request.hpp>

namespace troupe {

/// Registers Troupe's messages with CAF. Call it before the first actor system is made. Once is
/// enough; more does no harm.
void register_messages();

/// The actors of a running node.
struct node_actors {
  store_keeper_actor store;
  replica_actor replica;
  audit_actor audit;
  dispatcher_actor dispatcher;
  package_reader_actor packages;
  launcher_actor launcher;
  plugin_manager_actor plugins;
  dialer_actor dialer;
  mesh_actor mesh;
};

struct node_doors;
struct node_parts;

/// Why a node has not started.
struct start_failure {
  error why;
  /// What had been started and did not stop in time. The actor system waits for its end.
  std::vector<std::string> blocked;
};

/// A node: all subsystems, started in order and stopped in reverse. Not thread-safe, except for its
/// actors.
class node {
public:
  /// Called when the node should stop: a client requested it over a link, or an essential actor has
  /// failed. Called from an actor; must not block.
  using stop_watcher = std::function<void(stop_request)>;

  /// Opens the data directory, recovers its state and starts everything. Blocks until the node
  /// serves.
  /// @param system Outlives the node.
  static tl::expected<std::unique_ptr<node>, start_failure> start(caf::actor_system& system,
                                                                  config settings,
                                                                  stop_watcher on_stop,
                                                                  log_target log);

  /// Stops, if `stop` was not called.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Stops everything within the configured deadline. @returns what did not stop in time. The
  /// second call does nothing.
  stop_report stop();

  /// The handles of the subsystems, which are valid as long as the node.
  const node_actors& actors() const noexcept;
  const config& settings() const noexcept { return settings_; }
  /// Where the node listens for others; empty when it does not.
  const std::string& address() const noexcept { return address_; }
  const node_id& id() const noexcept { return identity_.node; }
  std::uint64_t incarnation() const noexcept { return incarnation_; }

private:
  node(caf::actor_system& system, config settings, log_target log);

  result<void> launch(stop_watcher on_stop);
  result<void> listen_for_peers();
  result<void> listen_for_clients();
  result<void> load_plugins();

  caf::actor_system& system_;
  config settings_;
  log_target log_;
  std::string address_;
  store_identity identity_;
  std::uint64_t incarnation_ = 0;
  std::shared_ptr<node_doors> doors_;  ///< Until the stop.
  std::shared_ptr<node_parts> parts_;
  supervisor_tree tree_;
};

}  // namespace troupe
