#pragma once

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

  /// Replaces the checkpoint in one transaction. Writes only the entries that differ from the
  /// checkpoint last written or loaded. O(differences * log entries).
  /// @param replay_from the first row of the log with a change that is not in the state.
  result<void> write(const engine_state& state, std::uint64_t replay_from);
  /// `replay_from` of the latest checkpoint; 1 when there is none.
  result<std::uint64_t> replay_from();

  /// Reads the checkpoint; the empty state when there is none. Checks each row and the hash of the
  /// whole tree. O(entries).
  result<engine_state> load();

private:
  result<void> write_entry(const tree_entry* before, const tree_entry* after);

  SQLite::Database& database_;
  meta_table& meta_;
  SQLite::Statement upsert_, erase_;
  context_tree written_;  ///< The entries that the table holds.
};

}  // namespace troupe
