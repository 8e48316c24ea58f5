#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/schema.hpp>
#include <troupe/actors/context/store/scrub.hpp>
#include <troupe/actors/context/store/transfer_file.hpp>
#include <troupe/actors/context/store/wal_guard.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/actors/context/sync/log_range.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

class directory_lock;
class store_files;

/// The bounds of a store.
struct store_options {
  /// The most bytes of the database file. A full store refuses writes and can still be read.
  std::uint64_t max_bytes = std::uint64_t{64} << 30;
  /// The log keeps at least this many of the latest changes, so that a node that was away can read
  /// what it missed.
  std::uint64_t history_changes = 100'000;
};

/// What is left of a context whose checkpoint was lost in a damage.
struct saved_parts {
  context_tree entries;      ///< Those that could be read. Which changes they hold is not known.
  processed_changes base;    ///< What the log may lack.
  bool knows_base = true;    ///< Otherwise the base is guessed, and may be too small.
  processed_changes logged;  ///< What the log and its base have.
  /// The changes that overrule this node: they say that it is forgotten, or that a transaction is
  /// lost. Then the state was whole. Empty when it was lost in a damage.
  version_vector overruled_by = {};
};

/// The durable half of a replica: a log of all changes and a checkpoint of the state, in one SQLite
/// file in write-ahead mode.
///
/// Each row carries a hash over its key and its content. Every read checks it; a corrupt_data error
/// names the row that fails. Each change of the store is one transaction and is synced to disk
/// before the call returns, so a power cut leaves all of it or nothing.
///
/// The log grows by a row for each batch of changes, up to `store_options::max_bytes`; peers that
/// were away read it. `collect` removes its oldest rows. The changes of which the log may lack rows
/// are its base. The checkpoint has them, and keeps tombstones, too.
///
/// Blocking; owned by one thread at a time. All returned data are copies.
class context_store {
public:
  /// Whether a process has the store in `directory` open now.
  static bool is_in_use(const std::string& directory);

  /// Opens the store in `directory`, or makes one. A new directory has mode 0700; the files have
  /// mode 0600. Reads the rows of the log that no checkpoint holds, without their changes, and the
  /// write-ahead file. A salvage that was cut off is ended.
  /// @param fresh The identity of a new store; an existing store keeps its own.
  /// @returns already_exists when a process (also this one) has it open;
  /// corrupt_data, then see
  ///          `salvage_store`; version_mismatch when a newer build wrote it; storage_failure, also
  ///          when the directory has lost its database.
  static result<context_store> open(const std::string& directory, const store_identity& fresh,
                                    store_options options = {});

  context_store(context_store&&) noexcept;
  context_store& operator=(context_store&&) noexcept;
  ~context_store();

  /// The cluster and the node that the store belongs to.
  const store_identity& identity() const noexcept;
  /// What `open` has found wrong and dealt with.
  const std::vector<store_note>& notes() const noexcept;

  /// Whether the checkpoint was lost in a damage, and the log cannot replace it, or others have
  /// overruled the node, see `set_aside`: the state has to come from another node. Then
  /// `load_checkpoint` gives the empty state, and nothing can be replayed, before `adopt` or
  /// `checkpoint` has stored a state that covers the log's base.
  bool needs_state() const noexcept;
  /// Makes `state` what there was before another node's state takes its place, with a tombstone
  /// where the log has the erasure of a subtree and nothing is left: from now on the store
  /// `needs_state`, and its log is empty. Opens the file anew. Doing it again does no harm.
  /// @param state must have all changes of the log. @param overruled_by See
  /// `saved_parts`.
  /// @throws std::runtime_error when the file cannot be opened again.
  result<void> set_aside(const engine_state& state, const version_vector& overruled_by);
  /// The file of this directory.
  transfer_file transfer() const;
  /// `write_unsent` into the directory of the store.
  result<std::string> keep_unsent(const context_tree& entries);
  /// What there is when the checkpoint was lost. O(entries + incarnations + log rows).
  result<saved_parts> load_salvaged();
  /// All changes that the log or its base has. O(incarnations + log rows).
  result<processed_changes> logged();

  /// Begins an incarnation: returns a number that is greater than every earlier one and makes it
  /// durable.
  /// @param at_least A number that grows with time. It keeps a store that was set back to an old
  ///        copy from repeating an incarnation.
  /// @param apart How far at least the number is from the last one. A random number keeps copies
  ///        apart even where the last one is ahead of time.
  result<std::uint64_t> begin_incarnation(std::uint64_t at_least, std::uint64_t apart = 1);

  /// Has the next `correct_clock` do something.
  result<void> want_clock_correction();
  /// If that is wanted, makes the times of changes of this node before this incarnation count no
  /// more: see `engine_state::clock_since`. Call before `load_checkpoint`. @returns whether it was.
  result<bool> correct_clock(std::uint64_t since);
  /// See `engine_state::clock_since`.
  result<std::uint64_t> clock_since();

