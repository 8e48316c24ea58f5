#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include <troupe/actors/context/sync_ids.hpp>

namespace troupe {

/// Keeps what links say before they are introduced as peers: a peer may speak first, because its
/// side of the link was up earlier. Pure.
///
/// Bounded in total and for each link. At the bound of a link its newest go, and the exchange
/// begins anew with a new link; at the bound of all the oldest go.
class early_notifications {
public:
  struct notification {
    peer_id link;
    std::string method;
    std::string params;
  };

  static constexpr std::size_t max_kept = 64;
  static constexpr std::size_t max_of_link = 16;
  static constexpr std::size_t max_bytes = std::size_t{16} << 20;

  /// Keeps a notification. May drop it or others, at the bounds.
  void keep(notification said);
  /// Removes and returns what this link has said, in order.
  std::vector<notification> take(peer_id link);

  std::size_t size() const noexcept { return kept_.size(); }

private:
  std::deque<notification> kept_;
  std::size_t bytes_ = 0;  ///< Of the parameters.
};

}  // namespace troupe
