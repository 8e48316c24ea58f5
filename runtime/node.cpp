#include <troupe/runtime/node.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <caf/init_global_meta_objects.hpp>
#include <caf/io/middleman.hpp>

#include <xxhash.h>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/kernel/outside.hpp>
#include <troupe/actors/links/admission.hpp>
#include <troupe/actors/links/sockets.hpp>
#include <troupe/messages/utf8.hpp>
#include <troupe/plugins/manifest.hpp>
#include <troupe/plugins/sandbox/bubblewrap.hpp>
#include <troupe/plugins/sandbox/unconfined.hpp>
#include <troupe/runtime/function_keeper.hpp>
#include <troupe/runtime/node_service.hpp>
#include <troupe/runtime/version.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

/// The id that a cluster's name stands for.
cluster_id cluster_of(const std::string& name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return {make_random_uuid(little_endian(hash.high64, hash.low64))};
}

std::filesystem::path program_directory() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

/// The directory with the Python SDK: as configured, or where a build or an installation has it.
std::filesystem::path find_python_sdk(const config& settings) {
  if (!settings.python_sdk.empty()) return std::filesystem::absolute(settings.python_sdk);
  for (const char* place : {"../sdk/python", "../share/troupe/sdk/python"}) {
    std::error_code problem;
    const auto directory = std::filesystem::canonical(program_directory() / place, problem);
    if (!problem) return directory;
  }
  return {};
}

result<context_engine> recover(context_store& store, std::uint64_t incarnation) {
  auto state = store.load_checkpoint();
  if (!state) return fail(std::move(state.error()));
  const auto checkpointed = state->vector;
  context_engine engine{store.identity().node, incarnation, std::move(*state)};
  auto replayed =
      store.replay(checkpointed, [&, now = system_wall_clock()()](change_record&& record) {
        return engine.replay(std::move(record), now);
      });
  if (!replayed) return fail(std::move(replayed.error()));
  return engine;
}

/// For the next run: grows with time, so that a data directory that is set back to an old copy
/// repeats no incarnation, and has a part by chance, so that two copies that start in the same
/// moment are told apart.
std::uint64_t least_incarnation() {
  const auto chance = random_uuid().bytes;
  return system_wall_clock()() << 12 | (chance[0] & 0x0fu) << 8 | chance[1];
}

/// The programs that a host starts do not inherit it.
unique_fd duplicate(const unique_fd& socket) {
  return unique_fd{fcntl(socket.get(), F_DUPFD_CLOEXEC, 0)};
}

error not_started(const std::filesystem::path& package, const error& why) {
  return {why.code, "the plugin " + package.native() + " cannot be started: " + why.message, {}};
}

/// Whether the data directory can be used or made, as far as that shows before anything is.
result<void> check_data_dir(const std::filesystem::path& wanted) {
  std::error_code problem;
  auto there = wanted;
  auto found = std::filesystem::status(there, problem);
  while (found.type() == std::filesystem::file_type::not_found && there.has_relative_path()) {
    there = there.parent_path();
    found = std::filesystem::status(there, problem);
  }
  const auto refused = [&](const std::string& why) {
    const auto what =
        there == wanted ? " cannot be used: " : " cannot be made: " + there.native() + ": ";
    return fail(error_code::invalid_argument, "the data directory " + wanted.native() + what + why);
  };
  if (!std::filesystem::exists(found)) return refused(problem.message());
  if (!std::filesystem::is_directory(found)) return refused("it is not a directory");
  if (access(there.c_str(), there == wanted ? R_OK | W_OK | X_OK : W_OK | X_OK) != 0)
    return refused(std::strerror(errno));
  return {};
}

link_limits peer_limits() {
  link_limits limits;
  limits.ping_interval = 1s;
  return limits;
}

}  // namespace

void register_messages() {
  [[maybe_unused]] static const bool once = [] {
    caf::init_global_meta_objects<caf::id_block::troupe_messages>();
    caf::init_global_meta_objects<caf::id_block::troupe_kernel>();
    caf::init_global_meta_objects<caf::id_block::troupe_links>();
    caf::init_global_meta_objects<caf::id_block::troupe_commands>();
    caf::init_global_meta_objects<caf::id_block::troupe_plugins>();
    caf::init_global_meta_objects<caf::id_block::troupe_context>();
    caf::init_global_meta_objects<caf::id_block::troupe_runtime>();
    caf::io::middleman::init_global_meta_objects();
    caf::core::init_global_meta_objects();
    return true;
  }();
}

