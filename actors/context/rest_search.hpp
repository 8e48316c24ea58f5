#pragma once

#include <cstdint>
#include <optional>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/members.hpp>

namespace troupe {

/// What this node is to write about a transaction that is open here and may stay so for ever,
/// because its origin is forgotten, or is this node and has lost the rest with its disk; see
/// `lost_transactions`.
///
/// First it writes that it looks for the rest. Who takes that, or learns that a node is forgotten,
/// drops all that waits with it, and takes nothing more over the links of such a node. So when all
/// members have both on their disks, and say to have a part of the transaction only, none of them
/// has the rest, and none can still get it: a member commits in the order in which it takes. What
/// each of the others has said of who the members are must be known there, too. A member whose
/// state is being restored may have more in its log, so the search waits for it. It waits, too,
/// while others have something of a node that is no member here: it may be a member.
///
/// The origin speaks, or, when it is forgotten, the member with the lowest id. Pure.
struct rest_search {
  /// @param committed what this node has on its disk.
  static std::optional<local_write> next(const context_engine& engine,
                                         const processed_changes& committed, const members& known,
                                         std::uint64_t wall_ms);
};

}  // namespace troupe
