#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/block_table.hpp>
#include <troupe/actors/context/store/checkpoint_rows.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

/// The checkpoint of a context store: the state of an engine at one moment. The table `blocks` has
/// the entries, tombstones included; the rest is one message in the table `meta`. A store of format
/// 5 has a table `entries` instead, with one row for each path, until the checkpoint is
/// loaded.
class checkpoint_table {
public:
  /// The tables must exist. @throws SQLite::Exception
  /// @param database and `meta` must outlive this.
  checkpoint_table(SQLite::Database& database, meta_table& meta);
  checkpoint_table(const checkpoint_table&) = delete;
  checkpoint_table& operator=(const checkpoint_table&) = delete;

  /// Reads all but the entries, so that `processed` and `replay_from` are known. When that is
  /// damaged, they are as without a checkpoint; `load` says what is wrong.
  void load_head();

  /// Replaces the checkpoint in one transaction. Writes only the blocks in which something differs
  /// from the checkpoint last written or loaded. When it fails, nothing has changed. O(differences
  /// * log entries + blocks).
  /// @param replay_from the first row of the log with a change that is not in the state.
  /// @param beside is called last in the same transaction. Its failure undoes all.
  result<void> write(
      const engine_state& state, std::uint64_t replay_from,
      const std::function<result<void>()>& beside = [] { return result<void>{}; });

  /// The changes that the latest checkpoint holds.
  const processed_changes& processed() const noexcept { return latest_.processed; }
  /// The latest checkpoint, after `load` or `write`; else null.
  const engine_state* latest() const noexcept { return has_entries_ ? &latest_ : nullptr; }
  /// The first row of the log with a change that is not in the latest checkpoint; 1 when there is
  /// none. All rows before it are in the checkpoint.
  std::uint64_t replay_from() const noexcept { return replay_from_; }

  /// Reads the checkpoint; the empty state when there is none. Checks each row and the hash of the
  /// whole tree. Writes the rows of format 5 as blocks; when the disk refuses that, the next
  /// checkpoint does. O(entries).
  result<engine_state> load();

  /// The outcome of `check_rows`.
  struct checked_rows {
    std::int64_t next = 0;   ///< Where to go on.
    std::size_t mended = 0;  ///< Blocks that were wrong.
    bool is_end = false;
  };
  /// Compares blocks with the latest checkpoint, which must have been loaded or written, and mends
  /// those that differ. @param from where to begin, at first the least number. @param most entries,
  /// at least 1; those of the last block may be more. @returns corrupt_data when rows are in the
  /// wrong place, or cannot be read. O(most * log entries + blocks).
  result<checked_rows> check_rows(std::int64_t from, std::size_t most);
  /// Reads all rows of the table `meta`. Fails with corrupt_data when one is damaged.
  result<void> check_meta() { return meta_.check(); }
  /// Adds the blocks that are missing. @returns how many. O(blocks, and the entries of those).
  result<std::size_t> add_missing_rows();

  /// Removes the time from the checkpoint, if there is one. Call before `load`, in a transaction.
  result<void> forget_clock();

  /// Whether the checkpoint was lost, and the entries are what could be read of it: then nobody
  /// knows which changes they hold. `load` gives the empty state, and the next `write` replaces
  /// them.
  result<bool> is_salvaged();
  /// Of a checkpoint that was lost.
  struct salvaged_entries {
    context_tree tree;
    bool knows_base = true;  ///< Whether the base of the log is known, or guessed from its rows.
    version_vector overruled_by = {};  ///< See `saved_parts`.
  };
  /// What is left of a checkpoint that was lost. O(entries).
  result<salvaged_entries> load_salvaged();
  /// Makes these the entries of a checkpoint that was lost. There must be no checkpoint.
  result<void> write_salvaged(const context_tree& entries, const salvage_mark& mark);
  /// Treats the checkpoint as one that was lost, in one transaction. Nothing else is asked of this
  /// table then. @param entries what it is to hold before, or null: what it holds. @param
  /// overruled_by See `saved_parts`. @param beside See `write`.
  result<void> set_aside(const context_tree* entries, const version_vector& overruled_by,
                         const std::function<result<void>()>& beside);

private:
  result<void> drop_salvaged();
  result<void> read_entries(context_tree& into);
  result<void> replace_old_rows();
  block_table::layout write_entries(const context_tree& entries);
  result<std::size_t> rewrite(const std::vector<std::int64_t>& rows);

  SQLite::Database& database_;
  meta_table& meta_;
  block_table blocks_;
  engine_state latest_;       ///< What the table and the head hold; see `has_entries_`.
  bool has_entries_ = false;  ///< False: the entries have not been read, or there are none.
  bool is_salvaged_ = false;
  bool has_old_rows_ = false;
  std::uint64_t replay_from_ = 1;
};

}  // namespace troupe
