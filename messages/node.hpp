#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// `node.info`
struct get_node_info {
  static constexpr std::string_view method = "node.info";
  using answer = struct node_info;
  static constexpr method_access access{
      .service = service::node, .callers = called_by::clients, .summary = "what this node is"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const get_node_info&, const get_node_info&) = default;
};

/// `node.peers`
struct list_peers {
  static constexpr std::string_view method = "node.peers";
  using answer = struct peer_list;
  static constexpr method_access access{.service = service::mesh,
                                        .callers = called_by::clients,
                                        .summary = "the nodes that this node knows"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const list_peers&, const list_peers&) = default;
};

/// `node.stop`: answered before the node stops, when all is on the disk, or with what is not. It
/// stops then, too.
struct stop_node {
  static constexpr std::string_view method = "node.stop";
  using answer = void;
  static constexpr method_access access{
      .service = service::node, .callers = called_by::clients, .summary = "stops this node"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const stop_node&, const stop_node&) = default;
};

/// The answer to `node.info`.
struct node_info {
  node_id id;
  std::string name;
  std::string version;
  cluster_id cluster;
  std::uint64_t incarnation = 0;
  std::uint64_t process = 0;  ///< The operating system's process id.
  std::uint64_t uptime_ms = 0;
  std::string data_dir;
  std::string listens;  ///< `host:port` for peers; empty when it does not listen.
  std::string sandbox;  ///< How plugins are confined.
  state_hash root_hash;
  std::uint64_t entries = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t members = 1;  ///< Nodes that the cluster's data are kept on, this one among them.
  /// What an operator has to know: what the start found damaged, and what is damaged now.
  std::vector<std::string> problems;
  static constexpr auto fields() {
    return std::tuple{required("id", &node_info::id),
                      required("name", &node_info::name),
                      required("version", &node_info::version),
                      required("cluster", &node_info::cluster),
                      required("incarnation", &node_info::incarnation),
                      required("process", &node_info::process),
                      required("uptime_ms", &node_info::uptime_ms),
                      required("data_dir", &node_info::data_dir),
                      required("listens", &node_info::listens),
                      required("sandbox", &node_info::sandbox),
                      required("root_hash", &node_info::root_hash),
                      required("entries", &node_info::entries),
                      required("conflicts", &node_info::conflicts),
                      optional("members", &node_info::members),
                      optional("problems", &node_info::problems)};
  }
  friend bool operator==(const node_info&, const node_info&) = default;
};

/// One other node, as this node sees it.
struct peer_info {
  std::string address;  ///< Where it listens or was dialed.
  bool connected = false;
  node_id id;  ///< Nil until there was a connection.
  std::string name;
  std::uint64_t incarnation = 0;
  std::string problem;  ///< Why there is no connection; empty when there is one.
  static constexpr auto fields() {
    return std::tuple{required("address", &peer_info::address),
                      required("connected", &peer_info::connected),
                      optional("id", &peer_info::id),
                      optional("name", &peer_info::name),
                      optional("incarnation", &peer_info::incarnation),
                      optional("problem", &peer_info::problem)};
  }
  friend bool operator==(const peer_info&, const peer_info&) = default;
};

/// The answer to `node.peers`.
struct peer_list {
  std::vector<peer_info> peers;
  static constexpr auto fields() { return std::tuple{required("peers", &peer_list::peers)}; }
  friend bool operator==(const peer_list&, const peer_list&) = default;
};

/// `peers.known`: where nodes listen. Sent to each new peer.
struct peers_known {
  static constexpr std::string_view method = "peers.known";
  static constexpr method_access access{
      .service = service::mesh, .callers = called_by::peers, .summary = "where nodes listen"};

  std::vector<std::string> addresses;
  static constexpr auto fields() {
    return std::tuple{required("addresses", &peers_known::addresses)};
  }
  friend bool operator==(const peers_known&, const peers_known&) = default;
};

}  // namespace troupe
