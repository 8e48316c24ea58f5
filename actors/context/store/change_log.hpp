#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The tables `log` and `runs` of a context store: every change, in the order in which it was
/// appended. The changes of an incarnation have no gaps. Grows by one row for each batch; nothing
/// is removed.
///
/// The key of a row is how many changes the log has up to it, so each change has a number for ever.
/// A row goes on where the row of its incarnation before ends. It may repeat some changes of that
/// row, because batches of other nodes are kept as they came.
class change_log {
public:
  /// The tables must exist. Call `load` before anything else. @throws SQLite::Exception
  /// @param database must outlive this.
  explicit change_log(SQLite::Database& database);
  change_log(const change_log&) = delete;
  change_log& operator=(const change_log&) = delete;

  /// Reads which changes there are. O(incarnations * log rows).
  result<void> load();

  /// Appends all batches, or none, in one transaction. Each must go on with its incarnation; a
  /// batch that is in the log already is skipped when it has the same changes.
  /// @returns internal when changes of an incarnation would be missing; corrupt_data when other
  ///          changes are in the log in the place of these; storage_failure.
  result<void> append(std::span<const shared_batch> batches);

  /// Changes in the order in which they were appended: as many as fit in `max_bytes`, and at least
  /// one batch if there is one. The first batch of an incarnation may begin before its range. Small
  /// rows of an incarnation that follow each other are joined. O(ranges * log rows + rows between
  /// the first and the last one that is wanted).
  /// @param wanted one range for each incarnation, sorted.
  result<std::vector<shared_batch>> read(std::span<const dot_range> wanted, std::size_t max_bytes);

  /// Passes every change that is not in `from` to `take`, in the order in which they were appended.
  /// @returns the first failure of reading or of `take`.
  result<void> replay(const version_vector& from,
                      const std::function<result<void>(change_record&&)>& take);

  /// What the log holds: all of `1..seq` of each incarnation.
  const version_vector& vector() const noexcept { return vector_; }
  /// How many changes the log holds.
  std::uint64_t changes() const noexcept { return changes_; }
  /// How many changes the log holds that are not in `vector`.
  std::uint64_t records_beyond(const version_vector& vector) const;
  /// The highest incarnation of a node of which the log has changes; 0 when there is none.
  std::uint64_t last_incarnation(const node_id& node) const;

private:
  result<void> append_one(const change_batch& batch, version_vector& vector,
                          std::uint64_t& changes);
  std::int64_t run_of(const incarnation_id& id);
  result<void> check_same(const change_batch& batch, std::uint64_t last);
  result<shared_batch> batch_of(const SQLite::Statement& at) const;
  result<std::vector<shared_batch>> read_rows(std::span<const dot_range> wanted,
                                              std::size_t max_bytes);
  std::optional<std::int64_t> number_of(std::int64_t run, std::uint64_t seq);

  SQLite::Database& database_;
  SQLite::Statement insert_, number_, rows_, batch_, insert_run_;
  std::map<incarnation_id, std::int64_t> runs_;          ///< The key of each incarnation in `runs`.
  std::map<std::int64_t, incarnation_id> incarnations_;  ///< The other way.
  version_vector vector_;
  std::uint64_t changes_ = 0;
};

}  // namespace troupe