system_config::system_config() {
  load<caf::io::middleman>();
  set("caf.middleman.network-backend", "default");
  // A worker that finds nothing to do soon sleeps until it is woken: left to look 500 times, every
  // 50 us, as CAF does, four of them use a tenth of a core in a node whose clocks tick and that has
  // nothing else to do.
  set("caf.work-stealing.moderate-poll-attempts", 20);
}

node::node(caf::actor_system& system, config settings, log_target log)
    : system_(system), settings_(std::move(settings)), log_(std::move(log)) {}

node::~node() { stop(); }

result<std::string> package_place(const std::filesystem::path& package) {
  if (package.empty())
    return fail(error_code::invalid_argument, "the name of a plugin's package directory is empty");
  std::error_code problem;
  const auto place = std::filesystem::absolute(package, problem);
  if (problem)
    return fail(error_code::unavailable,
                "the package " + package.native() + " cannot be found: " + problem.message());
  if (!is_utf8(place.native()))
    return fail(error_code::invalid_argument,
                "the path of the package " + repaired_utf8(place.native()) + " is not UTF-8");
  return place.native();
}

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

/// What would fail later, when something has been written.
result<void> node::check_surroundings() {
  std::error_code problem;
  settings_.data_dir = std::filesystem::absolute(settings_.data_dir, problem);
  if (problem)
    return fail(error_code::unavailable,
                "the data directory cannot be found: " + problem.message());
  if (!is_utf8(settings_.data_dir.native()))
    return fail(error_code::invalid_argument, "the path of the data directory " +
                                                  repaired_utf8(settings_.data_dir.native()) +
                                                  " is not UTF-8");
  if (auto checked = check_data_dir(settings_.data_dir); !checked) return checked;
  if (settings_.serve_clients)
    if (auto checked = check_unix_place(socket_file()); !checked) return checked;
  for (auto& package : settings_.plugins) {
    auto place = package_place(package);
    if (place)
      if (auto read = load_manifest(*place); !read) place = fail(std::move(read.error()));
    if (!place) return fail(not_started(package, place.error()));
    package = std::move(*place);
  }
  return {};
}

result<void> node::launch(stop_watcher on_stop) {
  if (auto checked = check_surroundings(); !checked) return checked;
  doors_ = std::make_shared<doors>();
  if (!settings_.listen.empty()) {
    auto socket = listen_tcp(*parse_endpoint(settings_.listen));
    if (!socket) return fail(std::move(socket.error()));
    auto where = local_endpoint(socket->get());
    if (!where) return fail(std::move(where.error()));
    address_ = to_string(*where);
    doors_->peers = std::move(*socket);
  }
  auto store = context_store::open(settings_.data_dir.native(),
                                   {cluster_of(settings_.cluster), {random_uuid()}});
  if (!store) return fail(std::move(store.error()));
  identity_ = store->identity();
  if (identity_.cluster != cluster_of(settings_.cluster))
    return fail(error_code::invalid_argument, "the data directory " + settings_.data_dir.native() +
                                                  " belongs to another cluster than \"" +
                                                  settings_.cluster + "\"");
  auto incarnation = store->begin_incarnation(least_incarnation());
  if (!incarnation) return fail(std::move(incarnation.error()));
  incarnation_ = *incarnation;
  auto engine = recover(*store, incarnation_);
  if (!engine) return fail(std::move(engine.error()));

  if (settings_.serve_clients) {
    auto socket = listen_unix(socket_file());
    if (!socket) return fail(std::move(socket.error()));
    doors_->clients = std::move(*socket);
  }

  tree_ = spawn_supervisor_tree(
      system_, children(std::move(*engine), std::move(*store), on_stop),
      [on_stop](const child_failed& failed) {
        on_stop({"the actor " + failed.name + " has failed: " + failed.reason, true});
      },
      log_);

  for (const auto& package : settings_.plugins) {
    const auto loaded =
        ask_and_wait<plugin_info>(system_, actors_.plugins, load_deadline + 10s,
                                  load_plugin{package.native(), {}, settings_.plugin_level});
    if (!loaded) return fail(not_started(package, loaded.error()));
  }
  log_.logger("node")->info("node.started id={} name={} incarnation={} listen={}",
                            to_string(identity_.node), printable_quoted(settings_.name, 64),
                            incarnation_, address_.empty() ? "-" : address_);
  return {};
}

caf::actor node::start_listener(const std::weak_ptr<doors>& open, unique_fd doors::*which,
                                listener_setup setup) {
  const auto held = open.lock();
  auto socket = held ? duplicate((*held).*which) : unique_fd{};
  if (!socket) return system_.spawn([] {});  // ends at once
  return caf::actor_cast<caf::actor>(spawn_listener(system_, std::move(socket), std::move(setup)));
}

