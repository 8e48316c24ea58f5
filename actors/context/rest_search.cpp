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

/// Notes when something of each open transaction has come.
void rest_search::watch(const context_engine& engine, std::uint64_t now_ms) {
  const auto before = std::exchange(arrivals_, {});
  for (const auto& [first, last] : engine.open_ends()) {
    const auto source = incarnation_of(last);
    const auto upto = engine.processed().at(source);
    const auto known = before.find(source);
    const bool is_quiet = known != before.end() && known->second.upto == upto;
    arrivals_.emplace(source, is_quiet ? known->second : arrival{upto, now_ms});
  }
}

bool rest_search::is_quiet(const incarnation_id& source, std::uint64_t now_ms,
                           std::uint64_t for_ms) const {
  const auto found = arrivals_.find(source);
  return found != arrivals_.end() && now_ms - found->second.ms >= for_ms;
}

std::optional<local_write> rest_search::next(const context_engine& engine,
                                             const processed_changes& committed,
                                             const members& known,
                                             const std::function<bool(const node_id&)>& is_linked,
                                             event_time now) {
  watch(engine, now.steady_ms);
  if (!known.has_joined()) return std::nullopt;
  const auto& self = engine.own_incarnation().origin;
  const bool is_first = *known.nodes().begin() == self;
  std::optional<bool> knows_all;
  for (const auto& [first, last] : engine.open_ends()) {
    const auto& origin = last.origin;
    if (!is_quiet(incarnation_of(last), now.steady_ms) || (origin != self && !is_first)) continue;
    const bool is_stranger = !known.has(origin) && !known.forgotten().contains(origin);
    const bool has_ended = is_stranger ? lost_transactions::has_any_of(engine.tree(), origin)
                                       : origin == self || !known.has(origin);
    if (!has_ended || (is_stranger && is_linked(origin))) continue;
    if (!is_stranger && !knows_all) knows_all = knows_all_members(engine, known);
    if (!is_stranger && !*knows_all) continue;
    const auto where = lost_transactions::place_of(last);
    auto told = changes_below(engine.tree(), where);
    if (told.empty())
      return local_write{operation::put, where, lost_transactions::sought(now.wall_ms)};
    // Who has what a node said when it joined again, has the farewell that it had overwritten.
    std::ranges::copy(changes_below(engine.tree(), path{members::directory}),
                      std::back_inserter(told));
    const version_vector since{std::move(told)};
    const bool is_over =
        committed.covers(since) && known.all_have(since, committed) && known.all_lack(last);
    if (is_over)
      return local_write{operation::put, where, lost_transactions::lost(first.seq, now.wall_ms)};
  }
  return std::nullopt;
}

}  // namespace troupe
