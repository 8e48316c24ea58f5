#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/schema.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/actors/context/sync/log_range.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The bounds of a store.
struct store_options {
  /// The most bytes of the database file. A full store refuses writes and can still be read.
  std::uint64_t max_bytes = std::uint64_t{64} << 30;
  /// The log keeps at least this many of the latest changes, so that a node that was away can read
  /// what it missed.
  std::uint64_t history_changes = 100'000;
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
/// are its base. The checkpoint has them. It has one row for each path, tombstones included.
///
/// Blocking; owned by one thread at a time. All returned data are copies.
class context_store {
public:
  /// Whether a process has the store in `directory` open now.
  static bool is_in_use(const std::string& directory);

  /// Opens the store in `directory`, or makes one. A new directory has mode 0700; the files have
  /// mode 0600. O(file size): reads the whole file to find torn pages; see `check_took`.
  /// @param fresh The identity of a new store; an existing store keeps its own.
  /// @returns already_exists when a process (also this one) has it open; corrupt_data;
  ///          version_mismatch when a newer build wrote it; storage_failure.
  static result<context_store> open(const std::string& directory, const store_identity& fresh,
                                    store_options options = {});

  context_store(context_store&&) noexcept;
  context_store& operator=(context_store&&) noexcept;
  ~context_store();

  /// The cluster and the node that the store belongs to.
  const store_identity& identity() const noexcept;
  /// How long `open` took to read the whole file. Grows with the file.
  std::chrono::milliseconds check_took() const noexcept;

  /// Begins an incarnation: returns a number that is greater than every earlier one and makes it
  /// durable.
  /// @param at_least A number that grows with time. It keeps a store that was set back to an old
  ///        copy from repeating an incarnation.
  result<std::uint64_t> begin_incarnation(std::uint64_t at_least);

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
  /// @param state must have all that the store's own state has: join that first. @param foreign
  /// what the other node's state had.
  /// @returns internal when the state lacks changes of the latest checkpoint, or has changes that
  ///          neither the log nor `foreign` has; storage_failure.
  result<void> adopt(const engine_state& state, const processed_changes& foreign);
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

private:
  struct contents;
  explicit context_store(std::unique_ptr<contents> opened) noexcept;
  result<void> write_checkpoint(const engine_state& state, const processed_changes& base);

  std::unique_ptr<contents> contents_;
};

}  // namespace troupe