  /// The latest checkpoint; the empty state when there is none. O(entries).
  result<engine_state> load_checkpoint();
  /// Passes the changes of the log that are not in `checkpointed` to `take`, in the order in which
  /// they were appended.
  /// @returns the first failure of reading or of `take`.
  result<void> replay(const processed_changes& checkpointed,
                      const std::function<result<void>(change_record&&)>& take);

  /// Group commit: appends all batches to the log, or none. Each must go on with its incarnation.
  /// One that the log or its base has already is skipped.
  /// Fails also when the files were deleted or replaced meanwhile: nothing lasts then.
  result<void> append(std::span<const shared_batch> batches);
  /// Changes in the order in which they were appended: as many as fit in `max_bytes`, and at least
  /// one batch if there is one. The first batch of an incarnation may begin earlier. Changes of the
  /// log's base may be missing.
  result<std::vector<shared_batch>> read_log(std::span<const log_range> wanted,
                                             std::size_t max_bytes);
  /// For when `read_log` has met a damaged row: removes the rows that the checkpoint makes
  /// unnecessary, so that peers who lack changes of them take the state instead.
  /// @returns whether there were any.
  result<bool> mend_log();
  /// The last change of an incarnation in the log or its base; 0 when there is none.
  result<std::uint64_t> last_logged(const incarnation_id& source);

  /// Makes `state` what the next start begins with. Writes only entries that differ from the
  /// previous checkpoint.
  /// @returns internal when the state has changes that are not in the log: append those first; also
  ///          when it lacks changes of the log's base: they would be lost.
  result<void> checkpoint(const engine_state& state);
  /// Makes a state the checkpoint that has changes which the log lacks, because they came from
  /// another node as a whole state. They become part of the log's base, and appending goes on after
  /// them. When it fails, nothing has changed. O(differences to the previous checkpoint * log
  /// entries).
  /// @param state must have all that the latest checkpoint has: join that first.
  /// @param foreign what the other node's state had.
  /// @param keeps when it is given, the changes that the log may keep: all others are removed,
  ///        because they can become part of no state any more.
  /// @returns internal when the state lacks changes of the latest checkpoint, or has changes that
  ///          neither the log nor `foreign` has; storage_failure.
  result<void> adopt(const engine_state& state, const processed_changes& foreign,
                     const processed_changes* keeps = nullptr);
  /// How many changes of the log no checkpoint holds: the next start replays them.
  std::uint64_t records_since_checkpoint() const noexcept;

  /// The changes of which the log may lack rows. The checkpoint has them.
  const processed_changes& log_base() const noexcept;
  /// Removes rows of the log that nobody needs, oldest first, and gives free pages of the file back
  /// to the disk. Stops at the first row with a change that is not in `upto` or not in the latest
  /// checkpoint, or that is among the latest `store_options::history_changes`. Never removes the
  /// last row. When it removes any, `upto` becomes part of the log's base. A call takes one
  /// transaction of at most `max_rows` rows, and gives back a bounded number of pages. O(max_rows *
  /// log rows + incarnations in `upto`).
  /// @param upto must be in the latest checkpoint.
  /// @param max_rows at least 1.
  /// @returns whether there is more to do now; internal when `upto` has changes that the latest
  ///          checkpoint lacks; storage_failure.
  result<bool> collect(const processed_changes& upto, std::size_t max_rows);

  /// Lets go of the pages that SQLite keeps in memory and does not use.
  void give_back_memory() noexcept;

  /// Fails with storage_failure when a file is gone or was replaced: see `file_presence`.
  result<void> check_files();

  /// Reads the next rows of the file, at most `max_rows`, and mends what is damaged. When whole
  /// pages are, the file is written anew, from what is in memory and what of the log can be read;
  /// the damaged one is kept, see `store_files`. The checkpoint must have been loaded or written.
  /// @throws std::runtime_error when the file that was written anew cannot be opened.
  result<scrub_step> scrub(std::size_t max_rows);

private:
  struct contents;
  void reopen(const std::function<result<void>()>& meanwhile = [] { return result<void>{}; });
  static result<std::unique_ptr<contents>> open_contents(const store_files& files,
                                                         directory_lock& lock,
                                                         const store_identity& fresh,
                                                         store_options options);
  result<scrub_step> rebuild();
  explicit context_store(std::unique_ptr<contents> opened) noexcept;
  result<void> check_whole(const engine_state& state, const processed_changes& base) const;
  result<void> write_checkpoint(const engine_state& state, const processed_changes& base,
                                const processed_changes* keeps = nullptr);

  std::unique_ptr<contents> contents_;
};

}  // namespace troupe
