#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/actors/context/sync/log_range.hpp>
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

  /// Reads what there is from this row on; the rows before it are in the checkpoint. O(rows from
  /// there on).
  result<void> load(std::uint64_t from);

  /// Appends all batches, or none, in one transaction. Each must go on with its incarnation; a
  /// batch that is in the log already is skipped when it has the same changes.
  /// @returns internal when changes of an incarnation would be missing; corrupt_data when other
  ///          changes are in the log in the place of these; storage_failure.
  result<void> append(std::span<const shared_batch> batches);

  /// Changes in the order in which they were appended: as many as fit in `max_bytes`, and at least
  /// one batch if there is one. The first batch of an incarnation may begin before its range. Small
  /// rows of an incarnation that follow each other are joined. O(ranges * log rows + rows between
  /// the first and the last one that is wanted).
  result<std::vector<shared_batch>> read(std::span<const log_range> wanted, std::size_t max_bytes);

  /// Passes every change that is not in `done` to `take`, in the order in which they were appended.
  /// @returns the first failure of reading or of `take`.
  result<void> replay(processed_changes done,
                      const std::function<result<void>(change_record&&)>& take);

  /// How many changes were ever appended.
  std::uint64_t changes() const noexcept { return changes_; }
  /// The last change of an incarnation; 0 when there is none. O(log rows).
  result<std::uint64_t> last_of(const incarnation_id& source);
  /// How many changes the log holds that are not in `checkpointed`, which has all rows before the
  /// one that was loaded first.
  std::uint64_t records_beyond(const processed_changes& checkpointed) const;
  /// The first row with a change that is not in `checkpointed`, or the one after the last. O(the
  /// incarnations in rows that no earlier checkpoint had, * log rows)
  result<std::uint64_t> first_beyond(const processed_changes& checkpointed);
  /// All changes in `checkpointed` are safe there: forgets which incarnations have them.
  void forget_before(const processed_changes& checkpointed);
  /// The highest incarnation of a node of which the log has changes; 0 when there is none.
  result<std::uint64_t> last_incarnation(const node_id& node);

private:
  /// An incarnation in the log.
  struct run {
    std::int64_t number = 0;  ///< Its key in `runs`.
    std::uint64_t last = 0;   ///< Its last change in the log.
  };

  result<run> find_run(const incarnation_id& source);
  run add_run(const incarnation_id& source);
  result<void> append_one(const change_batch& batch);
  result<void> check_same(const change_batch& batch, std::uint64_t last);
  static result<incarnation_id> source_of(const SQLite::Statement& at, const std::string& name);
  static result<shared_batch> batch_of(const SQLite::Statement& at);
  result<std::vector<shared_batch>> read_rows(std::span<const log_range> wanted,
                                              std::size_t max_bytes);
  std::optional<std::int64_t> number_of(std::int64_t run, std::uint64_t seq);
  /// Numbers of rows, both included.
  struct rows {
    std::int64_t first = 0, last = 0;
  };
  result<std::optional<rows>> rows_of(const log_range& range);

  SQLite::Database& database_;
  SQLite::Statement insert_, number_, rows_, batch_, insert_run_, run_, runs_from_;
  std::map<incarnation_id, run> runs_;  ///< Those in rows that no checkpoint has, and others.
  std::int64_t last_run_ = 0;
  std::uint64_t changes_ = 0;
  /// The first row of an incarnation that cannot be told. Who reads it says what is wrong.
  std::uint64_t first_damaged_ = UINT64_MAX;
};

}  // namespace troupe
