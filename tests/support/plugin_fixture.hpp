#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/plugins/supervisor.hpp>
#include <troupe/messages/plugin_protocol.hpp>
#include <troupe/tests/support/fake_service.hpp>
#include <troupe/tests/support/plugin_manifests.hpp>
#include <troupe/tests/support/raw_peer.hpp>

namespace troupe::test {

/// A launcher that starts no processes: each launch makes a connection whose other end the test
/// takes with `next_plugin`.
class fake_launcher {
public:
  explicit fake_launcher(real_system& system) {
    actor_ = system.own(
        launcher_actor{system.caf().spawn([memory = memory_](launcher_actor::pointer self) {
          const auto held =
              std::make_shared<std::vector<caf::typed_response_promise<plugin_ended>>>();
          const auto unread = std::make_shared<
              std::vector<std::pair<read_package, caf::typed_response_promise<package_read>>>>();
          return launcher_actor::behavior_type{
              [memory, self, unread](const read_package& wanted) -> caf::result<package_read> {
                if (!memory->holds_packages()) return reply(memory->read(wanted));
                unread->emplace_back(wanted, self->make_response_promise<package_read>());
                return unread->back().second;
              },
              [memory](const launch_plugin& wanted) { return memory->launch(wanted); },
              [memory, self, held](const end_plugin& order) -> caf::result<plugin_ended> {
                if (const auto outcome = memory->end(order)) return reply(*outcome);
                held->push_back(self->make_response_promise<plugin_ended>());
                return held->back();
              },
              [](const track_plugin& wanted) -> caf::result<resource_usage> {
                return resource_usage{.memory_bytes = wanted.plugin.size(),
                                      .memory_mechanism = "none",
                                      .cpu_mechanism = "none",
                                      .process_mechanism = "none"};
              },
              [](const check_by_policy& wanted) {
                return reply(wanted.policy->check(wanted.operation));
              },
              [memory, held, unread](tick) {  // what is held is answered now
                for (auto& promise : std::exchange(*held, {})) promise.deliver(plugin_ended{});
                for (auto& [wanted, promise] : std::exchange(*unread, {})) {
                  if (auto read = memory->read(wanted))
                    promise.deliver(std::move(*read));
                  else
                    promise.deliver(to_caf(read.error()));
                }
              }};
        })});
  }

  const launcher_actor& actor() const { return actor_; }
  /// The other end of the oldest launch that was not taken yet; waits for it.
  raw_peer next_plugin() {
    if (!eventually([this] { return waiting() > 0; }))
      throw std::runtime_error{"no plugin is launched"};
    const std::lock_guard locked{memory_->guard};
    auto socket = std::move(memory_->waiting.front());
    memory_->waiting.pop_front();
    return raw_peer{std::move(socket)};
  }
  /// Launches that were not taken yet.
  std::size_t waiting() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->waiting.size();
  }
  std::vector<sandbox_spec> launched() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->launched;
  }
  /// What the plugins of these launches may read where it is a file.
  std::vector<std::vector<std::filesystem::path>> launched_files() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->files;
  }
  /// The same, of what was granted beside the manifest, where it is a directory that can be shown.
  std::vector<std::vector<std::filesystem::path>> launched_trees() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->trees;
  }
  std::vector<end_plugin> ended() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->ended;
  }
  /// Tells the supervisor of the latest launch that its process has ended.
  void report_exit(const exit_status& status) {
    const std::lock_guard locked{memory_->guard};
    tell(memory_->watcher, plugin_exited{memory_->launched.back().plugin, status});
  }
  /// Tells the supervisor of the latest launch that its plugin uses too much.
  void report_excess(std::string what) {
    const std::lock_guard locked{memory_->guard};
    tell(memory_->watcher, plugin_exceeded{memory_->launched.back().plugin, std::move(what)});
  }
  /// From now on processes that may end by themselves end so.
  void end_with(const exit_status& status) {
    const std::lock_guard locked{memory_->guard};
    memory_->status = status;
  }
  void refuse_launches(error why) {
    const std::lock_guard locked{memory_->guard};
    memory_->refusal = std::move(why);
  }
  /// From now on nothing that is to end does.
  void never_end() {
    const std::lock_guard locked{memory_->guard};
    memory_->endless = true;
  }
  /// From now on nothing that is to end can.
  void refuse_ends(error why) {
    const std::lock_guard locked{memory_->guard};
    memory_->end_refusal = std::move(why);
  }
  /// From now on no package is read.
  void hold_packages() {
    const std::lock_guard locked{memory_->guard};
    memory_->holding = true;
  }
  /// Packages that are to be read and are held.
  std::size_t held_packages() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->held_packages;
  }
  /// Everything ends and is read again, and so is what was held.
  void let_go() {
    {
      const std::lock_guard locked{memory_->guard};
      memory_->endless = memory_->holding = false;
      memory_->end_refusal.reset();
    }
    tell(actor_, tick::fast);
  }
  void add_package(const std::string& directory, plugin_manifest manifest) {
    const std::lock_guard locked{memory_->guard};
    memory_->packages[directory] = std::make_shared<const plugin_manifest>(std::move(manifest));
  }

