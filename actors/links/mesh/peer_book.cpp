#include <troupe/actors/links/mesh/peer_book.hpp>

#include <algorithm>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

std::chrono::milliseconds lengthened(std::chrono::milliseconds wait, double jitter) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(wait * (1 + jitter / 2));
}

}  // namespace

peer_book::peer_book(node_id self, std::uint64_t incarnation, std::string own_address)
    : self_(self), incarnation_(incarnation), own_address_(std::move(own_address)) {}

// -- addresses ------------------------------------------------------------------------------------

void peer_book::give(const std::string& address, time_point now) {
  if (places_.size() >= max_addresses && !places_.contains(address)) make_room();
  if (auto* at = find_or_add(address, now)) at->given = true;
}

void peer_book::learn(const std::string& address, time_point now) { find_or_add(address, now); }

void peer_book::learn(const std::string& address, const node_id& node, std::uint64_t incarnation,
                      time_point now) {
  auto* at = find_or_add(address, now);
  if (at == nullptr || (at->is_trusted() && at->node != node)) return;
  at->node = node;
  at->incarnation = incarnation;
}

peer_book::place* peer_book::find_or_add(const std::string& address, time_point now) {
  if (const auto found = places_.find(address); found != places_.end()) return &found->second;
  if (address.empty() || address == own_address_ || places_.size() >= max_addresses) return nullptr;
  auto& added = places_[address];
  added.next_dial = now;
  return &added;
}

void peer_book::make_room() {
  const auto spare = std::find_if(places_.begin(), places_.end(), [](const auto& each) {
    return !each.second.is_trusted() && !each.second.pending;
  });
  if (spare != places_.end()) places_.erase(spare);
}

// -- dialing --------------------------------------------------------------------------------------

std::optional<std::string> peer_book::next_due(time_point now) {
  auto next = places_.end();
  for (auto each = places_.begin(); each != places_.end(); ++each) {
    if (!is_due(each->second, now)) continue;
    const auto rank = [](const place& at) { return std::pair{!at.is_trusted(), at.next_dial}; };
    if (next == places_.end() || rank(each->second) < rank(next->second)) next = each;
  }
  if (next == places_.end()) return std::nullopt;
  next->second.pending = true;
  return next->first;
}

bool peer_book::is_due(const place& at, time_point now) const {
  if (at.pending || at.link || at.next_dial > now) return false;
  // A node that has dialed this one needs no second connection. After a restart it may listen
  // elsewhere.
  const auto who = members_.find(at.node);
  return who == members_.end() || who->second.incarnation != at.incarnation;
}

void peer_book::dial_failed(const std::string& address, const error& why, double jitter,
                            time_point now) {
  const auto found = places_.find(address);
  if (found == places_.end()) return;
  auto& at = found->second;
  if (++at.failures >= max_failures && !at.is_trusted())
    places_.erase(found);
  else
    retry_later(at, why, jitter, now);
}

void peer_book::retry_later(place& at, const error& why, double jitter, time_point now) {
  at.pending = false;
  at.link.reset();
  at.problem = utf8_prefix(why.message, max_problem_bytes);
  at.next_dial = now + lengthened(at.retry, jitter);
  at.retry = std::min(at.retry * 2, last_retry);
}

// -- connections ----------------------------------------------------------------------------------

peer_book::verdict peer_book::refuse(const std::string& dialed, error reason, time_point now) {
  if (const auto at = places_.find(dialed); at != places_.end())
    retry_later(at->second, reason, 0, now);
  return {false, std::nullopt, std::move(reason)};
}

/// Refuses a newer incarnation of a node. The one that is connected answers the link's pings; when
/// it has ended, that shows soon.
peer_book::verdict peer_book::refuse_rival(const node_id& node, std::uint64_t incarnation,
                                           const std::string& dialed, time_point now) {
  return refuse(
      dialed,
      {error_code::already_exists,
       "node " + to_string(node) + " is connected with incarnation " + std::to_string(incarnation) +
           "; unless that ends now, a copy of its data directory runs: start a node "
           "with an empty data directory instead",
       {}},
      now);
}

