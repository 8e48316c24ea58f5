#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The heads of both sides of a session. Of its own, a side sends what differs from heads that the
/// peer has said to have; of the peer's, it puts together what they mean. Heads may be lost,
/// repeated and overtake each other: without heads that both have, the next ones are whole.
///
/// Keeps the latest few of each side. Pure.
class heads_exchange {
public:
  /// @param max_entries of all vectors in the peer's heads, and reports.
  explicit heads_exchange(std::size_t max_entries) : max_entries_(max_entries) {}

  /// What to send for these heads. O(their entries * log of that).
  sync_heads shorten(sync_heads whole);
  /// What the heads of the peer mean; null when later ones have come already. O(as above).
  /// @returns protocol_violation when they differ from heads that the peer never sent, or whose
  ///          receipt was never said, or lists are not sorted; limit_exceeded.
  result<std::shared_ptr<const sync_heads>> complete(const sync_heads& said);

private:
  struct numbered {
    std::uint64_t number;
    std::shared_ptr<const sync_heads> whole;
  };
  static std::shared_ptr<const sync_heads> find(const std::deque<numbered>& among,
                                                std::uint64_t number);
  static void keep(std::deque<numbered>& among, std::uint64_t number,
                   std::shared_ptr<const sync_heads> whole);

  std::size_t max_entries_;
  std::deque<numbered> sent_, heard_;
  std::uint64_t latest_sent_ = 0, latest_heard_ = 0;
  std::uint64_t has_ = 0;  ///< Of those sent, the latest that the peer has.
};

}  // namespace troupe
