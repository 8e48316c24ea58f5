#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// What could be saved of a damaged store.
struct salvage_outcome {
  std::uint64_t entries = 0;       ///< Of the checkpoint.
  std::uint64_t changes = 0;       ///< Of the log.
  std::uint64_t lost_entries = 0;  ///< At least so many.
  std::uint64_t lost_rows = 0;     ///< Of the log, with changes that the checkpoint lacks; about.
  /// The checkpoint is lost, and the log does not reach back far enough to replace it: the state
  /// has to come from another node.
  bool needs_state = false;

  /// Whether nothing is known to be missing. Pages that lie where others should be may have taken
  /// the place of rows that nothing else tells of.
  bool is_whole() const noexcept { return lost_rows == 0 && !needs_state; }
};

/// A checkpoint that is in memory.
struct known_checkpoint {
  const engine_state& state;
  std::uint64_t replay_from = 1;  ///< The first row of the log with a change that it lacks.
};

/// Saves what can be read of a damaged store into a new database: `store_files::salvaged_database`.
/// The damaged one is read only. What comes out can be opened as any store:
///
/// - When the checkpoint is sound, it is kept, with the later changes of the log as far as they
///   follow. Where a row is damaged, what follows it in its incarnation is left out, and what
///   depends on that: a node that was set back, so peers give it what it lacks.
/// - When the checkpoint is damaged and the log lacks nothing, the log replaces it.
/// - Otherwise the log is kept, and those entries that can be read: see
///   `checkpoint_table::is_salvaged`.
///
/// Rows that the checkpoint makes unnecessary are dropped when one of them is damaged.
///
/// The caller holds the lock. O(file); memory for all entries.
/// @param files of the damaged store.
/// @param known the latest checkpoint, if it is in memory: then nothing of it is read.
/// @returns corrupt_data when not even the identity can be read; version_mismatch; storage_failure.
result<salvage_outcome> salvage_store(const store_files& files,
                                      std::optional<known_checkpoint> known = std::nullopt);

}  // namespace troupe
