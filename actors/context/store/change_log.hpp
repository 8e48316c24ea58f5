#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/actors/context/sync/log_range.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The tables `log` and `runs` of a context store: changes in the order in which they were
/// appended. Grows by one row for each batch, and by one row of `runs` for each incarnation;
/// `collect` removes the oldest rows.
///
/// The log may lack rows of the changes in its base: they were collected, or came with a state that
/// another node sent. The checkpoint has them. The other changes of an incarnation have no gaps.
///
/// The key of a row is how many changes were appended up to it, so each change has a number for
/// ever. `collect` never removes the last row, and where it is removed the meta data keep its
/// number, so that none is given out again. A row goes on where the row of its incarnation before
/// ends, or the base. It may repeat some changes of those, because batches of other nodes are kept
/// as they came.
class change_log {
public:
  /// The tables must exist. Call `load` before anything else. @throws SQLite::Exception
  /// @param database and `meta` must outlive this.
  change_log(SQLite::Database& database, meta_table& meta);
  change_log(const change_log&) = delete;
  change_log& operator=(const change_log&) = delete;

  /// Reads the base, and what there is from this row on; the rows before it are in the checkpoint.
  /// Fails with corrupt_data when the base is damaged. O(rows from there on).
  result<void> load(std::uint64_t from);

  /// Appends all batches, or none, in one transaction. Each must go on with its incarnation. One
  /// that goes not beyond the log and its base is skipped. What it repeats must be the same;
  /// changes without a row are not compared. O(batches * log rows + what is repeated).
  /// @returns internal when changes of an incarnation would be missing; corrupt_data when other
  ///          changes are in the log in the place of these; storage_failure.
  result<void> append(std::span<const shared_batch> batches);

  /// Changes in the order in which they were appended: as many as fit in `max_bytes`, and at least
  /// one batch if there is one. Those without a row are left out. The first batch of an incarnation
  /// may begin before its range. Small rows of an incarnation that follow each other are joined.
  /// O(ranges * log rows + rows between the first and the last one that is wanted).
  result<std::vector<shared_batch>> read(std::span<const log_range> wanted, std::size_t max_bytes);

  /// Passes every change that is not in `done` to `take`, in the order in which they were appended.
  /// @returns the first failure of reading or of `take`.
  result<void> replay(processed_changes done,
                      const std::function<result<void>(change_record&&)>& take);

  /// Passes every change to `take` that can be read, in the order in which they were appended.
  void visit(const std::function<void(const change_record&)>& take);

  /// The changes of which the log may lack rows.
  const processed_changes& base() const noexcept { return base_; }
  /// Stores another base. Call in a transaction, and `take_base` after its commit. O(base).
  result<void> store_base(const processed_changes& base);
  /// The base that was stored holds from now on.
  void take_base(processed_changes stored) { base_ = std::move(stored); }
  /// Removes rows of which every change is in `upto`: from the oldest row on, up to the first one
  /// that may not go, at most `max_rows`. Adds `upto` to the base when it removes any. Removes also
  /// the incarnations that have ended in the base and have no rows left. All in one transaction;
  /// when it fails, nothing has changed. The last row stays, and so does a row of an incarnation
  /// that cannot be told: who reads it says what is wrong. O(removed rows * log rows + base).
  /// @param upto must be in the checkpoint.
  /// @param first_kept no row from this one on is removed.
  /// @returns whether more rows may go.
  result<bool> collect(const processed_changes& upto, std::uint64_t first_kept,
                       std::size_t max_rows);

  /// The outcome of `check_rows`.
  struct checked_rows {
    std::int64_t next = 1;                ///< Where to go on.
    std::optional<std::int64_t> damaged;  ///< The first row that cannot be read.
    bool is_end = false;
  };
  /// Reads rows from this number on, and stops at a damaged one. @param most rows, at least 1.
  result<checked_rows> check_rows(std::int64_t from, std::size_t most);
  /// Reads all rows of `runs`, and whether the index has as many rows as the log. Fails with
  /// corrupt_data when not. O(rows), without their changes.
  result<void> check_runs();
  /// Removes all rows before `first_kept`, and makes what was in them part of the base. For when
  /// one of them is damaged. One transaction; when it fails, nothing has changed.
  /// @param upto has all changes of these rows.
  /// @returns whether there were any.
  result<bool> give_up(const processed_changes& upto, std::uint64_t first_kept);

  /// Removes all changes that are not in here. Call in a transaction, and `forget_all` after its
  /// commit. O(rows).
  result<void> cut(const processed_changes& kept);
  /// What is known of the incarnations has to be read again.
  void forget_all() noexcept { runs_.clear(); }

  /// How many changes were ever appended.
  std::uint64_t changes() const noexcept { return changes_; }
  /// The last change of an incarnation in the log or its base; 0 when there is none. O(log rows).
  result<std::uint64_t> last_of(const incarnation_id& source);
  /// All changes that the log or its base has. O(incarnations + log rows).
  result<processed_changes> all();
  /// How many changes the log holds that are not in `checkpointed`, which has all rows before the
  /// one that was loaded first.
  std::uint64_t records_beyond(const processed_changes& checkpointed) const;
  /// The first row with a change that is not in `checkpointed`, or the one after the last. O(the
  /// incarnations in rows that no earlier checkpoint had, * log rows)
  result<std::uint64_t> first_beyond(const processed_changes& checkpointed);
  /// All changes in `checkpointed` are safe there: forgets which incarnations have them.
  void forget_before(const processed_changes& checkpointed);
  /// The highest incarnation of a node of which the log or its base has changes; 0 when there is
  /// none.
  result<std::uint64_t> last_incarnation(const node_id& node);

private:
  /// An incarnation in the log.
  struct run {
    std::int64_t number = 0;  ///< Its key in `runs`.
    std::uint64_t last = 0;   ///< The last change that a row has.
  };
  /// An incarnation, and its key in `runs`.
  struct keyed_incarnation {
    incarnation_id source;
    std::int64_t run = 0;
  };
  /// The oldest rows, as far as they may go.
  struct oldest_rows {
    std::int64_t last = 0;                    ///< The number of the last one; 0 when there is none.
    std::map<node_id, std::uint64_t> latest;  ///< Of each node in them, its highest incarnation.
    processed_changes removed;                ///< The changes in them.
    bool has_more = false;                    ///< Whether the row after them may go too.
  };

  result<run> find_run(const incarnation_id& source);
  run add_run(const incarnation_id& source);
  std::uint64_t last_before(const change_batch& batch, const run& known) const noexcept;
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
  oldest_rows find_oldest(const processed_changes& upto, std::int64_t end, std::size_t max_rows);
  std::vector<keyed_incarnation> without_rows(const std::map<node_id, std::uint64_t>& latest);

  SQLite::Database& database_;
  meta_table& meta_;
  SQLite::Statement insert_, number_, rows_, batch_, insert_run_, run_, runs_from_;
  processed_changes base_;
  std::map<incarnation_id, run> runs_;  ///< Those in rows that no checkpoint has, and others.
  std::int64_t last_run_ = 0;
  std::uint64_t changes_ = 0;
  /// The first row of an incarnation that cannot be told. Who reads it says what is wrong.
  std::uint64_t first_damaged_ = UINT64_MAX;
};

}  // namespace troupe
