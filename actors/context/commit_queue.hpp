#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <troupe/actors/context/sync/push_batch.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// Bounds of a commit queue.
struct commit_limits {
  std::size_t max_batch = 1000;  ///< Records in one commit, unless one group has more.
  std::size_t max_batch_bytes = std::size_t{8} << 20;  ///< The same in bytes.
  std::size_t max_waiting = 100'000;  ///< With so many records waiting the queue `is_full`.
  std::size_t max_waiting_bytes = std::size_t{64} << 20;  ///< The same in bytes.
};

/// The changes between the engine and the disk: group commit. While one batch is being written the
/// next gathers, so the number of disk syncs follows the disk's speed and not the number of
/// writers. What was added together is never parted, so a power cut leaves all of it or nothing.
/// Pure.
///
/// Changes that the disk refuses stay at the front and are offered again; whoever waits for them is
/// told at once.
class commit_queue {
public:
  using batch = std::shared_ptr<const std::vector<encoded_record>>;
  using completion = std::function<void(const result<void>&)>;

  explicit commit_queue(commit_limits limits = {}) : limits_(limits) {}

  void add(encoded_record record);
  /// Adds changes that become durable together.
  void add(std::vector<encoded_record> group);
  /// Tells when everything that has been added so far is durable, or that the disk has refused. At
  /// once when there is nothing.
  void notify(completion done);
  /// The same, but waits through refusals.
  void notify_durable(completion done);

  /// The next records to write; nothing while a batch is under way or no record waits. Then call
  /// `settle`.
  batch take();
  /// The outcome of the batch: tells whoever waits for it.
  void settle(const result<void>& outcome);

  bool is_idle() const noexcept { return waiting_.empty() && !under_way_; }
  bool is_full() const noexcept {
    return waiting_.size() >= limits_.max_waiting || waiting_bytes_ >= limits_.max_waiting_bytes;
  }
  /// Records that were added, since the beginning.
  std::uint64_t added() const noexcept {
    return durable_ + (under_way_ ? under_way_->size() : 0) + waiting_.size();
  }
  /// How many of them are durable.
  std::uint64_t durable() const noexcept { return durable_; }
  /// The latest refusal of the disk, until a batch succeeds again.
  const result<void>& health() const noexcept { return health_; }

private:
  struct waiter {
    std::uint64_t position;  ///< Wants all records before this one durable.
    bool patient;
    completion done;
  };

  /// What was added together.
  struct group {
    std::size_t records, bytes;
  };

  void add_waiter(completion done, bool patient);

  commit_limits limits_;
  std::deque<encoded_record> waiting_;
  std::deque<group> groups_;  ///< How `waiting_` is parted.
  std::size_t waiting_bytes_ = 0;
  batch under_way_;
  std::vector<group> groups_under_way_;
  std::uint64_t durable_ = 0;  ///< Records that are durable, since the beginning.
  std::deque<waiter> waiters_;
  result<void> health_;
};

}  // namespace troupe
