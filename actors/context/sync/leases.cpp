#include <troupe/actors/context/sync/leases.hpp>

#include <algorithm>

namespace troupe {

void leases::heard(const node_id& node, std::uint64_t ago_ms, std::uint64_t now_ms) {
  const auto found = seen_.find(node);
  if (ago_ms == 0 || found == seen_.end()) return;
  constexpr auto longest = std::uint64_t{1} << 62;
  const auto at =
      static_cast<std::int64_t>(now_ms) - static_cast<std::int64_t>(std::min(ago_ms, longest));
  auto& [at_ms, is_known] = found->second;
  // What is said takes its time to come. Passed around, it must not make the sight later and later.
  const auto slack = static_cast<std::int64_t>(limits_.present_ms / 2);
  if (!is_known || at > at_ms + slack) at_ms = at;
  is_known = true;
}

void leases::update(const members& known, const std::vector<node_id>& linked,
                    std::uint64_t now_ms) {
  if (!since_ms_) since_ms_ = now_ms;
  std::erase_if(seen_, [&](const auto& each) { return !known.has(each.first); });
  const auto now = static_cast<std::int64_t>(now_ms);
  for (const auto& node : known.nodes()) {
    auto& seen = seen_.try_emplace(node, sight{now, false}).first->second;
    if (std::ranges::binary_search(linked, node)) seen = {now, true};
  }
}

std::uint64_t leases::away_ms(const node_id& node, std::uint64_t now_ms) const {
  const auto found = seen_.find(node);
  if (found == seen_.end()) return 0;
  const auto ago = static_cast<std::int64_t>(now_ms) - found->second.at_ms;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(ago, 0));
}

std::uint64_t leases::report_ms(const node_id& node, std::uint64_t now_ms) const {
  const auto found = seen_.find(node);
  if (found == seen_.end() || !found->second.is_known) return 0;
  return std::max<std::uint64_t>(away_ms(node, now_ms), 1);
}

std::vector<node_id> leases::ended(const members& known, const node_id& self,
                                   std::uint64_t now_ms) const {
  std::vector<node_id> late;
  for (const auto& node : known.nodes())
    if (limits_.length_ms > 0 && node != self && away_ms(node, now_ms) >= limits_.length_ms)
      late.push_back(node);
  return late;
}

bool leases::decides(const members& known, const node_id& self, const node_id& away,
                     const processed_changes& processed, event_time now) const {
  const auto now_ms = now.steady_ms;
  const bool listens_yet = !since_ms_ || now_ms < *since_ms_ + limits_.present_ms;
  if (listens_yet || known.are_too_many()) return false;
  const auto ago = away_ms(away, now_ms);
  const auto went_away = now.wall_ms - std::min(now.wall_ms, ago);
  std::size_t count = 0;
  std::vector<node_id> here;
  for (const auto& node : known.nodes()) {
    if (known.since_ms(node) > went_away) continue;
    ++count;
    if (node == self || away_ms(node, now_ms) < limits_.present_ms) here.push_back(node);
  }
  if (2 * here.size() <= count || here.front() != self) return false;
  return std::ranges::all_of(here, [&](const node_id& node) {
    return node == self || std::ranges::all_of(known.forgotten(), [&](const auto& each) {
             return known.has_committed(node, each.second, processed);
           });
  });
}

}  // namespace troupe
