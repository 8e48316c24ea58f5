#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// Bounds of a commit queue.
struct commit_limits {
  std::size_t max_batch = 1000;  ///< Changes in one commit, unless one group has more.
  std::size_t max_batch_bytes = std::size_t{8} << 20;         ///< The same in bytes.
  std::size_t max_body_bytes = change_batch::max_body_bytes;  ///< See `change_batch::of`.
  std::size_t max_waiting = 100'000;  ///< Changes; from there on the queue `is_full`.
  std::size_t max_waiting_bytes = std::size_t{64} << 20;  ///< The same in bytes.
};

/// A state that holds changes which the log does not have: those of another replica's state were
/// joined into it.
struct adopted_state {
  engine_state state;
  processed_changes foreign;  ///< What the other state had.
  /// Set when the log is to keep no other changes: they can become part of no state any more.
  std::optional<processed_changes> log_keeps = std::nullopt;
};

/// Changes that one commit makes durable, all or none: those of batches, or a state.
struct commit {
  std::vector<shared_batch> batches;
  std::shared_ptr<const adopted_state> adopted;
  std::size_t changes = 0;  ///< In all batches; a state counts as one.
};

/// The changes between the engine and the disk: group commit. While one commit is being written the
/// next gathers, so the number of disk syncs follows the disk's speed and not the number of
/// writers. What was added together is never parted, so a power cut leaves all of it or nothing.
/// Changes that the disk refuses stay at the front and are offered again.
///
/// Changes of this node are encoded when they are taken, those that follow each other as one batch.
/// Batches of other nodes stay as they came.
///
/// Positions count the changes: the n-th change added since the beginning has position n. Pure.
class commit_queue {
public:
  explicit commit_queue(commit_limits limits = {}) : limits_(limits) {}

  /// Adds changes that become durable together. O(changes).
  void add(std::vector<change_record> group);
  /// Adds a batch. O(1).
  void add(shared_batch batch);
  /// Adds a state. It counts as one change, and is a commit of its own. O(1).
  void add(std::shared_ptr<const adopted_state> adopted);

  /// What to write next; nothing while a commit is under way or no change waits. Then call
  /// `end_commit`. O(bytes).
  std::shared_ptr<const commit> take();
  /// The outcome of the commit under way. @returns that commit.
  std::shared_ptr<const commit> end_commit(const result<void>& outcome);

  /// True when all that was added is durable.
  bool is_idle() const noexcept { return groups_.empty() && !under_way_; }
  /// True at the bound of the changes, or of their bytes, that wait. The commit under way does not
  /// count.
  bool is_full() const noexcept {
    return waiting_ >= limits_.max_waiting || waiting_bytes_ >= limits_.max_waiting_bytes;
  }
  /// The position of the latest change.
  std::uint64_t added() const noexcept {
    return durable_ + (under_way_ ? under_way_->changes : 0) + waiting_;
  }
  /// The position up to which all changes are durable.
  std::uint64_t durable() const noexcept { return durable_; }
  /// The latest refusal of the disk, until a commit succeeds again.
  const result<void>& health() const noexcept { return health_; }

private:
  /// What was added together, not encoded yet or encoded already.
  struct group {
    std::vector<change_record> records;
    std::vector<shared_batch> batches;
    std::shared_ptr<const adopted_state> adopted;
    std::size_t changes = 0, bytes = 0;
  };
  void push(group added);

  commit_limits limits_;
  std::deque<group> groups_;
  std::size_t waiting_ = 0, waiting_bytes_ = 0;  ///< In `groups_`.
  std::shared_ptr<const commit> under_way_;
  std::uint64_t durable_ = 0;
  result<void> health_;
};

}  // namespace troupe
