// Tombstones that go.

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/kept_siblings.hpp>

namespace troupe {

/// Whether these are nothing but a tombstone that another replica may have collected.
bool context_engine::may_be_collected(std::span<const sibling> siblings) const noexcept {
  return stable_ && is_collectable(siblings) && stable_->covers(siblings[0].dot);
}

std::optional<path> context_engine::collect(const processed_changes& upto, const path& from,
                                            std::size_t most) {
  std::vector<path> gone;
  std::optional<path> rest;
  tree_.visit_tombstones(from, [&](const tree_entry& entry) {
    if (most == 0) {
      rest = path::from_checked(std::string{entry.path()});
      return false;
    }
    --most;
    if (upto.covers(entry.siblings()[0].dot))
      gone.push_back(path::from_checked(std::string{entry.path()}));
    return true;
  });
  for (const auto& each : gone) tree_.erase(each);
  collected_ += gone.size();
  return rest;
}

compare_outcome context_engine::drop_collected(const engine_state& theirs,
                                               const path_filter& wants) {
  compare_outcome outcome;
  const auto before = tree_;
  const bool is_same = theirs.processed.vector() == applied().vector();
  const auto is_gone = [&](const sibling& each, std::span<const sibling> others) {
    return is_collectable({&each, 1}) && theirs.processed.covers(each.dot) &&
           std::ranges::find(others, each.dot, &sibling::dot) == others.end();
  };
  context_tree::diff(before, theirs.tree, [&](const tree_entry* mine, const tree_entry* other) {
    const auto where = path::from_checked(std::string{(mine ? mine : other)->path()});
    const auto ours = mine ? mine->siblings() : std::span<const sibling>{};
    const auto others = other ? other->siblings() : std::span<const sibling>{};
    const auto lasts_here = [&](const sibling& each) {
      if (is_collectable({&each, 1})) return false;
      if (is_same) return std::ranges::find(others, each) == others.end();
      return theirs.processed.covers(each.dot) &&
             std::ranges::find(others, each.dot, &sibling::dot) == others.end();
    };
    const auto lasts_there = [&](const sibling& each) {
      return is_same && !is_collectable({&each, 1}) && std::ranges::find(ours, each) == ours.end();
    };
    if (std::ranges::any_of(ours, lasts_here) || std::ranges::any_of(others, lasts_there))
      outcome.differs = where;
    const auto dropped =
        std::ranges::count_if(ours, [&](const sibling& each) { return is_gone(each, others); });
    if (dropped == 0) return true;
    outcome.dropped += static_cast<std::uint64_t>(dropped);
    kept_siblings kept;
    kept.keep(ours, [&](const sibling& each) { return !is_gone(each, others); });
    change_siblings(where, [&](auto) { return kept.all(); });
    note_seen(where, ours, kept.all(), wants && wants(where) ? &outcome.seen : nullptr);
    return true;
  });
  collected_ += outcome.dropped;
  return outcome;
}

}  // namespace troupe
