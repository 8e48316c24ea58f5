#pragma once

#include <compare>
#include <cstdint>
#include <variant>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// One incarnation of one node, from a start to its end. Changes are numbered within it.
struct incarnation_id {
  node_id origin;
  std::uint64_t incarnation = 0;

  static constexpr auto fields() {
    return std::tuple{required("origin", &incarnation_id::origin),
                      required("incarnation", &incarnation_id::incarnation)};
  }
  friend auto operator<=>(const incarnation_id&, const incarnation_id&) = default;
};

/// The changes `first` to `last` of one incarnation, both included. When `first` is 0: and all of
/// earlier incarnations of the node.
struct dot_range {
  node_id origin;
  std::uint64_t incarnation = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  static constexpr auto fields() {
    return std::tuple{required("origin", &dot_range::origin),
                      required("incarnation", &dot_range::incarnation),
                      required("first", &dot_range::first), required("last", &dot_range::last)};
  }
  friend auto operator<=>(const dot_range&, const dot_range&) = default;
};

/// `sync.hello`: the first message of each side of a link between two replicas.
struct sync_hello {
  static constexpr std::string_view method = "sync.hello";
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::peers,
                                        .summary = "the first message between replicas"};

  cluster_id cluster;
  node_id node;
  std::uint64_t incarnation = 0;
  version_vector vector;  ///< What the sender has committed.
  state_hash root;  ///< Hash of all its siblings; zero while some of them are not committed yet.
  std::uint64_t strategies = 0;  ///< Hash of its conflict strategies. Nodes whose hashes differ may
                                 ///< read the same siblings differently.
  std::vector<node_id> links;    ///< The nodes that the sender is connected with.
  std::vector<incarnation_id>
      declined;  ///< The incarnations of which the sender takes no further changes.

  static constexpr auto fields() {
    return std::tuple{required("cluster", &sync_hello::cluster),
                      required("node", &sync_hello::node),
                      required("incarnation", &sync_hello::incarnation),
                      required("vector", &sync_hello::vector),
                      required("root", &sync_hello::root),
                      required("strategies", &sync_hello::strategies),
                      optional("links", &sync_hello::links),
                      optional("declined", &sync_hello::declined)};
  }
  friend bool operator==(const sync_hello&, const sync_hello&) = default;
};

/// `sync.push`: committed changes that the receiver lacks, in an order in which it can take them.
struct sync_push {
  static constexpr std::string_view method = "sync.push";
  static constexpr method_access access{
      .service = service::context, .callers = called_by::peers, .summary = "a batch of changes"};

  std::uint64_t batch = 0;      ///< Counts the pushes of this link from 1.
  std::vector<binary> changes;  ///< Each a `change_batch`. At least one.

  static constexpr auto fields() {
    return std::tuple{required("batch", &sync_push::batch),
                      required("changes", &sync_push::changes)};
  }
  friend bool operator==(const sync_push&, const sync_push&) = default;
};

/// `sync.ack`: a push has been processed. Its sender may send more.
struct sync_ack {
  static constexpr std::string_view method = "sync.ack";
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::peers,
                                        .summary = "what the peer has committed"};

  std::uint64_t batch = 0;  ///< This push and all before it.
  version_vector vector;    ///< What the receiver has committed of the incarnations in the push.

  static constexpr auto fields() {
    return std::tuple{required("batch", &sync_ack::batch), required("vector", &sync_ack::vector)};
  }
  friend bool operator==(const sync_ack&, const sync_ack&) = default;
};

/// What a member of the cluster has committed, as it said itself.
struct member_report {
  node_id node;
  std::uint64_t incarnation = 0;  ///< In which it said so. It may have less in a later one, when
                                  ///< its disk was set back.
  version_vector vector;

  static constexpr auto fields() {
    return std::tuple{required("node", &member_report::node),
                      required("incarnation", &member_report::incarnation),
                      required("vector", &member_report::vector)};
  }
  friend bool operator==(const member_report&, const member_report&) = default;
};

/// `sync.heads`: what the sender has committed. Sent each second, and when its links change or it
/// cannot keep up with pushing.
struct sync_heads {
  static constexpr std::string_view method = "sync.heads";
  static constexpr method_access access{
      .service = service::context, .callers = called_by::peers, .summary = "vector and root hash"};

  version_vector vector;
  state_hash root;          ///< As in `sync_hello`.
  std::uint64_t batch = 0;  ///< The latest push that was processed, as in the latest `sync_ack`.
  std::vector<node_id> links;
  std::vector<incarnation_id> declined;
  bool busy = false;  ///< Pushes wait for the sender's disk: the receiver must not take its own for
                      ///< lost.
  std::vector<member_report> reports;  ///< Of members with which the receiver has no link.

  static constexpr auto fields() {
    return std::tuple{
        required("vector", &sync_heads::vector),     required("root", &sync_heads::root),
        required("batch", &sync_heads::batch),       optional("links", &sync_heads::links),
        optional("declined", &sync_heads::declined), optional("busy", &sync_heads::busy),
        optional("reports", &sync_heads::reports)};
  }
  friend bool operator==(const sync_heads&, const sync_heads&) = default;
};

/// `sync.pull`: asks for changes that the sender lacks between others that it has.
struct sync_pull {
  static constexpr std::string_view method = "sync.pull";
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::peers,
                                        .summary = "asks for missing changes"};

  std::vector<dot_range> ranges;  ///< At most 1,024.

  static constexpr auto fields() { return std::tuple{required("ranges", &sync_pull::ranges)}; }
  friend bool operator==(const sync_pull&, const sync_pull&) = default;
};

/// All messages between two replicas.
using sync_message = std::variant<sync_hello, sync_push, sync_ack, sync_heads, sync_pull>;

}  // namespace troupe
