#pragma once

#include <cstdint>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

// What the rows of a checkpoint hold.

namespace troupe {

/// All of an `engine_state` except its entries, and the count and the hash of those.
struct checkpoint_head {
  processed_changes processed;
  timestamp clock;
  std::vector<equivocation> quarantine;
  std::uint64_t entries = 0;
  state_hash root;
  processed_changes stable;       ///< See `engine_state::stable`.
  std::uint64_t replay_from = 1;  ///< The first row of the log with a change that is missing here.

  static constexpr auto fields() {
    return std::tuple{required("processed", &checkpoint_head::processed),
                      required("clock", &checkpoint_head::clock),
                      required("quarantine", &checkpoint_head::quarantine),
                      required("entries", &checkpoint_head::entries),
                      required("root", &checkpoint_head::root),
                      required("stable", &checkpoint_head::stable),
                      required("replay_from", &checkpoint_head::replay_from)};
  }
};

/// In a store whose checkpoint was lost or set aside: the entries are what there is of it.
struct salvage_mark {
  bool knows_base = true;  ///< See `saved_parts`, also for this:
  version_vector overruled_by;

  static constexpr auto fields() {
    return std::tuple{required("knows_base", &salvage_mark::knows_base),
                      optional("forgotten", &salvage_mark::overruled_by)};
  }
};

/// The head of a state, and whether entries belong to a head.
checkpoint_head head_of(const engine_state& state, std::uint64_t replay_from);
bool belong_together(const checkpoint_head& head, const context_tree& entries);
/// The state that they make.
engine_state state_of(checkpoint_head head, context_tree entries);

/// Adds the entry of a row of format 5, `path, siblings, hash`, to a tree. Fails with corrupt_data,
/// which names the path, when the row is damaged; the tree has not changed then.
result<void> add_entry(const SQLite::Statement& row, context_tree& tree);

}  // namespace troupe
