#include <troupe/actors/context/restoration.hpp>

#include <algorithm>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync/members.hpp>

namespace troupe {

bool restoration::is_enough(const processed_changes& state) const {
  // A guess may name what nobody has.
  return !saved_->knows_base || state.covers(saved_->base.latest());
}

bool restoration::may_take(const version_vector& has, std::uint64_t now_ms) {
  constexpr std::uint64_t patience_ms = 10'000;
  if (!since_ms_) since_ms_ = now_ms;
  return may_cover(has, saved_->overruled_by) || now_ms >= *since_ms_ + patience_ms;
}

bool restoration::may_give(const node_id& node) const {
  if (saved_->knows_base || saved_->entries.find(members::place_of(node))) return true;
  // Where no member can be read, all may be one.
  return saved_->entries.subtree(path{members::directory}).count == 0;
}

void restoration::read_failed(std::uint64_t now_ms) noexcept {
  constexpr std::uint64_t again_ms = 5'000;
  is_reading_ = false;
  next_read_ms_ = now_ms + again_ms;
}

context_tree restoration::unsent(const processed_changes& processed,
                                 const context_tree& now) const {
  context_tree found;
  const auto lost = lost_transactions::all(now);
  saved_->entries.visit_subtree(path{}, [&](const tree_entry& entry) {
    const path where{entry.path()};
    if (is_within(reserved_path, entry.path())) return true;
    const auto siblings = entry.siblings();
    const auto is_lacking = [&](const sibling& each) {
      return !processed.covers(each.dot) || lost_transactions::find(lost, each.dot);
    };
    if (std::ranges::none_of(siblings, is_lacking)) return true;
    // What a counter adds up to is more than its latest change has.
    const bool counts =
        std::ranges::any_of(siblings, [](const sibling& each) { return !each.counts.empty(); });
    std::vector<sibling> lacking;
    for (const auto& each : siblings)
      if (counts || is_lacking(each)) lacking.push_back(each);
    found.put(where, lacking);
    return true;
  });
  return found;
}

std::vector<log_range> restoration::lacking(const processed_changes& processed) const {
  std::vector<log_range> ranges;
  for (const auto& each : saved_->logged.vector().entries()) {
    const dot last{each.origin, each.incarnation, each.seq};
    if (processed.covers(last) || blocked_.contains(incarnation_of(each))) continue;
    ranges.push_back(
        {{each.origin, each.incarnation, processed.at(incarnation_of(each)) + 1}, last});
  }
  return ranges;
}

void restoration::reading(const processed_changes& processed) {
  is_reading_ = true;
  before_ = processed.vector();
}

void restoration::read(const std::set<incarnation_id>& sources,
                       const processed_changes& processed) {
  is_reading_ = false;
  if (processed.vector() != before_) return blocked_.clear();
  if (!sources.empty()) {
    blocked_.insert(sources.begin(), sources.end());
    return;
  }
  // The log has nothing of what is lacking.
  for (const auto& each : saved_->logged.vector().entries()) blocked_.insert(incarnation_of(each));
}

}  // namespace troupe
