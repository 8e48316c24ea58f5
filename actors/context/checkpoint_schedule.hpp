#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include <troupe/actors/context/sync_effects.hpp>

namespace troupe {

/// Decides when a checkpoint is due and keeps track of those that are being written. Pure.
///
/// It counts in positions: the changes that the log holds or will hold, and those that no log
/// holds. One due checkpoint is under way at a time; the next is due `every` changes after the
/// state of the one before was taken, whether that one was written or failed.
class checkpoint_schedule {
public:
  /// @param every changes. @param replayed changes that the start found in the log and in no
  /// checkpoint.
  checkpoint_schedule(std::uint64_t every, std::uint64_t replayed) noexcept
      : every_(every), outside_(replayed) {}

  /// Counts changes of the state that the log does not hold.
  void count_unlogged(std::uint64_t changes) noexcept { outside_ += changes; }
  /// A checkpoint is due at once.
  void make_due() noexcept { is_wanted_ = true; }
  /// The position of the present state. @param added `commit_queue::added`
  std::uint64_t position(std::uint64_t added) const noexcept { return added + outside_; }

  /// @param durable `commit_queue::durable`
  bool is_due(std::uint64_t durable) const noexcept {
    return !due_under_way_ && (is_wanted_ || position(durable) >= tried_ + every_);
  }
  /// The present state is taken for a due checkpoint. @returns its position.
  std::uint64_t take(std::uint64_t added) noexcept;

  /// Whether the latest checkpoint lacks changes that a state of this position has.
  bool lacks(std::uint64_t position) const noexcept { return position != written_; }

  /// A state is being written. @param settles the request that waits for it; none for the due one.
  checkpoint_id begin(std::uint64_t position, std::optional<context_request> settles);
  /// It is written, or has failed. @returns the request that waits for it, if any.
  std::optional<context_request> end(checkpoint_id id, bool written);

private:
  struct writing {
    std::uint64_t position;
    std::optional<context_request> settles;
  };

  std::uint64_t every_;
  std::uint64_t outside_;  ///< Changes that the commit queue did not count.
  std::uint64_t written_ = 0, tried_ = 0;
  bool due_under_way_ = false, is_wanted_ = false;
  std::uint64_t begun_ = 0;
  std::map<checkpoint_id, writing> writing_;
};

}  // namespace troupe
