#pragma once

#include <compare>
#include <cstdint>
#include <string>
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
  /// The changes that say that the receiver is forgotten. It is to push nothing before it has them
  /// and has begun anew.
  version_vector forgotten;

  static constexpr auto fields() {
    return std::tuple{required("cluster", &sync_hello::cluster),
                      required("node", &sync_hello::node),
                      required("incarnation", &sync_hello::incarnation),
                      required("vector", &sync_hello::vector),
                      required("root", &sync_hello::root),
                      required("strategies", &sync_hello::strategies),
                      optional("links", &sync_hello::links),
                      optional("declined", &sync_hello::declined),
                      optional("forgotten", &sync_hello::forgotten)};
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
  version_vector stable;  ///< See `sync_heads::stable`.
  /// How long ago somebody had a link with the member, at least 1; 0 when that is not known.
  std::uint64_t away_ms = 0;
  bool restoring = false;  ///< See `sync_heads::restoring`.

  static constexpr auto fields() {
    return std::tuple{required("node", &member_report::node),
                      required("incarnation", &member_report::incarnation),
                      required("vector", &member_report::vector),
                      optional("stable", &member_report::stable),
                      optional("away_ms", &member_report::away_ms),
                      optional("restoring", &member_report::restoring)};
  }
  friend bool operator==(const member_report&, const member_report&) = default;
};

/// `sync.heads`: what the sender has committed. Sent each second, and when its links change or it
/// cannot keep up with pushing. Whole, or as the difference from earlier heads which the receiver
/// has said to have.
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
  version_vector base;  ///< The sender's log may lack these changes: it cannot push them.
  /// The sender knows that all members have committed these changes, and has itself what they had
  /// made before.
  version_vector stable;

  std::uint64_t number = 0;  ///< Counts the heads of this link from 1; 0 for heads of their own.
  std::uint64_t heard = 0;   ///< The latest heads of the receiver that the sender has.
  /// The earlier heads from which these differ; 0 when they are whole. Then the vectors have the
  /// entries that are others now, and the reports those of which something is.
  std::uint64_t since = 0;
  std::vector<incarnation_id> gone, base_gone, stable_gone;  ///< From the vectors; each sorted.
  std::vector<node_id> reports_gone;
  bool same_links = false, same_declined = false;  ///< As then.
  /// The sender's state is being restored: its log may have more than `vector` says.
  bool restoring = false;
  std::uint64_t now_ms = 0;  ///< The sender's clock, since 1970; 0 when it does not say so.

  static constexpr auto fields() {
    return std::tuple{required("vector", &sync_heads::vector),
                      required("root", &sync_heads::root),
                      required("batch", &sync_heads::batch),
                      optional("links", &sync_heads::links),
                      optional("declined", &sync_heads::declined),
                      optional("busy", &sync_heads::busy),
                      optional("reports", &sync_heads::reports),
                      optional("base", &sync_heads::base),
                      optional("stable", &sync_heads::stable),
                      optional("number", &sync_heads::number),
                      optional("heard", &sync_heads::heard),
                      optional("since", &sync_heads::since),
                      optional("gone", &sync_heads::gone),
                      optional("base_gone", &sync_heads::base_gone),
                      optional("stable_gone", &sync_heads::stable_gone),
                      optional("reports_gone", &sync_heads::reports_gone),
                      optional("same_links", &sync_heads::same_links),
                      optional("same_declined", &sync_heads::same_declined),
                      optional("restoring", &sync_heads::restoring),
                      optional("now_ms", &sync_heads::now_ms)};
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

/// The paths from one on up to but without another one, in tree order, with their count and hash
/// in the state of the sender.
struct tree_range {
  std::string from;
  std::string to;  ///< Empty: to the end.
  std::uint64_t count = 0;
  state_hash hash;

  static constexpr auto fields() {
    return std::tuple{required("from", &tree_range::from), required("to", &tree_range::to),
                      required("count", &tree_range::count), required("hash", &tree_range::hash)};
  }
  friend bool operator==(const tree_range&, const tree_range&) = default;
};

/// Asks in which entries of a range the receiver differs, so that only those are sent: first for
/// coded symbols of the numbers of its entries (see `coded_symbols`), then for the entries whose
/// numbers the sender lacks.
struct difference_question {
  std::uint64_t first = 0;             ///< The first symbol that is asked for.
  std::uint64_t count = 0;             ///< Symbols; 0 when none are asked for. Ends before 4,096.
  std::vector<std::uint64_t> numbers;  ///< Entries that are asked for. At most 4,096.

  static constexpr auto fields() {
    return std::tuple{optional("first", &difference_question::first),
                      optional("count", &difference_question::count),
                      optional("numbers", &difference_question::numbers)};
  }
  friend bool operator==(const difference_question&, const difference_question&) = default;
};

/// `sync.range`: asks for the receiver's whole state, or more of it. For a replica that the logs of
/// its peers cannot help: it compares the state with what it has, range by range.
struct sync_range {
  static constexpr std::string_view method = "sync.range";
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::peers,
                                        .summary = "asks for ranges of the state"};

  std::uint64_t transfer = 0;  ///< Counts the states that this node asks the receiver for.
  std::uint64_t ask = 0;       ///< Counts the questions of the transfer, from 1.
  /// At most 32. Those of which the sender counts nothing are sent as they are. Empty in the first
  /// question, and in the last one, when the sender needs no more.
  std::vector<tree_range> wanted;
  bool done = false;
  /// Empty, or how each of `wanted` is asked for. Where nothing is asked for in such a way, and by
  /// who does not know of it, a range is answered with its parts or all of its entries.
  std::vector<difference_question> differences;

  static constexpr auto fields() {
    return std::tuple{required("transfer", &sync_range::transfer),
                      required("ask", &sync_range::ask), optional("wanted", &sync_range::wanted),
                      optional("done", &sync_range::done),
                      optional("differences", &sync_range::differences)};
  }
  friend bool operator==(const sync_range&, const sync_range&) = default;
};

