#include <troupe/runtime/node.hpp>

#include <unistd.h>

#include <filesystem>

#include <troupe/actors/kernel/outside.hpp>
#include <troupe/actors/links/sockets.hpp>
#include <troupe/runtime/function_keeper.hpp>
#include <troupe/runtime/node_children.hpp>
#include <troupe/runtime/recovery.hpp>
#include <troupe/runtime/surroundings.hpp>
#include <troupe/runtime/version.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto slack = 1s;  // for the supervisor to answer when its own deadline has passed

/// What a node says of itself on its links.
void introduce(node_parts& parts, const store_identity& identity, std::uint64_t incarnation,
               const std::string& address) {
  const auto& settings = parts.settings;
  parts.introduction = {.protocol = {lowest_protocol, highest_protocol},
                        .kind = session_kind::peer,
                        .name = settings.name,
                        .version = {},
                        .sdk = {},
                        .cluster = identity.cluster,
                        .node = identity.node,
                        .incarnation = incarnation,
                        .address = address};
  parts.acceptance = {.node = identity.node,
                      .node_name = settings.name,
                      .incarnation = incarnation,
                      .cluster = identity.cluster,
                      .capabilities = {}};
  parts.about = {.id = identity.node,
                 .name = settings.name,
                 .version = std::string{version},
                 .cluster = identity.cluster,
                 .incarnation = incarnation,
                 .process = static_cast<std::uint64_t>(getpid()),
                 .data_dir = settings.data_dir.native(),
                 .listens = address,
                 .sandbox = std::string{name_of(settings.sandbox)}};
}

}  // namespace

void register_messages() {
  register_message_blocks<caf::id_block::troupe_links, caf::id_block::troupe_commands,
                          caf::id_block::troupe_plugins, caf::id_block::troupe_context,
                          caf::id_block::troupe_runtime>();
}

node::node(caf::actor_system& system, config settings, log_target log)
    : system_(system), settings_(std::move(settings)), log_(std::move(log)) {}

node::~node() { stop(); }

const node_actors& node::actors() const noexcept { return parts_->actors; }

tl::expected<std::unique_ptr<node>, start_failure> node::start(caf::actor_system& system,
                                                               config settings,
                                                               stop_watcher on_stop,
                                                               log_target log) {
  if (auto checked = check_config(settings); !checked)
    return tl::make_unexpected(start_failure{std::move(checked.error()), {}});
  std::unique_ptr<node> made{new node{system, std::move(settings), std::move(log)}};
  if (auto launched = made->launch(std::move(on_stop)); !launched)
    return tl::make_unexpected(start_failure{std::move(launched.error()), made->stop().blocked});
  return made;
}

result<void> node::listen_for_peers() {
  if (settings_.listen.empty()) return {};
  auto socket = listen_tcp(*parse_endpoint(settings_.listen));
  if (!socket) return fail(std::move(socket.error()));
  auto where = local_endpoint(socket->get());
  if (!where) return fail(std::move(where.error()));
  address_ = to_string(*where);
  doors_->peers = std::move(*socket);
  return {};
}

result<void> node::listen_for_clients() {
  if (!settings_.serve_clients) return {};
  auto socket = listen_unix(socket_file(settings_));
  if (!socket) return fail(std::move(socket.error()));
  doors_->clients = std::move(*socket);
  return {};
}

result<void> node::load_plugins() {
  for (const auto& package : settings_.plugins) {
    const auto loaded =
        ask_and_wait<plugin_info>(system_, actors().plugins, load_deadline + 10s,
                                  load_plugin{package.native(), {}, settings_.plugin_level});
    if (!loaded) return fail(plugin_not_started(package, loaded.error()));
  }
  return {};
}

result<void> node::launch(stop_watcher on_stop) {
  auto checked = check_surroundings(settings_);
  if (!checked) return fail(std::move(checked.error()));
  settings_ = std::move(*checked);
  doors_ = std::make_shared<node_doors>();
  if (auto listening = listen_for_peers(); !listening) return listening;
  auto recovered = recover_context(settings_);
  if (!recovered) return fail(std::move(recovered.error()));
  identity_ = recovered->identity;
  incarnation_ = recovered->incarnation;
  if (auto listening = listen_for_clients(); !listening) return listening;

  parts_ = std::make_shared<node_parts>(system_, settings_, log_, std::move(*recovered), on_stop);
  introduce(*parts_, identity_, incarnation_, address_);
  tree_ = spawn_supervisor_tree(
      system_, node_children(parts_, doors_),
      [on_stop](const child_failed& failed) {
        on_stop({"the actor " + failed.name + " has failed: " + failed.reason, true});
      },
      log_);
  if (auto loaded = load_plugins(); !loaded) return loaded;
  log_.logger("node")->info("node.started id={} name={} incarnation={} listen={}",
                            to_string(identity_.node), printable_quoted(settings_.name, 64),
                            incarnation_, address_.empty() ? "-" : address_);
  return {};
}

stop_report node::stop() {
  if (!tree_) return {};
  const auto tree = std::exchange(tree_, nullptr);
  // Remove the socket file while the directory is locked: later it may be another node's. Connected
  // clients are answered until the listeners end.
  if (settings_.serve_clients) {
    std::error_code ignored;
    std::filesystem::remove(socket_file(settings_), ignored);
  }
  doors_ = nullptr;
  auto report = ask_and_wait<stop_report>(system_, tree, settings_.stop_deadline + slack,
                                          stop_children{settings_.stop_deadline});
  if (report && report->blocked.empty()) parts_->recovered.alone = {};  // a copy may start now
  if (!report) return {.blocked = {"supervisor_tree: " + report.error().message}};
  return std::move(*report);
}

}  // namespace troupe
