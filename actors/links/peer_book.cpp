#include <troupe/actors/links/peer_book.hpp>

#include <algorithm>

namespace troupe {

peer_book::peer_book(node_id self, std::uint64_t incarnation, std::string own_address)
    : self_(self), incarnation_(incarnation), own_address_(std::move(own_address)) {}

void peer_book::learn(const std::string& address, time_point now) {
  if (address.empty() || address == own_address_ || places_.size() >= max_addresses) return;
  places_.try_emplace(address, place{.next_dial = now});
}

std::vector<std::string> peer_book::due(time_point now) {
  std::vector<std::string> all;
  for (auto& [address, at] : places_) {
    // A place whose node is connected the other way round needs no second connection.
    if (at.pending || at.link || at.next_dial > now || (!at.node.is_nil() && members_.contains(at.node))) continue;
    at.pending = true;
    all.push_back(address);
  }
  return all;
}

void peer_book::dial_failed(const std::string& address, const error& why, double jitter, time_point now) {
  const auto found = places_.find(address);
  if (found != places_.end()) retry_later(found->second, why, jitter, now);
}

void peer_book::retry_later(place& at, const error& why, double jitter, time_point now) {
  at.pending = false;
  at.link.reset();
  at.problem = why.message;
  at.next_dial = now + std::chrono::duration_cast<std::chrono::milliseconds>(at.retry * (1 + jitter / 2));
  at.retry = std::min(at.retry * 2, last_retry);
}

peer_book::verdict peer_book::connected(connection link, const node_id& node, const std::string& name,
                                        std::uint64_t incarnation, const std::string& dialed, time_point now) {
  const auto refuse = [&](error_code code, std::string why, bool for_good) {
    const error reason{code, std::move(why), {}};
    if (const auto at = places_.find(dialed); at != places_.end()) {
      if (for_good) at->second.retry = last_retry;
      retry_later(at->second, reason, 0, now);
    }
    return verdict{false, std::nullopt, reason};
  };

  if (node == self_) {
    if (incarnation == incarnation_) {
      if (!dialed.empty()) places_.erase(dialed);
      return refuse(error_code::already_exists, "this is the node itself", true);
    }
    return refuse(error_code::already_exists,
                  "another node runs with the id of this one, " + to_string(node) +
                      "; its data directory was copied: give the copy a data directory of its own",
                  true);
  }

  std::optional<connection> replaced;
  error reason;
  if (const auto found = members_.find(node); found != members_.end()) {
    const auto& known = found->second;
    if (incarnation < known.incarnation)
      return refuse(error_code::already_exists,
                    "node " + to_string(node) + " is connected with the newer incarnation " +
                        std::to_string(known.incarnation) + "; its data directory may have been copied",
                    true);
    const bool dialed_by_smaller = dialed.empty() ? node < self_ : self_ < node;
    const bool same_direction = dialed.empty() == known.dialed.empty();
    if (incarnation == known.incarnation && !same_direction && !dialed_by_smaller) {
      auto outcome = refuse(error_code::already_exists, "the nodes are connected already", false);
      if (const auto at = places_.find(dialed); at != places_.end()) at->second.node = node;
      return outcome;
    }
    replaced = known.link;
    reason = {error_code::already_exists, "replaced by a newer connection of the same node", {}};
  }

  members_[node] = {link, name, incarnation, dialed};
  if (const auto at = places_.find(dialed); at != places_.end()) {
    at->second.pending = false;
    at->second.link = link;
    at->second.node = node;
    at->second.retry = first_retry;
    at->second.problem.clear();
  }
  return {true, replaced, reason};
}

std::optional<node_id> peer_book::disconnected(connection link, const error& why, double jitter, time_point now) {
  for (auto& [address, at] : places_)
    if (at.link == link) retry_later(at, why, jitter, now);
  const auto gone = std::find_if(members_.begin(), members_.end(),
                                 [&](const auto& each) { return each.second.link == link; });
  if (gone == members_.end()) return std::nullopt;
  const node_id node = gone->first;
  for (auto& [address, at] : places_)
    if (at.node == node) at.next_dial = std::min(at.next_dial, now + first_retry);
  members_.erase(gone);
  return node;
}

std::vector<peer_info> peer_book::peers() const {
  std::vector<peer_info> all;
  std::vector<node_id> shown;
  for (const auto& [address, at] : places_) {
    const auto member = members_.find(at.node);
    const bool connected = member != members_.end();
    if (connected) shown.push_back(at.node);
    all.push_back({.address = address,
                   .connected = connected,
                   .id = at.node,
                   .name = connected ? member->second.name : std::string{},
                   .incarnation = connected ? member->second.incarnation : 0,
                   .problem = connected ? std::string{} : at.problem});
  }
  for (const auto& [node, member] : members_)
    if (std::find(shown.begin(), shown.end(), node) == shown.end())
      all.push_back({.address = {}, .connected = true, .id = node, .name = member.name,
                     .incarnation = member.incarnation, .problem = {}});
  return all;
}

std::vector<std::string> peer_book::addresses() const {
  std::vector<std::string> all;
  for (const auto& [address, at] : places_) all.push_back(address);
  return all;
}

}  // namespace troupe
