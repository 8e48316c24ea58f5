#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <troupe/actors/context/push_batch.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// The changes between the engine and the disk: group commit. While one batch is being written the next gathers, so the
/// number of disk syncs follows the disk's speed and not the number of writers. Pure.
///
/// Changes that the disk refuses stay at the front and are offered again; whoever waits for them is told at once.
class commit_queue {
public:
  using batch = std::shared_ptr<const std::vector<encoded_record>>;
  using completion = std::function<void(const result<void>&)>;

  /// @param max_batch Records in one commit. @param max_waiting Beyond so many records `is_full`.
  explicit commit_queue(std::size_t max_batch = 1000, std::size_t max_waiting = 100'000)
      : max_batch_(max_batch), max_waiting_(max_waiting) {}

  void add(encoded_record record) { waiting_.push_back(std::move(record)); }
  /// Tells when everything that has been added so far is durable, or that the disk has refused. At once when there is nothing.
  void notify(completion done);
  /// The same, but waits through refusals.
  void notify_durable(completion done);

  /// The next records to write; nothing while a batch is under way or no record waits. Then call `settle`.
  batch take();
  /// The outcome of the batch: tells whoever waits for it.
  void settle(const result<void>& outcome);

  bool is_idle() const noexcept { return waiting_.empty() && !under_way_; }
  bool is_full() const noexcept { return waiting_.size() >= max_waiting_; }
  /// The latest refusal of the disk, until a batch succeeds again.
  const result<void>& health() const noexcept { return health_; }

private:
  struct waiter {
    std::uint64_t position;  ///< Wants all records before this one durable.
    bool patient;
    completion done;
  };

  void add_waiter(completion done, bool patient);

  std::size_t max_batch_;
  std::size_t max_waiting_;
  std::deque<encoded_record> waiting_;
  batch under_way_;
  std::uint64_t durable_ = 0;  ///< Records that are durable, since the beginning.
  std::deque<waiter> waiters_;
  result<void> health_;
};

}  // namespace troupe
