#pragma once

#include <map>
#include <vector>

#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/actors/context/sync_ids.hpp>

namespace troupe {

/// The sync sessions of one replica, one for each link to a peer. Pure.
class peer_sessions {
public:
  /// @param self this replica. @param view what the sessions read; must outlive this.
  peer_sessions(const sync_identity& self, const sync_view& view, sync_limits limits)
      : self_(self), view_(view), limits_(limits) {}

  /// A session for a new link to this node; the caller starts it.
  sync_session& add(peer_id link, const node_id& node);
  /// False when there is none.
  bool remove(peer_id link);

  /// The session of a link, or null.
  sync_session* find(peer_id link) noexcept;
  const sync_session* find(peer_id link) const noexcept;
  /// The node on the other side of a link that has a session.
  const node_id& node(peer_id link) const { return peers_.at(link).node; }
  /// The nodes that have a session here, sorted; one for each link.
  const std::vector<node_id>& nodes() const noexcept { return nodes_; }
  bool empty() const noexcept { return peers_.empty(); }

  /// Calls `step(link, session)` for each session. The step may remove sessions.
  template <class Step>
  void for_each(Step&& step) {
    for (auto at = peers_.begin(); at != peers_.end();) {
      const auto link = at->first;
      step(link, at->second.session);
      at = peers_.upper_bound(link);
    }
  }

  template <class Step>
  void for_each(Step&& step) const {
    for (const auto& [link, known] : peers_) step(link, known.session);
  }

private:
  struct peer {
    node_id node;
    sync_session session;
  };

  sync_identity self_;
  const sync_view& view_;
  sync_limits limits_;
  std::map<peer_id, peer> peers_;
  std::vector<node_id> nodes_;
};

}  // namespace troupe
