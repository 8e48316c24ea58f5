#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/sync/members.hpp>
#include <troupe/actors/context/sync_ids.hpp>

namespace troupe {

/// Finds out which transactions are lost, see `lost_transactions`, in two steps. First a node
/// writes that it looks for the rest: nobody makes more of that incarnation by then, which has
/// ended, or is of a node that is forgotten, and each replica drops what waits of it. Who knows
/// that a node is forgotten takes nothing more over the links of before, nor over those of such a
/// node until it has begun anew. So when all members have both on their disks, and say to have a
/// part of the transaction only, none of them has the rest, and none gets it from another one: a
/// member commits in the order in which it takes. What each of the others has said of who the
/// members are must be known there, too. A member whose state is being restored may have more in
/// its log, so the search waits for it. It waits, too, while others have something of a node that
/// is no member here: it may be a member.
///
/// The origin speaks. When it is forgotten the member with the lowest id does; when it is no
/// member, too, once an operator has the rest looked for. That search does not wait for what others
/// have of further nodes: the room here may be full of such beginnings. Nobody speaks of what is
/// still coming: shortly after more of it has come, and while its node has a link, if it is no
/// member. One that is forgotten sends nothing more of it, so its links do not matter. Bounded by
/// the open transactions. Pure.
class rest_search {
public:
  /// So long nothing of a transaction has come before its rest is looked for.
  static constexpr std::uint64_t quiet_ms = 5'000;

  /// The next thing to write, or nothing. O(open transactions * log n) when nothing is due.
  /// @param committed what is on this node's disk.
  /// @param is_linked whether this node, or a peer of it, has a link with a node.
  std::optional<local_write> next(const context_engine& engine, const processed_changes& committed,
                                  const members& known,
                                  const std::function<bool(const node_id&)>& is_linked,
                                  event_time now);

  /// Whether nothing of the open transaction of an incarnation has come for so long, as of the
  /// latest `next`.
  bool is_quiet(const incarnation_id& source, std::uint64_t now_ms,
                std::uint64_t for_ms = quiet_ms) const;

private:
  struct arrival {
    std::uint64_t upto = 0;
    std::uint64_t ms = 0;
  };
  void watch(const context_engine& engine, std::uint64_t now_ms);

  std::map<incarnation_id, arrival> arrivals_;  ///< Of what is open.
};

}  // namespace troupe
