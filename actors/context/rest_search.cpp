#include <troupe/actors/context/rest_search.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>

namespace troupe {

namespace {

/// The changes that stand at a path and below.
std::vector<version_entry> changes_below(const context_tree& tree, const path& where) {
  std::vector<version_entry> all;
  tree.visit_subtree(where, [&](const tree_entry& entry) {
    for (const auto& each : entry.siblings())
      all.push_back({each.dot.origin, each.dot.incarnation, each.dot.seq});
    return true;
  });
  return all;
}

/// Whether nobody can know a member that is none here: of other nodes all is here that the members
/// say to have.
bool knows_all_members(const context_engine& engine, const members& known) {
  const auto reported = known.all_reported();
  return std::ranges::all_of(reported.entries(), [&](const version_entry& each) {
    return known.has(each.origin) ||
           engine.processed().covers(dot{each.origin, each.incarnation, each.seq});
  });
}

}  // namespace

std::optional<local_write> rest_search::next(const context_engine& engine,
                                             const processed_changes& committed,
                                             const members& known, std::uint64_t wall_ms) {
  if (!known.has_joined() || !knows_all_members(engine, known)) return std::nullopt;
  const auto& self = engine.own_incarnation().origin;
  for (const auto& [first, last] : engine.open_ends()) {
    const bool speaks = last.origin == self ||
                        (known.forgotten().contains(last.origin) && *known.nodes().begin() == self);
    if (!speaks) continue;
    const auto where = lost_transactions::place_of(last);
    auto told = changes_below(engine.tree(), where);
    if (told.empty()) return local_write{operation::put, where, lost_transactions::sought(wall_ms)};
    // Who has what a node said when it joined again, has the farewell that it had overwritten.
    std::ranges::copy(changes_below(engine.tree(), path{members::directory}),
                      std::back_inserter(told));
    const version_vector since{std::move(told)};
    const bool is_over =
        committed.covers(since) && known.all_have(since, committed) && known.all_lack(last);
    if (is_over)
      return local_write{operation::put, where, lost_transactions::lost(first.seq, wall_ms)};
  }
  return std::nullopt;
}

}  // namespace troupe
