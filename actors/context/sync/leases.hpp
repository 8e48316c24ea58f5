#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <troupe/actors/context/sync/members.hpp>
#include <troupe/actors/context/sync_ids.hpp>

namespace troupe {

/// How long members may be away.
struct lease_limits {
  /// After this the cluster goes on without them. 0: it waits for ever.
  std::uint64_t length_ms = std::uint64_t{7} * 24 * 60 * 60 * 1000;
  /// A member that somebody had a link with so shortly ago counts as present.
  std::uint64_t present_ms = 60'000;
};

/// Who of the members is away, for how long, and whose lease has ended.
///
/// A member is away while no node has a link with it, as far as this one is told. Time counts from
/// the start of this node, unless another one knows of an earlier time.
///
/// Two halves of a cluster must not forget each other. So only more than half of the members may
/// forget one, and only those count that were members before it went away, by their own clocks. Of
/// the present ones that with the least id does it, when all of them have committed what was
/// forgotten before. A node that has just started listens for a while first.
///
/// Pure. Bounded by the members.
class leases {
public:
  explicit leases(lease_limits limits) : limits_(limits) {}

  const lease_limits& limits() const noexcept { return limits_; }

  /// Another node says that somebody had a link with a member so long ago. @param ago_ms at least
  /// 1; 0 when it does not know.
  void heard(const node_id& node, std::uint64_t ago_ms, std::uint64_t now_ms);
  /// Takes note of who is linked now, and of who is a member. @param linked sorted. O(members).
  void update(const members& known, const std::vector<node_id>& linked, std::uint64_t now_ms);

  /// How long a node has been away, as far as this one can tell; 0 for one that is no member.
  std::uint64_t away_ms(const node_id& node, std::uint64_t now_ms) const;
  /// What to tell others of that: at least 1; 0 when nobody has said that there was a link.
  std::uint64_t report_ms(const node_id& node, std::uint64_t now_ms) const;
  /// The members whose lease has ended.
  std::vector<node_id> ended(const members& known, const node_id& self, std::uint64_t now_ms) const;
  /// Whether this node is the one to forget a member that is away.
  /// @param processed the changes that this node has.
  bool decides(const members& known, const node_id& self, const node_id& away,
               const processed_changes& processed, event_time now) const;

private:
  struct sight {
    std::int64_t at_ms = 0;  ///< When somebody had a link with it. May be before time began.
    bool is_known = false;   ///< Otherwise this node has just begun to look.
  };

  lease_limits limits_;
  std::optional<std::uint64_t> since_ms_;  ///< When this node began to look.
  std::map<node_id, sight> seen_;
};

}  // namespace troupe
