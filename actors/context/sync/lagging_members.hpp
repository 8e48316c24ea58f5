#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <troupe/actors/context/sync/members.hpp>

namespace troupe {

/// How a member keeps others waiting.
struct member_lag {
  node_id node;
  bool lacks = false;   ///< It has not said that it has what this node had.
  bool claims = false;  ///< It says to have what has not come here.
  friend bool operator==(const member_lag&, const member_lag&) = default;
};

/// Which linked members have kept the others waiting for long: until they have what this node had,
/// or this node has what they say to have, no tombstone goes, and nothing leaves the log. Such a
/// member is slow, its disk refuses writes, or it lies; or this node is behind. Nobody here can
/// tell which, so people are told.
///
/// What this node and the members have is noted from time to time, and compared with what they have
/// later. A member that is away between the two is no matter of this: see `leases`. Pure. Bounded
/// by the members and what they have said.
class lagging_members {
public:
  /// A member lags when it still has not what was noted at least so long ago.
  static constexpr std::uint64_t patience_ms = 600'000;
  /// Without a link for so long a member is away. One whose link comes and goes is not.
  static constexpr std::uint64_t away_for_ms = 60'000;

  /// Takes note of who is linked now, and at times of what all have. Call often. O(members) most
  /// times. @param linked sorted. @param committed what this node has on its disk.
  /// @returns who lags that did not before.
  std::vector<member_lag> update(const members& known, const std::vector<node_id>& linked,
                                 const processed_changes& committed, std::uint64_t now_ms);

  /// Who lags now, sorted. O(members * incarnations).
  std::vector<member_lag> all(const members& known, const processed_changes& committed) const;

private:
  /// What was there at one time.
  struct note {
    version_vector mine;                       ///< Of this node.
    std::map<node_id, version_vector> theirs;  ///< Of the members that were linked.
  };

  note before_, latest_;
  std::map<node_id, std::uint64_t> away_;  ///< Members without a link, since when.
  std::optional<std::uint64_t> next_ms_;
  std::set<node_id> told_;
};

}  // namespace troupe
