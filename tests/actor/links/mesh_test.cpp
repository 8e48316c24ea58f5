// Meshes in systems of their own that find each other over loopback.

#include <doctest/doctest.h>

#include <sys/socket.h>

#include <memory>
#include <mutex>
#include <set>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/admission.hpp>
#include <troupe/actors/links/listener.hpp>
#include <troupe/actors/links/mesh/mesh.hpp>
#include <troupe/actors/links/sockets.hpp>
#include <troupe/tests/support/fake_service.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>
#include <troupe/tests/support/raw_peer.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const cluster_id our_cluster{uuid{{1, 2, 3}}};

/// Counts the links that a mesh introduces to its replica, and those of them that still live.
struct met_peers {
  std::mutex guard;
  std::vector<peer_up> all;
  std::set<caf::actor_id> ended;

  std::size_t count() {
    const std::lock_guard locked{guard};
    return all.size();
  }
  /// Those that have not ended.
  std::vector<peer_up> alive() {
    const std::lock_guard locked{guard};
    std::vector<peer_up> found;
    for (const auto& each : all)
      if (!ended.contains(each.link.id())) found.push_back(each);
    return found;
  }
};

/// How a node of these tests is made.
struct node_options {
  std::vector<std::string> seeds;
  bool discover = true;
  cluster_id cluster = our_cluster;
  std::uint64_t incarnation = 1;
};

/// A mesh, a listener for it, and what they need, in a system of their own.
class mesh_node {
public:
  explicit mesh_node(unsigned n, node_options options = {})
      : mesh_node(n, listen_tcp({"127.0.0.1", 0}).value(), std::move(options)) {}
  mesh_node(unsigned n, unique_fd socket, node_options options)
      : address(to_string(local_endpoint(socket.get()).value())), id(test::node(n)) {
    session_open introduction;
    introduction.protocol = {lowest_protocol, highest_protocol};
    introduction.kind = session_kind::peer;
    introduction.name = "node" + std::to_string(n);
    introduction.cluster = options.cluster;
    introduction.node = id;
    introduction.incarnation = options.incarnation;
    introduction.address = address;
    link_limits limits;
    limits.silence = 1s;
    const auto watcher = system.own(peer_watcher{
        system.caf().spawn([met = met](peer_watcher::pointer self) -> peer_watcher::behavior_type {
          self->set_down_handler([met](const caf::down_msg& down) {
            const std::lock_guard locked{met->guard};
            met->ended.insert(down.source.id());
          });
          return {[met, self](const peer_up& up) {
            self->monitor(up.link);
            const std::lock_guard locked{met->guard};
            met->all.push_back(up);
          }};
        })});
    mesh = system.own(spawn_mesh(system.caf(), {.introduction = introduction,
                                                .seeds = options.seeds,
                                                .discover = options.discover,
                                                .limits = limits,
                                                .log = log.target(),
                                                .services = {},
                                                .replica = watcher,
                                                .dialer = system.own(spawn_dialer(system.caf()))}));
    const link_setup accepting{
        .label = "peer",
        .limits = limits,
        .log = log.target(),
        .services = {{service::mesh, caf::actor_cast<service_actor>(mesh)}},
        .gate = [introduction](
                    const session_open& opening) { return admit_peer(opening, introduction); },
        .open = {},
        .other_side = {},
        .owner = caf::actor_cast<link_owner>(mesh)};
    listener = system.own(spawn_listener(system.caf(), std::move(socket),
                                         {.label = address,
                                          .log = log.target(),
                                          .setup_for = [accepting](int) { return accepting; }}));
  }
  ~mesh_node() {
    caf::anon_send_exit(mesh, caf::exit_reason::kill);
    caf::anon_send_exit(listener, caf::exit_reason::kill);
    for (const auto& each : met->alive()) caf::anon_send_exit(each.link, caf::exit_reason::kill);
  }

  std::vector<peer_info> peers() { return system.ask<peer_list>(mesh, list_peers{}).value().peers; }
  bool is_connected_with(const mesh_node& other) {
    for (const auto& each : peers())
      if (each.id == other.id && each.connected) return true;
    return false;
  }
  /// Exactly one link to each of this many others.
  bool has_links(std::size_t others) {
    const auto alive = met->alive();
    std::set<node_id> nodes;
    for (const auto& each : alive) nodes.insert(each.node);
    return alive.size() == others && nodes.size() == others;
  }

  std::string address;
  node_id id;
  std::shared_ptr<met_peers> met = std::make_shared<met_peers>();
  recorded_log log;
  real_system system;
  mesh_actor mesh;
  listener_actor listener;
};

/// A loopback address without a listener.
std::string free_address() {
  const auto socket = listen_tcp({"127.0.0.1", 0}).value();
  return to_string(local_endpoint(socket.get()).value());
}

