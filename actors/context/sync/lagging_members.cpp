#include <troupe/actors/context/sync/lagging_members.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

std::vector<member_lag> lagging_members::update(const members& known,
                                                const std::vector<node_id>& linked,
                                                const processed_changes& committed,
                                                std::uint64_t now_ms) {
  std::erase_if(away_, [&](const auto& each) {
    return std::ranges::binary_search(linked, each.first) || !known.has(each.first);
  });
  for (const auto& node : known.nodes())
    if (!std::ranges::binary_search(linked, node)) away_.emplace(node, now_ms);
  const auto is_away = [&](const auto& each) {
    const auto since = away_.find(each.first);
    return !known.has(each.first) ||
           (since != away_.end() && now_ms - since->second >= away_for_ms);
  };
  std::erase_if(before_.theirs, is_away);
  std::erase_if(latest_.theirs, is_away);
  if (next_ms_ && now_ms < *next_ms_) return {};
  next_ms_ = now_ms + patience_ms;
  before_ = std::exchange(latest_, {committed.vector(), {}});
  for (auto& each : known.reports_beside({}))
    if (std::ranges::binary_search(linked, each.node))
      latest_.theirs.emplace(each.node, std::move(each.vector));

  auto lag = all(known, committed);
  const auto told = std::exchange(told_, {});
  for (const auto& each : lag) told_.insert(each.node);
  std::erase_if(lag, [&](const member_lag& each) { return told.contains(each.node); });
  return lag;
}

std::vector<member_lag> lagging_members::all(const members& known,
                                             const processed_changes& committed) const {
  std::vector<member_lag> found;
  for (const auto& [node, theirs] : before_.theirs) {
    if (away_.contains(node)) continue;
    const bool lacks = !known.has_committed(node, before_.mine, committed);
    const bool claims = !committed.covers(theirs);
    if (lacks || claims) found.push_back({node, lacks, claims});
  }
  return found;
}

}  // namespace troupe
