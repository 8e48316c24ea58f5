#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <troupe/actors/context/sync/push_batch.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// Bounds of a commit queue.
struct commit_limits {
  std::size_t max_batch = 1000;  ///< Records in one commit, unless one group has more.
  std::size_t max_batch_bytes = std::size_t{8} << 20;  ///< The same in bytes.
  std::size_t max_waiting = 100'000;  ///< Records; from there on the queue `is_full`.
  std::size_t max_waiting_bytes = std::size_t{64} << 20;  ///< The same in bytes.
};

/// The changes between the engine and the disk: group commit. While one batch is being written the
/// next gathers, so the number of disk syncs follows the disk's speed and not the number of
/// writers. What was added together is never parted, so a power cut leaves all of it or nothing.
/// Changes that the disk refuses stay at the front and are offered again.
///
/// Positions count the records: the n-th record added since the beginning has position n. Pure.
class commit_queue {
public:
  using batch = std::shared_ptr<const std::vector<encoded_record>>;

  explicit commit_queue(commit_limits limits = {}) : limits_(limits) {}

  /// Adds one change.
  void add(encoded_record record);
  /// Adds changes that become durable together.
  void add(std::vector<encoded_record> group);

  /// The next records to write; nothing while a batch is under way or no record waits. Then call
  /// `end_batch`.
  batch take();
  /// The outcome of the batch under way. @returns that batch.
  batch end_batch(const result<void>& outcome);

  /// True when all that was added is durable.
  bool is_idle() const noexcept { return waiting_.empty() && !under_way_; }
  /// True at the bound of the records, or of their bytes, that wait. The batch under way does not
  /// count.
  bool is_full() const noexcept {
    return waiting_.size() >= limits_.max_waiting || waiting_bytes_ >= limits_.max_waiting_bytes;
  }
  /// The position of the latest record.
  std::uint64_t added() const noexcept {
    return durable_ + (under_way_ ? under_way_->size() : 0) + waiting_.size();
  }
  /// The position up to which all records are durable.
  std::uint64_t durable() const noexcept { return durable_; }
  /// The latest refusal of the disk, until a batch succeeds again.
  const result<void>& health() const noexcept { return health_; }

private:
  /// What was added together.
  struct group {
    std::size_t records, bytes;
  };

  commit_limits limits_;
  std::deque<encoded_record> waiting_;
  std::deque<group> groups_;  ///< How `waiting_` is parted.
  std::size_t waiting_bytes_ = 0;
  batch under_way_;
  std::vector<group> groups_under_way_;
  std::uint64_t durable_ = 0;
  result<void> health_;
};

}  // namespace troupe
