#include <troupe/actors/links/mesh/mesh.hpp>

#include <optional>
#include <random>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/mesh/peer_book.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/links/sockets.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 100ms;
constexpr auto dial_deadline = 3000ms;
constexpr auto resolve_deadline = 60s;  // name servers have a shorter one of their own

/// Normalizes an address that another node announces. Only loopback addresses may be dialed: nodes
/// listen nowhere else, and the dialer need not wait for a name server.
std::optional<std::string> learnable(const std::string& address) {
  const auto where = parse_endpoint(address);
  if (!where || !is_loopback(where->host) || where->port == 0) return std::nullopt;
  return to_string(*where);
}

class mesh_state {
public:
  using interface = mesh_actor;
  static constexpr const char* name = "mesh";

  mesh_state(interface::pointer self, mesh_setup setup)
      : self_(self),
        setup_(std::move(setup)),
        book_(setup_.introduction.node, setup_.introduction.incarnation,
              setup_.introduction.address),
        log_(setup_.log.logger("mesh")),
        random_(std::random_device{}()) {
    ends_.attach(self_);
    setup_.services[service::mesh] = service_actor{self_};
    for (const auto& seed : setup_.seeds) book_.give(seed, now());
  }
  ~mesh_state() {
    for (const auto& [id, link] : dialed_) dismiss(link);
  }

  interface::behavior_type make_behavior() {
    tell(self_, self_, tick::slow);
    return {
        [this](const link_opened& opened) { meet(opened); },
        [this](list_peers) { return peer_list{book_.peers()}; },
        [this](service_call& call) {
          return serve_method(message_types<list_peers>{}, call,
                              [this](list_peers, auto&) { return peer_list{book_.peers()}; });
        },
        [this](const service_notification& notification) { learn(notification); },
        [this](const dial_address& more) { book_.give(more.address, now()); },
        [this](tick) {
          dial_next();
          tick_after(self_, interval, tick::slow);
        },
    };
  }

private:
  /// Dials one address at a time. So the dialer can stop soon, and the most important address comes
  /// next.
  void dial_next() {
    if (is_dialing_) return;
    const auto due = book_.next_due(now());
    if (!due) return;
    is_dialing_ = true;
    const auto& address = *due;
    ask(self_, setup_.dialer, resolve_deadline + dial_deadline,
        dial_address{address, dial_deadline})
        .then(
            [this, address](const connected_socket& socket) {
              is_dialing_ = false;
              start_link(address, socket.fd->release());
              dial_next();
            },
            [this, address](const error& why) {
              is_dialing_ = false;
              give_up(address, why);
              dial_next();
            });
  }

  void start_link(const std::string& address, int socket) {
    auto link = spawn_link(self_->system(), socket,
                           {.label = address,
                            .limits = setup_.limits,
                            .log = setup_.log,
                            .services = setup_.services,
                            .gate = {},
                            .open = setup_.introduction,
                            .other_side = {.name = address, .kind = principal_kind::peer},
                            .owner = link_owner{self_}});
    dialing_[link.id()] = address;
    dialed_[link.id()] = link;
    ends_.watch(self_, link, [this, link_id = link.id()](const caf::error& why) {
      lose(link_id, from_caf(why));
    });
  }

  void meet(const link_opened& opened) {
    const auto id = opened.link.id();
    if (!opened.dialed)
      ends_.watch(self_, opened.link,
                  [this, id](const caf::error& why) { lose(id, from_caf(why)); });
    dialing_.erase(id);
    const auto verdict = book_.connected(id, opened.node, opened.name, opened.incarnation,
                                         opened.dialed ? opened.address : std::string{}, now());
    if (verdict.close) close(*verdict.close, verdict.reason);
    if (!verdict.keep) {
      log_->log(is_self(opened) ? spdlog::level::debug : spdlog::level::warn,
                "mesh.refused node={} name={} reason={}", to_string(opened.node),
                printable_quoted(opened.name, 64), printable_quoted(verdict.reason.message));
      tell(self_, opened.link, close_link{verdict.reason.message});
      return;
    }
    links_[id] = opened.link;
    log_->info("mesh.connected node={} name={} incarnation={}", to_string(opened.node),
               printable_quoted(opened.name, 64), opened.incarnation);
    if (const auto address = learnable(opened.address);
        address && setup_.discover && !opened.dialed)
      book_.learn(*address, opened.node, opened.incarnation, now());
    tell(self_, opened.link, to_notification(peers_known{book_.addresses()}));
    tell(self_, setup_.replica, peer_up{opened.link, opened.node, opened.name, opened.incarnation});
  }

  void learn(const service_notification& notification) {
    const auto heard = hear_notification(
        message_types<peers_known>{}, notification, [this](const peers_known& known) {
          for (const auto& told : known.addresses)
            if (const auto address = learnable(told); address && setup_.discover)
              book_.learn(*address, now());
        });
    if (!heard && setup_.discover)
      log_->warn("mesh.notification_refused reason={}", printable_quoted(heard.error().message));
  }

  void close(peer_book::connection link, const error& why) {
    if (const auto found = links_.find(link); found != links_.end())
      tell(self_, found->second, close_link{why.message});
  }

  void lose(caf::actor_id link, const error& why) {
    links_.erase(link);
    dialed_.erase(link);
    if (const auto dialed = dialing_.extract(link))
      give_up(dialed.mapped(), why);
    else if (const auto node = book_.disconnected(link, why, jitter(), now()))
      log_->warn("mesh.lost node={} reason={}", to_string(*node), printable_quoted(why.message));
  }

  void give_up(const std::string& address, const error& why) {
    log_->debug("mesh.dial_failed address={} reason={}", address, printable_quoted(why.message));
    book_.dial_failed(address, why, jitter(), now());
  }

  /// The operator may have given this node its own address under another name.
  bool is_self(const link_opened& opened) const {
    return opened.node == setup_.introduction.node &&
           opened.incarnation == setup_.introduction.incarnation;
  }

  double jitter() { return std::uniform_real_distribution<>{}(random_); }
  peer_book::time_point now() const { return self_->clock().now(); }

  interface::pointer self_;
  mesh_setup setup_;
  peer_book book_;
  std::shared_ptr<spdlog::logger> log_;
  std::mt19937_64 random_;
  watch_list ends_;
  bool is_dialing_ = false;
  std::map<caf::actor_id, std::string> dialing_;  ///< The address of each link without a session.
  std::map<caf::actor_id, link_actor> links_;     ///< To the nodes that are connected.
  std::map<caf::actor_id, link_actor> dialed_;  ///< This actor has started them; they end with it.
};

}  // namespace

mesh_actor spawn_mesh(caf::actor_system& system, mesh_setup setup) {
  return spawn_shell<mesh_state>(system, std::move(setup));
}

child_spec mesh_child(caf::actor_system& system, std::function<mesh_setup()> setup,
                      on_started<mesh_actor> started) {
  return make_child(
      "mesh", [&system, setup = std::move(setup)] { return spawn_mesh(system, setup()); },
      std::move(started));
}

}  // namespace troupe
