#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/context_upkeep.hpp>

namespace troupe {

/// Compares the clocks of the peers with this node's, by the times that their heads carry. When
/// those of most peers differ from it alike, this node's clock is taken for the wrong one. What a
/// peer says here moves no clock: it is for operators. One entry for each linked peer. Pure.
class peer_clocks {
public:
  /// So many of a peer's latest heads are compared. They come once a second; the one that was under
  /// way for the shortest time counts.
  static constexpr std::size_t compared = 8;

  /// What has come to differ since this was asked the last time.
  struct news {
    std::optional<std::int64_t> own;  ///< As `own_ahead_ms`.
    std::vector<clock_difference> others;
  };

  /// Heads of a peer have come. @param theirs_ms its clock, @param now_ms this node's.
  void heard(const node_id& peer, std::uint64_t theirs_ms, std::uint64_t now_ms);
  /// Forgets the nodes that are none of these. @param linked sorted. @returns what is news; each
  /// difference is news once, and again after it has ended. O(peers * log peers).
  news update(const std::vector<node_id>& linked);

  /// By how much this node's clock is ahead of those of most of at least two peers; less than 0
  /// when it is behind, 0 when it does not differ by more than clocks do, or that is unknown.
  std::int64_t own_ahead_ms() const;
  /// The other peers whose clocks differ, or the one peer when there is but one.
  std::vector<clock_difference> others() const;

private:
  struct known {
    std::deque<std::int64_t> ahead_ms;  ///< By the latest heads, at least one.
    bool is_said = false;
  };
  static std::int64_t least_delayed(const known& peer);

  std::map<node_id, known> peers_;
  bool is_said_ = false;  ///< Of this node's clock.
};

}  // namespace troupe