peer_book::verdict peer_book::connected(connection link, const node_id& node,
                                        const std::string& name, std::uint64_t incarnation,
                                        const std::string& dialed, time_point now) {
  const auto place_dialed = places_.find(dialed);
  auto* at = place_dialed != places_.end() ? &place_dialed->second : nullptr;
  const auto refuse_for_good = [&](std::string why) {
    if (at != nullptr) at->retry = last_retry;
    return refuse(dialed, {error_code::already_exists, std::move(why), {}}, now);
  };

  if (node == self_ && incarnation == incarnation_) {
    // Another node may claim this as well. A given address is kept all the same.
    if (at != nullptr && !at->given) {
      places_.erase(place_dialed);
      at = nullptr;
    }
    return refuse_for_good("this is the node itself");
  }
  if (node == self_)
    return refuse_for_good(
        "another node runs with the id of this one, " + to_string(node) +
        "; its data directory was copied: give the copy a data directory of its own");

  if (at != nullptr) {
    at->met = true;
    at->failures = 0;
    at->node = node;
    at->incarnation = incarnation;
  }
  std::erase_if(reserved_, [&](const auto& each) { return each.second.until <= now; });
  if (const auto place = reserved_.find(node); place != reserved_.end()) {
    if (incarnation > place->second.incarnation)
      return refuse_rival(node, place->second.incarnation, dialed, now);
    reserved_.erase(place);
  }
  std::optional<connection> replaced;
  error reason;
  if (const auto found = members_.find(node); found != members_.end()) {
    const auto& known = found->second;
    if (incarnation < known.incarnation)
      return refuse_for_good(
          "node " + to_string(node) + " is connected with the newer incarnation " +
          std::to_string(known.incarnation) + "; its data directory may have been copied");
    if (incarnation > known.incarnation) {
      found->second.has_rival = true;
      return refuse_rival(node, known.incarnation, dialed, now);
    }
    const bool dialed_by_smaller = dialed.empty() ? node < self_ : self_ < node;
    const bool same_direction = known.was_dialed == !dialed.empty();
    if (!same_direction && !dialed_by_smaller)
      return refuse(dialed, {error_code::already_exists, "the nodes are connected already", {}},
                    now);
    replaced = known.link;
    reason = {error_code::already_exists, "replaced by a newer connection of the same node", {}};
  }

  members_[node] = {link, name, incarnation, !dialed.empty(), false, now};
  if (at != nullptr) {
    at->pending = false;
    at->link = link;
    at->linked_at = now;
    at->problem.clear();
  }
  return {true, replaced, reason};
}

std::optional<node_id> peer_book::disconnected(connection link, const error& why, double jitter,
                                               time_point now) {
  const auto gone = std::find_if(members_.begin(), members_.end(),
                                 [&](const auto& each) { return each.second.link == link; });
  const bool was_member = gone != members_.end();
  for (auto& [address, at] : places_) {
    if (at.link == link) {
      if (now - at.linked_at >= success_after) at.retry = first_retry;
      retry_later(at, why, jitter, now);
    } else if (was_member && at.node == gone->first && !at.link && !at.pending) {
      // It was not dialed while its node was connected the other way round, so it is probably due.
      if (now - gone->second.since >= success_after) at.retry = first_retry;
      at.next_dial = std::max(at.next_dial, now + lengthened(at.retry, jitter));
    }
  }
  if (!was_member) return std::nullopt;
  const node_id node = gone->first;
  if (gone->second.has_rival) reserved_[node] = {gone->second.incarnation, now + reserved_for};
  members_.erase(gone);
  return node;
}

// -- what is known --------------------------------------------------------------------------------

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
      all.push_back({.address = {},
                     .connected = true,
                     .id = node,
                     .name = member.name,
                     .incarnation = member.incarnation,
                     .problem = {}});
  return all;
}

std::vector<std::string> peer_book::addresses() const {
  std::vector<std::string> all;
  for (const auto& [address, at] : places_)
    if (at.is_trusted() || !at.node.is_nil()) all.push_back(address);
  return all;
}

}  // namespace troupe
