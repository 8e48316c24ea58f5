#include <troupe/actors/context/queries/value_queries.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/context/queries/answer_budget.hpp>
#include <troupe/actors/context/state/record_rules.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t max_entries = 10'000;

}  // namespace

std::optional<value_page> list_page(const context_tree& tree, const conflict_resolution& strategy,
                                    const list_values& wanted, std::size_t max_visited) {
  value_page page;
  page.hash = tree.subtree(wanted.prefix).lasting_hash();
  const std::size_t limit = std::clamp<std::uint32_t>(wanted.limit, 1, max_entries);
  answer_budget budget;
  std::size_t visited = 0;
  bool full = false;
  const bool resumed = !wanted.after.is_root();
  tree.visit_from(resumed ? wanted.after : wanted.prefix, [&](const tree_entry& entry) {
    if (!is_within(wanted.prefix.text(), entry.path())) return false;
    if (++visited > max_visited) return false;
    if (resumed && entry.path() == wanted.after.text()) return true;
    if (is_hidden(entry.path(), wanted.prefix.text())) return true;
    auto where = path::from_checked(std::string{entry.path()});
    auto seen = view_of(strategy, where, entry.siblings());
    if (!seen) return true;
    const bool ends_with_root = !page.entries.empty() && page.entries.back().path.is_root();
    const bool was_full = std::exchange(
        full, full || page.entries.size() >= limit || !budget.take(*seen, entry.path().size()));
    if (was_full || (full && !ends_with_root)) {
      page.more = true;
      return false;
    }
    page.entries.push_back({std::move(where), std::move(*seen)});
    return true;
  });
  if (visited > max_visited) return std::nullopt;
  return page;
}

values_verified verify_subtree(const verified_state& state, const conflict_resolution& strategy,
                               const path& prefix) {
  const auto& tree = state.tree;
  values_verified report{.sound = tree.verify().has_value(),
                         .hash = tree.subtree(prefix).lasting_hash(),
                         .entries = 0,
                         .conflicts = state.conflicts,
                         .vector = state.vector};
  tree_summary recomputed;
  tree.visit_subtree(prefix, [&](const tree_entry& entry) {
    recomputed += tree_summary::of(entry.path(), entry.siblings());
    if (!is_hidden(entry.path(), prefix.text()) &&
        shows_value(strategy, path::from_checked(std::string{entry.path()}), entry.siblings()))
      ++report.entries;
    return true;
  });
  report.sound = report.sound && recomputed.lasting_hash() == report.hash;
  return report;
}

}  // namespace troupe
