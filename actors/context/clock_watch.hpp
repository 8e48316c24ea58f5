#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/context_upkeep.hpp>

namespace troupe {

/// Notices that the times of changes are ahead of this node's clock: of its own changes, when its
/// clock was wrong once, and of those of other nodes. Concurrent writes are ordered by these times,
/// so such changes win until the clock has caught up. Pure.
class clock_watch {
public:
  /// Clocks of machines that are well kept differ by less.
  static constexpr std::uint64_t tolerated_ms = 10'000;
  /// Other nodes that are remembered: the first ones that were ahead. A node with which this one
  /// has a link takes the place of one with which it has none.
  static constexpr std::size_t max_nodes = 64;

  /// By how much a time is too far ahead; nothing when it is not.
  static std::optional<std::uint64_t> ahead(timestamp time, std::uint64_t now_ms);

  /// The time of this node's next change. @returns how far it is ahead, when that is news.
  std::optional<std::uint64_t> own(timestamp next, std::uint64_t now_ms);
  /// The time of a change of another node. @returns how far it is ahead, when that is news: once
  /// for each node that is remembered. @param linked the nodes with which this one has a link,
  /// sorted.
  std::optional<std::uint64_t> seen(const node_id& origin, timestamp time, std::uint64_t now_ms,
                                    const std::vector<node_id>& linked);

  /// How far this node's changes are ahead; 0 when they are not.
  std::uint64_t own_ahead_ms() const noexcept { return own_ms_.value_or(0); }
  /// The nodes whose latest changes were ahead when they came.
  std::vector<node_ahead> others() const;

private:
  bool make_room(const node_id& origin, const std::vector<node_id>& linked);

  std::optional<std::uint64_t> own_ms_;
  std::map<node_id, std::uint64_t> others_;
};

}  // namespace troupe