private:
  struct memory {
    mutable std::mutex guard;
    std::map<std::string, std::shared_ptr<const plugin_manifest>> packages;
    std::deque<unique_fd> waiting;
    std::vector<sandbox_spec> launched;
    std::vector<std::vector<std::filesystem::path>> files, trees;
    std::vector<end_plugin> ended;
    std::optional<exit_status> status;
    exit_watcher watcher;
    std::optional<error> refusal, end_refusal;
    bool endless = false;
    bool holding = false;
    std::size_t held_packages = 0;

    bool holds_packages() {
      const std::lock_guard locked{guard};
      held_packages += holding ? 1 : 0;
      return holding;
    }
    result<package_read> read(const read_package& wanted) const {
      const std::lock_guard locked{guard};
      const auto found = packages.find(wanted.directory.native());
      if (found == packages.end())
        return fail(error_code::not_found, "there is no package in " + wanted.directory.native());
      return package_read{found->second};
    }
    caf::result<plugin_launched> launch(const launch_plugin& wanted) {
      const std::lock_guard locked{guard};
      launched.push_back(wanted.spec);
      files.push_back(wanted.files);
      trees.push_back(wanted.trees);
      if (refusal) return to_caf(*refusal);
      socket_pair sockets;
      waiting.push_back(std::move(sockets.far));
      watcher = wanted.watcher;
      return plugin_launched{
          std::make_shared<unique_fd>(std::move(sockets.near)), 4711, {{"process", "none"}}};
    }
    /// Nothing when the answer is to wait.
    std::optional<result<plugin_ended>> end(const end_plugin& order) {
      const std::lock_guard locked{guard};
      ended.push_back(order);
      if (end_refusal) return result<plugin_ended>{fail(*end_refusal)};
      if (endless) return std::nullopt;
      return plugin_ended{order.patience.count() > 0 ? status : std::nullopt};
    }
  };

  std::shared_ptr<memory> memory_ = std::make_shared<memory>();
  launcher_actor actor_;
};