/// A loopback address that answers no client: its queue is full.
class silent_listener {
public:
  silent_listener() : socket_(listen_tcp({"127.0.0.1", 0}).value()) {
    if (::listen(socket_.get(), 0) != 0) throw std::runtime_error{"the queue cannot be shortened"};
    while (auto one = connect_tcp(local_endpoint(socket_.get()).value(), 50ms))
      waiting_.push_back(std::move(*one));
  }
  std::string address() const { return to_string(local_endpoint(socket_.get()).value()); }

private:
  unique_fd socket_;
  std::vector<unique_fd> waiting_;
};

}  // namespace

TEST_CASE("a node finds the one whose address it was given, and both know each other") {
  mesh_node b{2};
  mesh_node a{1, {.seeds = {b.address}}};
  REQUIRE(eventually([&] { return a.is_connected_with(b) && b.is_connected_with(a); }));
  CHECK(eventually([&] { return a.has_links(1) && b.has_links(1); }));
  const auto up = a.met->alive().front();
  CHECK(up.node == b.id);
  CHECK(up.name == "node2");
  CHECK(up.incarnation == 1);
  const auto shown = a.peers();
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].address == b.address);
  CHECK(shown[0].name == "node2");
  CHECK(shown[0].problem.empty());
  CHECK(a.log.contains("mesh.connected node=" + to_string(b.id)));
}

TEST_CASE("two nodes that dial each other keep one connection") {
  auto socket_a = listen_tcp({"127.0.0.1", 0}).value();
  auto socket_b = listen_tcp({"127.0.0.1", 0}).value();
  const auto address_a = to_string(local_endpoint(socket_a.get()).value());
  const auto address_b = to_string(local_endpoint(socket_b.get()).value());
  mesh_node a{1, std::move(socket_a), {.seeds = {address_b}}};
  mesh_node b{2, std::move(socket_b), {.seeds = {address_a}}};
  REQUIRE(eventually([&] { return a.is_connected_with(b) && b.is_connected_with(a); }));
  CHECK(eventually([&] { return a.has_links(1) && b.has_links(1); }));
  // What is left is one and the same connection: when one side closes it, the other side loses it
  // too.
  const auto met_before = b.met->count();
  tell(a.met->alive().front().link, close_link{"test"});
  CHECK(
      eventually([&] { return b.met->count() > met_before && a.has_links(1) && b.has_links(1); }));
}

TEST_CASE("a connection that was lost is made again") {
  mesh_node b{2};
  mesh_node a{1, {.seeds = {b.address}}};
  REQUIRE(eventually([&] { return a.has_links(1) && b.has_links(1); }));
  for (auto* closing : {&a, &b}) {
    const auto before = a.met->count();
    tell(closing->met->alive().front().link, close_link{"test"});
    REQUIRE(
        eventually([&] { return a.met->count() > before && a.has_links(1) && b.has_links(1); }));
  }
  CHECK(a.log.contains("mesh.lost node=" + to_string(b.id)));
}

TEST_CASE("nodes learn of each other from those they know") {
  mesh_node hub{2};
  mesh_node a{1, {.seeds = {hub.address}}};
  mesh_node c{3, {.seeds = {hub.address}}};
  CHECK(eventually([&] { return a.has_links(2) && hub.has_links(2) && c.has_links(2); }));
  CHECK(a.is_connected_with(c));
}

TEST_CASE("a node that is not to discover others keeps to the addresses that it was given") {
  mesh_node hub{2, {.discover = false}};
  mesh_node a{1, {.seeds = {hub.address}, .discover = false}};
  mesh_node c{3, {.seeds = {hub.address}, .discover = false}};
  REQUIRE(eventually(
      [&] { return a.is_connected_with(hub) && c.is_connected_with(hub) && hub.has_links(2); }));
  CHECK(a.peers().size() == 1);
  CHECK(c.peers().size() == 1);
}

TEST_CASE("a node of another cluster is refused, and both can see why") {
  mesh_node b{2, {.cluster = {uuid{{9}}}}};
  mesh_node a{1, {.seeds = {b.address}}};
  REQUIRE(eventually([&] { return !a.peers().empty() && !a.peers().front().problem.empty(); }));
  CHECK_FALSE(a.peers().front().connected);
  CHECK(a.peers().front().problem.find("--cluster") != std::string::npos);
  CHECK(b.log.contains("link.ended"));
  CHECK(b.peers().empty());
  CHECK(a.met->count() == 0);
}

TEST_CASE("a node that reaches itself does not connect with itself") {
  auto socket = listen_tcp({"127.0.0.1", 0}).value();
  const auto port = local_endpoint(socket.get())->port;
  mesh_node a{1, std::move(socket), {.seeds = {"localhost:" + std::to_string(port)}}};
  CHECK(eventually([&] { return a.log.contains("this is the node itself"); }));
  CHECK(a.met->alive().empty());
}

