#pragma once

#include <cstdint>
#include <functional>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

/// The checkpoint of a context store: the state of an engine at one moment. The table `entries` has
/// one row for each path, tombstones included; the rest is one message in the table `meta`.
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

  /// Replaces the checkpoint in one transaction. Writes only the entries that differ from the
  /// checkpoint last written or loaded. When it fails, nothing has changed. O(differences * log
  /// entries).
  /// @param replay_from the first row of the log with a change that is not in the state.
  /// @param beside is called last in the same transaction. Its failure undoes all.
  result<void> write(
      const engine_state& state, std::uint64_t replay_from,
      const std::function<result<void>()>& beside = [] { return result<void>{}; });

  /// The changes that the latest checkpoint holds.
  const processed_changes& processed() const noexcept { return processed_; }
  /// The first row of the log with a change that is not in the latest checkpoint; 1 when there is
  /// none. All rows before it are in the checkpoint.
  std::uint64_t replay_from() const noexcept { return replay_from_; }

  /// Reads the checkpoint; the empty state when there is none. Checks each row and the hash of the
  /// whole tree. O(entries).
  result<engine_state> load();

private:
  result<void> write_entry(const tree_entry* before, const tree_entry* after);

  SQLite::Database& database_;
  meta_table& meta_;
  SQLite::Statement upsert_, erase_;
  context_tree written_;  ///< The entries that the table holds.
  processed_changes processed_;
  std::uint64_t replay_from_ = 1;
};

}  // namespace troupe
