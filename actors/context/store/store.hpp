#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/directory_lock.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/push_batch.hpp>
#include <troupe/messages/sync.hpp>

namespace troupe {

/// Who a store belongs to.
struct store_identity {
  cluster_id cluster;
  node_id node;

  friend bool operator==(const store_identity&, const store_identity&) = default;
};

struct store_options {
  /// The database file never grows beyond this. What is full refuses writes; reads go on.
  std::uint64_t max_bytes = std::uint64_t{64} << 30;
};

/// The durable half of a replica: a log of all changes and a checkpoint of the state, in one SQLite
/// file in write-ahead mode that any SQLite tool can read.
///
/// Every row carries a hash over its key and content, checked whenever it is read; a row that fails
/// is named in a corrupt_data error. Whatever changes is one transaction, synced to disk before the
/// call returns: it is there after a power cut, or it has never been.
///
/// What grows: the log, by one row for each change, up to `store_options::max_bytes`; peers that
/// were away read it. The entries of the checkpoint, by one row for each path, tombstones included.
///
/// Blocking; belongs to a detached actor. Everything it hands out is a copy.
class context_store {
public:
  /// Whether some process has the store in `directory` open now.
  static bool is_in_use(const std::string& directory);

  /// Opens the store in `directory`, or makes one. A directory that it makes has mode 0700; the
  /// files have 0600. O(size): the whole file is read once, to find torn pages; see `check_took`.
  /// @param fresh given to a new store; a store that exists keeps its own.
  /// @returns already_exists when another process (or this one) has it open; corrupt_data;
  /// version_mismatch when a newer
  ///          build wrote it; storage_failure.
  static result<context_store> open(const std::string& directory, const store_identity& fresh,
                                    store_options options = {});

  context_store(context_store&&) noexcept = default;
  context_store& operator=(context_store&&) noexcept = default;
  ~context_store() = default;

  const store_identity& identity() const noexcept { return identity_; }
  /// How long reading the whole file took when it was opened. It grows with the log, which is not
  /// trimmed.
  std::chrono::milliseconds check_took() const noexcept { return check_took_; }

  /// The incarnation of a new run, durably taken: greater than every earlier one.
  /// @param at_least give a number that grows with time, so that a store set back to an old copy
  /// does not repeat an incarnation.
  result<std::uint64_t> begin_incarnation(std::uint64_t at_least);

  /// What the latest checkpoint holds; empty when there is none. O(entries).
  result<engine_state> load_checkpoint();
  /// Hands out the changes of the log that are not in `checkpointed`, those of one run in order.
  /// @returns the first failure of reading or of `take`.
  result<void> replay(const version_vector& checkpointed,
                      const std::function<result<void>(change_record&&)>& take);

  /// Group commit: appends all records to the log, or none. Each must be the next of its run.
  result<void> append(std::span<const encoded_record> records);
  /// Changes of one run from `first` on, in order: as many as fit in `max_bytes`, but at least one
  /// if there is one.
  result<std::vector<encoded_record>> read_log(const incarnation_id& run, std::uint64_t first,
                                               std::size_t max_bytes);
  /// What the log holds: all of `1..seq` of each run.
  const version_vector& log_vector() const noexcept { return log_vector_; }

  /// Makes the state what the next start begins with. Writes only entries that changed since the
  /// previous checkpoint.
  /// @returns internal when the state holds changes that are not in the log: append those first.
  result<void> checkpoint(const engine_state& state);
  /// Changes appended, or found in the log at the start, that no checkpoint holds: what the next
  /// start has to replay.
  std::uint64_t records_since_checkpoint() const noexcept { return since_checkpoint_; }

private:
  context_store(directory_lock lock, sqlite_database database) noexcept
      : lock_(std::move(lock)), database_(std::move(database)) {}

  result<void> prepare_schema(const store_identity& fresh);
  result<void> prepare_statements();
  result<void> read_identity();
  result<void> read_log_vector();
  result<std::string> read_meta(const std::string& key);
  result<void> write_meta(const std::string& key, const std::string& bytes);
  result<void> write_entry(const tree_entry* before, const tree_entry* after);
  result<std::int64_t> row_of_run(const incarnation_id& run);
  result<void> check_logged(const encoded_record& record);
  result<encoded_record> read_record(const sqlite_statement& row, const incarnation_id& run) const;
  std::uint64_t records_beyond(const version_vector& vector) const;

  directory_lock lock_;  // declared first: released when the database is closed
  sqlite_database database_;
  sqlite_statement insert_log_, select_log_, insert_run_, upsert_entry_, delete_entry_,
      select_meta_, upsert_meta_;
  store_identity identity_;
  std::map<incarnation_id, std::int64_t> runs_;
  version_vector log_vector_;
  context_tree checkpointed_;
  std::uint64_t since_checkpoint_ = 0;
  std::chrono::milliseconds check_took_{0};
};

}  // namespace troupe