TEST_CASE("an address without an answer is dialed again until a node answers") {
  const auto address = free_address();
  mesh_node a{1, {.seeds = {address}}};
  REQUIRE(eventually([&] { return !a.peers().front().problem.empty(); }));
  CHECK(a.log.contains("mesh.dial_failed address=" + address));
  mesh_node b{2, listen_tcp(parse_endpoint(address).value()).value(), {}};
  CHECK(eventually([&] { return a.is_connected_with(b); }));
  CHECK(eventually([&] { return a.peers().front().problem.empty(); }));
}

TEST_CASE("a node can learn one more address, and one that is malformed") {
  mesh_node a{1}, b{2};
  CHECK(a.peers().empty());
  CHECK(a.system.ask<void>(a.mesh, dial_address{b.address}).get());
  CHECK(a.system.ask<void>(a.mesh, dial_address{"nowhere"}).get());
  CHECK(eventually([&] { return a.is_connected_with(b); }));
  CHECK(eventually([&] {
    for (const auto& each : a.peers())
      if (each.address == "nowhere") return each.problem.find("has no port") != std::string::npos;
    return false;
  }));
}

TEST_CASE("addresses from other nodes are checked, and the peers are listed over links") {
  mesh_node a{1};
  CHECK(a.system.ask<void>(a.mesh, service_notification{the_host(), "peers.known", {"nonsense"}})
            .get());
  CHECK(a.log.count("mesh.notification_refused") == 1);
  const auto address = free_address();
  CHECK(a.system
            .ask<void>(a.mesh, service_notification{the_host(),
                                                    "peers.known",
                                                    {encode(peers_known{{"no address", address}})}})
            .get());
  const auto listed = a.system.ask<payload>(a.mesh, call_of(list_peers{}));
  const auto peers = decode_checked<peer_list>(listed.value().msgpack.bytes).value().peers;
  REQUIRE(peers.size() == 1);
  CHECK(peers[0].address == address);
}

TEST_CASE("of the addresses from other nodes only those on this machine are dialed") {
  mesh_node a{1};
  const auto here = free_address();
  const auto written_otherwise =
      "127.0.0.1:" + std::string(10'000, '0') + here.substr(here.find(':') + 1);
  const peers_known told{{"10.0.0.1:7400", "node.example:7400", "[2001:db8::1]:7400",
                          "0.0.0.0:7400", "localhost.example:1", "127.0.0.1:0", written_otherwise,
                          here}};
  CHECK(a.system.ask<void>(a.mesh, service_notification{the_host(), "peers.known", {encode(told)}})
            .get());
  const auto shown = a.peers();
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].address == here);
}

TEST_CASE("learned addresses that do not answer do not hold up the one that was given") {
  std::vector<silent_listener> silent(3);
  mesh_node a{1}, b{2};
  peers_known told;
  for (const auto& each : silent) told.addresses.push_back(each.address());
  CHECK(a.system.ask<void>(a.mesh, service_notification{the_host(), "peers.known", {encode(told)}})
            .get());
  CHECK(a.system.ask<void>(a.mesh, dial_address{b.address}).get());
  // One of them may be dialed already, which takes three seconds.
  CHECK(eventually([&] { return a.is_connected_with(b); }, 6s));
}

TEST_CASE("a node that was joined does not dial back") {
  // The smaller id is the one whose connections stay.
  mesh_node b{1};
  mesh_node a{2, {.seeds = {b.address}}};
  REQUIRE(eventually([&] { return a.has_links(1) && b.has_links(1); }));
  CHECK_FALSE(eventually([&] { return a.met->count() > 1 || b.met->count() > 1; }, 500ms));
  const auto shown = b.peers();
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].address == a.address);
  CHECK(shown[0].connected);
}

TEST_CASE(
    "a copy of a node that reaches a third one learns so, shows it, and dials less and less "
    "often") {
  mesh_node third{3};
  mesh_node original{1, {.seeds = {third.address}, .discover = false, .incarnation = 20}};
  REQUIRE(eventually([&] { return third.is_connected_with(original); }));
  const auto begin = std::chrono::steady_clock::now();
  mesh_node copy{1, {.seeds = {third.address}, .discover = false, .incarnation = 10}};
  CHECK(eventually([&] {
    return copy.peers().front().problem == "the other side closed the link: node " +
                                               to_string(copy.id) +
                                               " is connected with the newer incarnation 20; its "
                                               "data directory may have been copied";
  }));
  REQUIRE(
      eventually([&] { return third.log.count("mesh.refused node=" + to_string(copy.id)) >= 5; }));
  CHECK(std::chrono::steady_clock::now() - begin >= 100ms + 200ms + 400ms + 800ms);
  CHECK(third.is_connected_with(original));
}
