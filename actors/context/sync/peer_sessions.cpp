#include <troupe/actors/context/sync/peer_sessions.hpp>

#include <algorithm>

#include <troupe/messages/assert.hpp>

namespace troupe {

sync_session& peer_sessions::add(peer_id link, const node_id& node) {
  const auto [at, is_new] =
      peers_.try_emplace(link, peer{node, sync_session{self_, node, view_, limits_}});
  TROUPE_ASSERT(is_new, "a link is introduced once");
  nodes_.insert(std::ranges::upper_bound(nodes_, node), node);
  return at->second.session;
}

bool peer_sessions::remove(peer_id link) {
  const auto found = peers_.find(link);
  if (found == peers_.end()) return false;
  const auto node = std::ranges::lower_bound(nodes_, found->second.node);
  TROUPE_ASSERT(node != nodes_.end() && *node == found->second.node, "each link has a node");
  nodes_.erase(node);
  peers_.erase(found);
  return true;
}

sync_session* peer_sessions::find(peer_id link) noexcept {
  const auto found = peers_.find(link);
  return found == peers_.end() ? nullptr : &found->second.session;
}

const sync_session* peer_sessions::find(peer_id link) const noexcept {
  const auto found = peers_.find(link);
  return found == peers_.end() ? nullptr : &found->second.session;
}

}  // namespace troupe