std::vector<child_spec> node::children(context_engine engine, context_store store,
                                       const stop_watcher& on_stop) {
  // Each child is started once unless it is replaceable, and after all those before it, so it may
  // take their handles. The children that own something take it out of a shared place, as a
  // function may be copied.
  struct belongings {
    context_engine engine;
    context_store store;
  };
  auto own = std::make_shared<belongings>(belongings{std::move(engine), std::move(store)});
  const std::weak_ptr<doors> open = doors_;
  auto services = std::make_shared<service_table>();
  const auto part = std::max(settings_.stop_deadline, 1000ms);

  session_open introduction;
  introduction.protocol = {lowest_protocol, highest_protocol};
  introduction.kind = session_kind::peer;
  introduction.name = settings_.name;
  introduction.cluster = identity_.cluster;
  introduction.node = identity_.node;
  introduction.incarnation = incarnation_;
  introduction.address = address_;
  session_accepted acceptance;
  acceptance.node = identity_.node;
  acceptance.node_name = settings_.name;
  acceptance.incarnation = incarnation_;
  acceptance.cluster = identity_.cluster;

  std::vector<child_spec> all;
  // Started first, so stopped last: it may hang in a name server or a silent network, and nobody
  // else has to wait for that.
  all.push_back({.name = "dialer",
                 .start =
                     [this] {
                       actors_.dialer = spawn_dialer(system_);
                       return caf::actor_cast<caf::actor>(actors_.dialer);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  all.push_back({.name = "store_keeper",
                 .start =
                     [this, own] {
                       actors_.store = spawn_store_keeper(system_, std::move(own->store));
                       return caf::actor_cast<caf::actor>(actors_.store);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  all.push_back(
      {.name = "replica",
       .start =
           [this, own, services, replayed = own->store.records_since_checkpoint(),
            check_took = own->store.check_took()] {
             actors_.replica = spawn_replica(system_, {.engine = std::move(own->engine),
                                                       .identity = identity_,
                                                       .store = actors_.store,
                                                       .log = log_,
                                                       .replayed = replayed,
                                                       .check_took = check_took});
             (*services)[service::context] = actors_.replica;
             return caf::actor_cast<caf::actor>(actors_.replica);
           },
       .farewell = [](std::chrono::milliseconds) { return caf::make_message(settle_context{}); },
       .stop_deadline = part});
  all.push_back({.name = "audit",
                 .start =
                     [this, services] {
                       actors_.audit =
                           spawn_audit(system_, {.directory = settings_.data_dir, .log = log_});
                       (*services)[service::audit] = actors_.audit;
                       return caf::actor_cast<caf::actor>(actors_.audit);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  all.push_back(
      {.name = "dispatcher",
       .start =
           [this, services] {
             actors_.dispatcher =
                 spawn_dispatcher(system_, {.max_workers = settings_.worker_threads}, log_);
             (*services)[service::commands] = actors_.dispatcher;
             return caf::actor_cast<caf::actor>(actors_.dispatcher);
           },
       .farewell =
           [](std::chrono::milliseconds time) { return caf::make_message(stop_commands{time}); },
       .stop_deadline = part});
  all.push_back({.name = "package_reader",
                 .start =
                     [this] {
                       actors_.packages = spawn_package_reader(system_);
                       return caf::actor_cast<caf::actor>(actors_.packages);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  all.push_back({.name = "launcher",
                 .start =
                     [this] {
                       actors_.launcher =
                           spawn_launcher(system_, make_sandbox(), actors_.packages, log_);
                       return caf::actor_cast<caf::actor>(actors_.launcher);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  all.push_back(
      {.name = "plugin_manager",
       .start =
           [this, services, acceptance] {
             actors_.plugins =
                 spawn_plugin_manager(system_, {.launcher = actors_.launcher,
                                                .dispatcher = actors_.dispatcher,
                                                .audit = actors_.audit,
                                                .services = *services,
                                                .introduction = acceptance,
                                                .python_sdk = find_python_sdk(settings_),
                                                .log = log_});
             (*services)[service::plugins] = actors_.plugins;
             return caf::actor_cast<caf::actor>(actors_.plugins);
           },
       .farewell =
           [](std::chrono::milliseconds time) { return caf::make_message(stop_plugins{time}); },
       .stop_deadline = part});
  all.push_back({.name = "mesh",
                 .start =
                     [this, services, introduction] {
                       actors_.mesh =
                           spawn_mesh(system_, {.introduction = introduction,
                                                .seeds = settings_.join,
                                                .discover = settings_.discover,
                                                .limits = peer_limits(),
                                                .log = log_,
                                                .services = {{service::context, actors_.replica}},
                                                .replica = actors_.replica,
                                                .dialer = actors_.dialer});
                       (*services)[service::mesh] = actors_.mesh;
                       return caf::actor_cast<caf::actor>(actors_.mesh);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  all.push_back({.name = "node_service",
                 .start =
                     [this, services, on_stop] {
                       const node_info about{.id = identity_.node,
                                             .name = settings_.name,
                                             .version = std::string{version},
                                             .cluster = identity_.cluster,
                                             .incarnation = incarnation_,
                                             .process = static_cast<std::uint64_t>(getpid()),
                                             .data_dir = settings_.data_dir.native(),
                                             .listens = address_,
                                             .sandbox = std::string{name_of(settings_.sandbox)}};
                       auto made = spawn_node_service(system_, about, actors_.replica, on_stop);
                       (*services)[service::node] = made;
                       return caf::actor_cast<caf::actor>(made);
                     },
                 .farewell = {},
                 .stop_deadline = part});
  if (doors_->peers)
    all.push_back(
        {.name = "peer_listener",
         .start =
             [this, open, introduction] {
               const link_setup setup{
                   .label = "peer",
                   .limits = peer_limits(),
                   .log = log_,
                   .services = {{service::context, actors_.replica}, {service::mesh, actors_.mesh}},
                   .gate =
                       [introduction](const session_open& opening) {
                         return admit_peer(opening, introduction);
                       },
                   .owner = link_owner{actors_.mesh}};
               return start_listener(
                   open, &doors::peers,
                   {.label = address_, .log = log_, .setup_for = [setup](int) { return setup; }});
             },
         .kind = child_kind::replaceable,
         .farewell = {},
         .stop_deadline = part});
  if (doors_->clients)
    all.push_back({.name = "client_listener",
                   .start =
                       [this, open, services, acceptance] {
                         const link_setup setup{.label = "client",
                                                .log = log_,
                                                .services = *services,
                                                .gate = [acceptance](const session_open& opening) {
                                                  return admit_client(opening, acceptance);
                                                }};
                         return start_listener(
                             open, &doors::clients,
                             {.label = "troupe.sock",
                              .log = log_,
                              .setup_for = [setup](int socket) -> result<link_setup> {
                                const auto user = peer_user(socket);
                                if (!user) return fail(user.error());
                                if (*user != geteuid() && *user != 0)
                                  return fail(error_code::permission_denied,
                                              "the client runs as another user");
                                return setup;
                              }});
                       },
                   .kind = child_kind::replaceable,
                   .farewell = {},
                   .stop_deadline = part});
  return all;
}

sandbox_factory node::make_sandbox() const {
  if (settings_.sandbox == sandbox_kind::none) {
    log_.logger("node")->warn(
        "node.plugins_unconfined reason=\"plugins can do whatever this user can: sandbox is "
        "none\"");
    return [](permission_check check) -> result<std::unique_ptr<plugin_sandbox>> {
      return std::make_unique<unconfined>(std::move(check));
    };
  }
  bubblewrap_config confined;
  confined.plugin_init = settings_.plugin_init.empty()
                             ? program_directory() / "troupe-plugin-init"
                             : std::filesystem::absolute(settings_.plugin_init);
  confined.record_directory = settings_.data_dir / "sandbox";
  confined.allow = settings_.sandbox_allow;
  return [confined](permission_check check) -> result<std::unique_ptr<plugin_sandbox>> {
    auto made = bubblewrap::open(confined, std::move(check));
    if (!made) return fail(std::move(made.error()));
    return std::move(*made);
  };
}

stop_report node::stop() {
  if (!tree_) return {};
  const auto tree = std::exchange(tree_, nullptr);
  // Removed while the directory is locked: later it may be the socket of another node. Clients that
  // are connected are answered until the listeners end.
  if (settings_.serve_clients) {
    std::error_code ignored;
    std::filesystem::remove(socket_file(), ignored);
  }
  doors_ = nullptr;
  auto report = ask_and_wait<stop_report>(system_, tree, settings_.stop_deadline + 1s,
                                          stop_children{settings_.stop_deadline});
  if (!report) return {.blocked = {"supervisor_tree: " + report.error().message}};
  return std::move(*report);
}

}  // namespace troupe
