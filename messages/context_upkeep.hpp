#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

// What operators ask of a context: about its clock, its members, and changes that do not count.

namespace troupe {

/// `context.clock`: whether the times of changes are ahead of the node's clock.
struct check_clock {
  static constexpr std::string_view method = "context.clock";
  using answer = struct clock_checked;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "whether times of changes are ahead"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const check_clock&, const check_clock&) = default;
};

/// `context.correct_clock`: the next start of the node gives its changes times by its clock again,
/// whatever their times were before.
struct correct_clock {
  static constexpr std::string_view method = "context.correct_clock";
  using answer = struct clock_checked;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "times by the clock from the next start on"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const correct_clock&, const correct_clock&) = default;
};

/// A node whose changes are ahead of the clock of the node that says so.
struct node_ahead {
  node_id node;
  std::uint64_t ahead_ms = 0;
  static constexpr auto fields() {
    return std::tuple{required("node", &node_ahead::node),
                      required("ahead_ms", &node_ahead::ahead_ms)};
  }
  friend bool operator==(const node_ahead&, const node_ahead&) = default;
};

/// A node whose clock differs from that of the node that says so; or, where that node's own clock
/// is the wrong one, from those of most.
struct clock_difference {
  node_id node;
  std::int64_t ahead_ms = 0;  ///< By how much it is ahead; less than 0 when it is behind.
  static constexpr auto fields() {
    return std::tuple{required("node", &clock_difference::node),
                      required("ahead_ms", &clock_difference::ahead_ms)};
  }
  friend bool operator==(const clock_difference&, const clock_difference&) = default;
};

/// The answer to `check_clock` and `correct_clock`.
struct clock_checked {
  std::uint64_t now_ms = 0;        ///< The clock of the node, since 1970.
  std::uint64_t ahead_ms = 0;      ///< By how much the node's own changes are ahead; 0 when not.
  std::vector<node_ahead> others;  ///< Whose latest changes were ahead when they came.
  /// By how much the clock of the node is ahead of those of most of its peers, of which there are
  /// at least two; less than 0 when it is behind, 0 when they agree or that is unknown.
  std::int64_t clock_ahead_ms = 0;
  std::vector<clock_difference> clocks;  ///< The other peers whose clocks differ.
  static constexpr auto fields() {
    return std::tuple{required("now_ms", &clock_checked::now_ms),
                      required("ahead_ms", &clock_checked::ahead_ms),
                      required("others", &clock_checked::others),
                      optional("clock_ahead_ms", &clock_checked::clock_ahead_ms),
                      optional("clocks", &clock_checked::clocks)};
  }
  friend bool operator==(const clock_checked&, const clock_checked&) = default;
};

/// `context.quarantine`: the changes that do not count, because one number was given to several.
struct list_quarantine {
  static constexpr std::string_view method = "context.quarantine";
  using answer = struct quarantine_list;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "changes that do not count"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const list_quarantine&, const list_quarantine&) = default;
};

/// `context.clear_quarantine`: writes anew, at each path with such changes, what readers see there.
/// So all nodes agree about it again, and the changes are not needed any more.
struct clear_quarantine {
  static constexpr std::string_view method = "context.clear_quarantine";
  using answer = struct quarantine_list;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "ends what is in quarantine"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const clear_quarantine&, const clear_quarantine&) = default;
};

/// A number of a change that was given to several.
struct quarantined_change {
  node_id node;
  std::uint64_t incarnation = 0;
  std::uint64_t seq = 0;
  std::vector<path> paths;  ///< Where they wrote.
  static constexpr auto fields() {
    return std::tuple{required("node", &quarantined_change::node),
                      required("incarnation", &quarantined_change::incarnation),
                      required("seq", &quarantined_change::seq),
                      required("paths", &quarantined_change::paths)};
  }
  friend bool operator==(const quarantined_change&, const quarantined_change&) = default;
};

/// The answer to `list_quarantine` and `clear_quarantine`.
struct quarantine_list {
  std::uint64_t total = 0;
  std::vector<quarantined_change> changes;  ///< The first 100.
  static constexpr auto fields() {
    return std::tuple{required("total", &quarantine_list::total),
                      required("changes", &quarantine_list::changes)};
  }
  friend bool operator==(const quarantine_list&, const quarantine_list&) = default;
};

/// `context.members`: which nodes keep the data of the cluster, and which are away.
struct list_members {
  static constexpr std::string_view method = "context.members";
  using answer = struct member_list;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "the members of the cluster"};

  static constexpr auto fields() { return std::tuple<>{}; }
  friend bool operator==(const list_members&, const list_members&) = default;
};

/// `context.forget_member`: the cluster goes on without a member that does not come back. When it
/// does all the same, it takes the state of the others, and what it had not sent is kept in a file
/// of its data directory. Of a node that is no member it gives up the transactions that have come
/// in part only.
struct forget_member {
  static constexpr std::string_view method = "context.forget_member";
  using answer = struct member_list;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "goes on without a member that is gone"};

  node_id node;
  static constexpr auto fields() { return std::tuple{required("node", &forget_member::node)}; }
  friend bool operator==(const forget_member&, const forget_member&) = default;
};

/// A node that keeps the data of the cluster.
struct cluster_member {
  node_id node;
  bool is_self = false;  ///< The node that says so.
  /// How long no node has had a link with it, as far as this one knows; 0 for a node that is here.
  std::uint64_t away_ms = 0;
  std::uint64_t lease_ms = 0;  ///< What is left of the lease of one that is away; or 0.
  bool lease_has_ended = false;
  static constexpr auto fields() {
    return std::tuple{required("node", &cluster_member::node),
                      required("is_self", &cluster_member::is_self),
                      required("away_ms", &cluster_member::away_ms),
                      required("lease_ms", &cluster_member::lease_ms),
                      required("lease_has_ended", &cluster_member::lease_has_ended)};
  }
  friend bool operator==(const cluster_member&, const cluster_member&) = default;
};

/// A node that was a member and is none any more.
struct forgotten_member {
  node_id node;
  std::uint64_t forgotten_ms = 0;  ///< Since 1970.
  std::string why;
  static constexpr auto fields() {
    return std::tuple{required("node", &forgotten_member::node),
                      required("forgotten_ms", &forgotten_member::forgotten_ms),
                      required("why", &forgotten_member::why)};
  }
  friend bool operator==(const forgotten_member&, const forgotten_member&) = default;
};

/// The answer to `list_members` and `forget_member`.
struct member_list {
  std::vector<cluster_member> members;
  std::vector<forgotten_member> forgotten;
  static constexpr auto fields() {
    return std::tuple{required("members", &member_list::members),
                      required("forgotten", &member_list::forgotten)};
  }
  friend bool operator==(const member_list&, const member_list&) = default;
};

}  // namespace troupe
