// What an engine has no room for.

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

bool context_engine::has_too_many_incarnations(const node_id& origin) const {
  const auto known =
      std::ranges::equal_range(vector_.entries(), origin, {}, &version_entry::origin);
  return known.size() >= limits_.max_incarnations_of_node ||
         vector_.entries().size() >= limits_.max_incarnations;
}

/// Whether others wait for the transaction that begins here, or for what its incarnation has made
/// after it. Then it has twice the room: an open transaction, which gives none back before its end,
/// may wait for it through them.
bool context_engine::lets_others_go_on(const change_record& first) const {
  const auto at = awaited_.lower_bound({first.dot, {}});
  const bool is_awaited =
      at != awaited_.end() && incarnation_of(at->first) == incarnation_of(first.dot);
  return is_awaited &&
         transactions_.announced() + first.transaction.weight <= 2 * limits_.max_open_weight;
}

/// Why the next change of its incarnation is not taken now, or nothing. What becomes part of the
/// state with the last change of a transaction is looked at then.
std::optional<std::string> context_engine::passed_bound(const change_record& record) const {
  const auto source = incarnation_of(record.dot);
  if (vector_.at(source.origin, source.incarnation) == 0 &&
      has_too_many_incarnations(source.origin))
    return "too many incarnations, of its node or of all, are known already";
  if (record.transaction.count > 1 && !transactions_.has_room(record) && !lets_others_go_on(record))
    return "transactions that have not arrived as a whole use up their memory";
  if (!record.transaction.is_last()) return std::nullopt;
  const auto* open = transactions_.find(source);
  if (!open) return too_many_siblings(record.path, std::array{&record});
  std::map<path, std::vector<const change_record*>> by_path;
  for (const auto& part : *open) by_path[part.record.path].push_back(&part.record);
  by_path[record.path].push_back(&record);
  for (const auto& [where, changes] : by_path)
    if (auto full = too_many_siblings(where, changes)) return full;
  return std::nullopt;
}

/// Why these changes of one incarnation to a path, which follow each other, cannot all be siblings
/// there. One bound is for one node, so that none takes the room of the others.
std::optional<std::string> context_engine::too_many_siblings(
    const path& where, std::span<const change_record* const> changes) const {
  const auto never_full = std::min(limits_.max_siblings, limits_.max_siblings_of_node) - 1;
  if (shared_ == 0 && never_full > 1) return std::nullopt;
  const auto entry = tree_.find(where);
  if (!entry || entry->siblings().size() < never_full) return std::nullopt;
  const auto found = entry->siblings();
  std::vector<sibling> siblings{found.begin(), found.end()};
  for (const auto* each : changes) {
    if (each->operation == operation::erase_subtree) continue;
    const auto overwritten =
        std::erase_if(siblings, [&](const sibling& stands) { return overwrites(*each, stands); });
    siblings.push_back(sibling::of(*each, 0));
    const auto of_node = std::ranges::count(
        siblings, each->dot.origin, [](const sibling& stands) { return stands.dot.origin; });
    const bool is_full = siblings.size() > limits_.max_siblings ||
                         static_cast<std::size_t>(of_node) > limits_.max_siblings_of_node;
    if (is_full && overwritten == 0)
      return "the path has " + std::to_string(found.size()) +
             " concurrent writes already; a write to it makes room";
    if (siblings.size() > context_tree::max_siblings)
      return "the path has as many concurrent writes as there can be";
  }
  return std::nullopt;
}

bool context_engine::has_quarantine_room(const equivocation& more) const noexcept {
  return quarantine_.size() < limits_.max_quarantine &&
         quarantine_weight_ + more.weight() <= limits_.max_quarantine_weight;
}

}  // namespace troupe
