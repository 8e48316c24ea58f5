// What an engine has no room for.

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

/// Where a node says that it is a member.
path member_place_of(const node_id& node) {
  return path{std::string{members_directory} + "/" + to_string(node)};
}

}  // namespace

/// Whether this further incarnation of a node is not taken. @param joins it says that its node is a
/// member.
bool context_engine::has_too_many_incarnations(const incarnation_id& source, bool joins) const {
  const auto& origin = source.origin;
  if (vector().of(origin).size() >= limits_.max_incarnations_of_node && !processed_.is_held(source))
    return true;
  const auto known = vector().entries().size();
  if (known < limits_.max_incarnations || origin == own_.origin) return false;
  if (known >= limits_.most_incarnations()) return true;
  if (joins) return false;
  const auto said = tree_.find(member_place_of(origin));
  return !said || std::ranges::none_of(said->siblings(), [&](const sibling& each) {
    return each.operation == operation::put && each.dot.origin == origin;
  });
}

/// The incarnations of this node that its first write ends: all earlier ones, unless one is in the
/// middle of a transaction.
std::vector<version_entry> context_engine::ended_by_first() const {
  const auto known = vector().of(own_.origin);
  std::vector<version_entry> ended{known.begin(), known.end()};
  std::erase_if(ended, [this](const version_entry& each) {
    return each.incarnation >= own_.incarnation || transactions_.find(incarnation_of(each));
  });
  return ended;
}

/// Why the next change of its incarnation is not taken now, or nothing. What becomes part of the
/// state with the last change of a transaction is looked at then. What this node has in its log it
/// has taken before: there may be no other place that has it.
std::optional<std::string> context_engine::passed_bound(const change_record& record,
                                                        const node_id& from) const {
  const bool is_logged = from == own_.origin;
  const auto source = incarnation_of(record.dot);
  const bool ends_others = std::ranges::any_of(record.after, [&](const version_entry& each) {
    return each.origin == source.origin && each.incarnation < source.incarnation &&
           seq_at(vector(), incarnation_of(each)) == each.seq;
  });
  const bool joins =
      record.operation == operation::put && record.path == member_place_of(source.origin);
  if (!is_logged && seq_at(vector(), source) == 0 && !ends_others &&
      has_too_many_incarnations(source, joins))
    return "too many incarnations, of its node or of all, are known already";
  if (is_lost(record)) return std::nullopt;
  if (!is_logged && record.transaction.count > 1 && !transactions_.has_room(record, from))
    return "transactions that have not arrived as a whole use up their memory";
  if (!record.transaction.is_last()) return std::nullopt;
  const auto* open = transactions_.find(source);
  if (!open) return too_many_siblings(record.path, std::array{&record}, is_logged);
  std::map<path, std::vector<const change_record*>> by_path;
  for (const auto& part : *open) by_path[part.record.path].push_back(&part.record);
  by_path[record.path].push_back(&record);
  for (const auto& [where, changes] : by_path)
    if (auto full = too_many_siblings(where, changes, is_logged)) return full;
  return std::nullopt;
}

/// Why these changes of one incarnation to a path, which follow each other, cannot all be siblings
/// there. One bound is for one node, so that none takes the room of the others.
std::optional<std::string> context_engine::too_many_siblings(
    const path& where, std::span<const change_record* const> changes, bool is_logged) const {
  const auto never_full = std::min(limits_.max_siblings, limits_.max_siblings_of_node) - 1;
  if (most_siblings_ < never_full) return std::nullopt;
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
    const bool is_full =
        !is_logged && (siblings.size() > limits_.max_siblings ||
                       static_cast<std::size_t>(of_node) > limits_.max_siblings_of_node);
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
