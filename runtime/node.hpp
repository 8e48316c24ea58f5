#pragma once

#include <functional>
#include <memory>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/actors/context/replica.hpp>
#include <troupe/actors/kernel/supervision.hpp>
#include <troupe/actors/links/listener.hpp>
#include <troupe/actors/links/mesh.hpp>
#include <troupe/actors/monitor/audit.hpp>
#include <troupe/actors/plugins/manager.hpp>
#include <troupe/runtime/config.hpp>
#include <troupe/runtime/stop_request.hpp>

namespace troupe {

/// Registers Troupe's messages with CAF. Must run before the first actor system is made; more than
/// once does no harm.
void register_messages();

/// CAF's settings as Troupe needs them: I/O loaded, nothing read from the command line or files.
class system_config : public caf::actor_system_config {
public:
  system_config();
};

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

/// Where the package of a plugin is: its absolute path, which must be UTF-8, as it is told to
/// others.
result<std::string> package_place(const std::filesystem::path& package);

/// Why a node has not started.
struct start_failure {
  error why;
  std::vector<std::string>
      blocked;  ///< What had been started and did not stop in time: the actor system waits for it.
};

/// A node: all subsystems, started in order and stopped in reverse. Not thread-safe but for what
/// the actors are.
class node {
public:
  /// Told when the node should stop: somebody asked over a link, or an essential actor has failed.
  /// Called from an actor; must not block.
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
  /// second time it does nothing.
  stop_report stop();

  const node_actors& actors() const noexcept { return actors_; }
  const config& settings() const noexcept { return settings_; }
  /// Where the node listens for others; empty when it does not.
  const std::string& address() const noexcept { return address_; }
  const node_id& id() const noexcept { return identity_.node; }
  std::uint64_t incarnation() const noexcept { return incarnation_; }

private:
  node(caf::actor_system& system, config settings, log_target log);

  /// The sockets on which it listens. The listeners have duplicates, so that they can be started
  /// again.
  struct doors {
    unique_fd peers, clients;
  };

  result<void> launch(stop_watcher on_stop);
  result<void> check_surroundings();
  std::vector<child_spec> children(context_engine engine, context_store store,
                                   const stop_watcher& on_stop);
  /// @param open Without it, once the stop has begun, there is nothing to start.
  caf::actor start_listener(const std::weak_ptr<doors>& open, unique_fd doors::*which,
                            listener_setup setup);
  std::filesystem::path socket_file() const { return settings_.data_dir / "troupe.sock"; }
  sandbox_factory make_sandbox() const;

  caf::actor_system& system_;
  config settings_;
  log_target log_;
  std::string address_;
  store_identity identity_;
  std::uint64_t incarnation_ = 0;
  std::shared_ptr<doors> doors_;  ///< Until the stop.
  node_actors actors_;
  supervisor_tree tree_;
};

}  // namespace troupe
