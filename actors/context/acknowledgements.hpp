#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include <troupe/actors/context/sync_effects.hpp>

namespace troupe {

/// A write to answer.
struct waiting_write {
  context_request request;
  values_written written;
  durability level = durability::durable;
  std::uint64_t last = 0;   ///< Its last change, in this incarnation; 0 when it has none.
  version_vector rests_on;  ///< The changes that had made what it did not have to write.
  /// For the disk, and for members; in steady time.
  std::uint64_t disk_deadline_ms = UINT64_MAX, deadline_ms = UINT64_MAX;
};
/// A state to make the checkpoint.
struct waiting_checkpoint {
  std::shared_ptr<const engine_state> state;
  std::uint64_t position;  ///< `checkpoint_schedule::position` of the state.
  std::optional<context_request>
      settles{};  ///< The request that asked for it; none when it was due.
};
/// A push to acknowledge.
struct waiting_push {
  peer_id peer;
  std::uint64_t batch;
};

/// A state to offer to a peer that has asked for it.
struct waiting_offer {
  peer_id peer;
  std::shared_ptr<const engine_state> state;
};

/// What waits for changes to become durable, first come, first served. Positions count the changes
/// of a `commit_queue`.
///
/// A refusal of the disk ends what a request waits for. Due checkpoints, pushes and offers wait on.
/// Pure.
///
/// Bounded by its users: one entry for each open request and due checkpoint, and for each peer the
/// pushes that its session lets wait and one offer.
class acknowledgements {
public:
  using waiter = std::variant<waiting_write, waiting_checkpoint, waiting_push, waiting_offer>;

  /// @param position what must be durable; not less than the position of the waiter before.
  void add(std::uint64_t position, waiter who);
  /// Removes the first waiter if its position is durable.
  std::optional<waiter> next(std::uint64_t durable);
  /// Removes the writes that the disk has not taken in their time, in order. O(waiting).
  std::vector<waiting_write> expired(std::uint64_t now_ms);
  /// Removes the waiters that a refusal ends, in order.
  std::vector<waiter> refuse();
  /// Removes the pushes and the offer of a peer.
  void forget(peer_id peer);

  bool empty() const noexcept { return waiting_.empty(); }

private:
  template <class Ends>
  std::vector<waiter> remove_if(const Ends& ends);

  struct entry {
    std::uint64_t position;
    waiter who;
  };

  std::deque<entry> waiting_;
};

}  // namespace troupe
