#include <troupe/actors/context/state/live_dots.hpp>

#include <algorithm>

namespace troupe {

live_dots::live_dots(const context_tree& tree) {
  tree.visit_from({}, [&](const tree_entry& entry) {
    for (const auto& each : entry.siblings.all()) add(each.dot(), each.content());
    return true;
  });
  for (auto& [run, of_run] : runs_) std::ranges::sort(of_run.slots, {}, &slot::seq);
}

std::optional<std::uint64_t> live_dots::content(const dot& id) const noexcept {
  const auto run = runs_.find({id.origin, id.incarnation});
  if (run == runs_.end()) return std::nullopt;
  const auto& slots = run->second.slots;
  const auto at = std::lower_bound(slots.begin(), slots.end(), id.seq);
  if (at == slots.end() || at->seq != id.seq || at->content == removed_mark) return std::nullopt;
  return at->content;
}

void live_dots::add(const dot& id, std::uint64_t content) {
  runs_[{id.origin, id.incarnation}].slots.push_back({id.seq, content});
}

void live_dots::remove(const dot& id) noexcept {
  const auto run = runs_.find({id.origin, id.incarnation});
  if (run == runs_.end()) return;
  auto& [slots, removed] = run->second;
  const auto at = std::lower_bound(slots.begin(), slots.end(), id.seq);
  if (at == slots.end() || at->seq != id.seq || at->content == removed_mark) return;
  at->content = removed_mark;
  if (++removed <= slots.size() / 2) return;
  std::erase_if(slots, [](const slot& each) { return each.content == removed_mark; });
  removed = 0;
  if (slots.empty()) runs_.erase(run);
}

}  // namespace troupe