/// An audit trail in memory.
class fake_audit {
public:
  explicit fake_audit(real_system& system) {
    actor_ = system.own(audit_actor{system.caf().spawn([memory = memory_](audit_actor::pointer) {
      return audit_actor::behavior_type{
          [memory](const audit_record& record) -> caf::result<void> {
            const std::lock_guard locked{memory->guard};
            if (memory->refusal) return to_caf(*memory->refusal);
            memory->records.push_back(record);
            return {};
          },
          [](const search_audit&) { return audit_list{}; },
          [](const service_call&) -> caf::result<payload> {
            return to_caf({error_code::not_found, "nothing is served", {}});
          },
          [](const service_notification&) {}};
    })});
  }
  const audit_actor& actor() const { return actor_; }
  /// From now on records cannot be written, for this reason; or can again, when there is none.
  void refuse(std::optional<error> why) {
    const std::lock_guard locked{memory_->guard};
    memory_->refusal = std::move(why);
  }
  /// The records of this event, once there are at least this many.
  std::vector<audit_record> records(std::string_view event, std::size_t at_least = 1) const {
    std::vector<audit_record> found;
    eventually([&] {
      const std::lock_guard locked{memory_->guard};
      found.clear();
      for (const auto& each : memory_->records)
        if (each.event == event) found.push_back(each);
      return found.size() >= at_least;
    });
    return found;
  }

private:
  struct memory {
    std::mutex guard;
    std::vector<audit_record> records;
    std::optional<error> refusal;
  };
  std::shared_ptr<memory> memory_ = std::make_shared<memory>();
  audit_actor actor_;
};

/// Everything around plugins but the plugins: a launcher, a dispatcher, an audit trail, and a
/// service for the context.
class plugin_surroundings {
public:
  real_system system;
  recorded_log log;
  fake_launcher launcher{system};
  fake_audit audit{system};
  fake_service context{system, [](const service_call& call) -> std::optional<result<value>> {
                         if (call.method == "context.list") return std::nullopt;
                         if (call.method == "context.delete")
                           return fail(error_code::not_found, "nothing is there");
                         return value{"from the context"};
                       }};
  dispatcher_actor dispatcher = system.own(spawn_dispatcher(system.caf(), {}, log.target()));

  plugin_environment environment() {
    session_accepted introduction;
    introduction.node_name = "here";
    return {.launcher = launcher.actor(),
            .dispatcher = dispatcher,
            .audit = audit.actor(),
            .services = {{service::context, context.actor()},
                         {service::commands, caf::actor_cast<service_actor>(dispatcher)}},
            .introduction = introduction,
            .python_sdk = "/sdk/python",
            .log = log.target()};
  }
  /// For a package with this manifest, of whose requests these are granted; all without any.
  supervisor_setup setup_for(plugin_manifest manifest,
                             const std::vector<std::string>& grants = {}) {
    auto shared = std::make_shared<const plugin_manifest>(std::move(manifest));
    auto book = grant_book::open(shared, grants);
    REQUIRE(book);
    return {std::move(shared), "/packages/notes", std::move(*book), environment()};
  }
  answer<value> execute(std::string command, arguments given = {},
                        std::chrono::milliseconds deadline = 0ms) {
    return system.ask<value>(
        dispatcher,
        execute_command{std::move(command), std::move(given), the_host(), deadline, {}});
  }
  std::vector<std::string> offered() {
    std::vector<std::string> all;
    const auto listed = system.ask<command_list>(dispatcher, list_commands{});
    for (const auto& each : listed.value().commands) all.push_back(each.name);
    return all;
  }
};

/// What a plugin says first.
inline session_open plugin_opening(std::string name = "notes") {
  session_open made;
  made.protocol = {lowest_protocol, highest_protocol};
  made.kind = session_kind::plugin;
  made.name = std::move(name);
  return made;
}

/// Plays a plugin's part of a start, up to its commands.
inline session_accepted begin_session(raw_peer& plugin, const std::vector<std::string>& commands) {
  const auto accepted = plugin.call_with("session.open", plugin_opening());
  if (accepted.failure.code != error_code::none)
    throw std::runtime_error{"the session is refused: " + accepted.failure.message};
  const auto start = plugin.expect_request("plugin.start");
  plugin_started answer;
  for (const auto& name : commands) answer.commands.push_back(command_spec{name});
  plugin.respond(start.id, encode(answer));
  return accepted.as<session_accepted>();
}

}  // namespace troupe::test