/// Coded symbols of the numbers of the entries in a range.
struct coded_range {
  tree_range range;
  std::vector<std::uint64_t> sums;   ///< Of as many symbols as were asked for.
  std::vector<std::int64_t> counts;  ///< As many.

  static constexpr auto fields() {
    return std::tuple{required("range", &coded_range::range), required("sums", &coded_range::sums),
                      required("counts", &coded_range::counts)};
  }
  friend bool operator==(const coded_range&, const coded_range&) = default;
};

/// `sync.state`: the answer to `sync.range`. All answers of a transfer are of one state.
///
/// The first one, and one after the sender has let go of the state, offers a state: it has
/// `processed`, and one part, the whole tree. In the others, `whole`, `parts`, `coded` and
/// `picked` together make up the ranges that were asked for.
struct sync_state {
  static constexpr std::string_view method = "sync.state";
  static constexpr method_access access{
      .service = service::context, .callers = called_by::peers, .summary = "ranges of the state"};

  std::uint64_t transfer = 0;
  std::uint64_t ask = 0;
  binary processed;                ///< What the state has: encoded `processed_changes`.
  std::vector<tree_range> whole;   ///< All that these hold is in `entries`.
  std::vector<tree_range> parts;   ///< To compare.
  binary entries;                  ///< A zstd frame of encoded `stored_entry`s, in tree order.
  std::vector<coded_range> coded;  ///< The symbols that were asked for.
  /// Of what these hold, what was asked for by its number is in `entries`.
  std::vector<tree_range> picked;

  static constexpr auto fields() {
    return std::tuple{
        required("transfer", &sync_state::transfer),   required("ask", &sync_state::ask),
        optional("processed", &sync_state::processed), optional("whole", &sync_state::whole),
        optional("parts", &sync_state::parts),         optional("entries", &sync_state::entries),
        optional("coded", &sync_state::coded),         optional("picked", &sync_state::picked)};
  }
  friend bool operator==(const sync_state&, const sync_state&) = default;
};

/// All messages between two replicas.
using sync_message =
    std::variant<sync_hello, sync_push, sync_ack, sync_heads, sync_pull, sync_range, sync_state>;

}  // namespace troupe
