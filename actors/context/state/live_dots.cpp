#include <troupe/actors/context/state/live_dots.hpp>

#include <algorithm>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

live_dots::live_dots(const context_tree& tree) {
  tree.visit_from({}, [&](const tree_entry& entry) {
    for (const auto& each : entry.siblings.all()) add(each.dot(), each.content());
    return true;
  });
  for (auto& [source, slots_of_source] : incarnations_)
    std::ranges::sort(slots_of_source.slots, {}, &slot::seq);
}

std::optional<std::uint64_t> live_dots::content(const dot& id) const noexcept {
  const auto found = incarnations_.find(incarnation_of(id));
  if (found == incarnations_.end()) return std::nullopt;
  const auto& slots = found->second.slots;
  const auto at = std::lower_bound(slots.begin(), slots.end(), id.seq);
  if (at == slots.end() || at->seq != id.seq || at->content == removed_mark) return std::nullopt;
  return at->content;
}

void live_dots::add(const dot& id, std::uint64_t content) {
  incarnations_[incarnation_of(id)].slots.push_back({id.seq, content});
}

void live_dots::remove(const dot& id) noexcept {
  const auto found = incarnations_.find(incarnation_of(id));
  if (found == incarnations_.end()) return;
  auto& [slots, removed] = found->second;
  const auto at = std::lower_bound(slots.begin(), slots.end(), id.seq);
  if (at == slots.end() || at->seq != id.seq || at->content == removed_mark) return;
  at->content = removed_mark;
  if (++removed <= slots.size() / 2) return;
  std::erase_if(slots, [](const slot& each) { return each.content == removed_mark; });
  removed = 0;
  if (slots.empty()) incarnations_.erase(found);
}

}  // namespace troupe
