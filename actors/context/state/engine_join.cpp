// How the whole state of another replica becomes part of the state.

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>

namespace troupe {

namespace {

/// The siblings of a path in two states, joined.
class sibling_join {
public:
  /// @param ours and `theirs` what each state has processed, in whole transactions.
  sibling_join(const processed_changes& ours, const processed_changes& theirs)
      : ours_(ours), theirs_(theirs) {}

  /// Joins the siblings of a path. The result is valid as long as both.
  void join(const tree_entry* ours, const tree_entry* theirs) {
    joined_.clear();
    const auto mine = ours ? ours->siblings() : std::span<const sibling>{};
    const auto others = theirs ? theirs->siblings() : std::span<const sibling>{};
    taken_ = dropped_ = tombstones_ = 0;
    for (const auto& each : mine) {
      const auto* there = find(others, each.dot);
      // Of two writes under one dot both sides keep the same one.
      if (there)
        joined_.push_back(there->content < each.content ? *there : each);
      else if (!theirs_.covers(each.dot))
        joined_.push_back(each);
      else
        drop(each);
    }
    for (const auto& each : others)
      if (!find(mine, each.dot) && !ours_.covers(each.dot)) {
        joined_.push_back(each);
        ++taken_;
      }
    std::ranges::sort(joined_, sibling::earlier);
  }

  std::span<const sibling> joined() const noexcept { return joined_; }
  std::uint64_t taken() const noexcept { return taken_; }
  std::uint64_t dropped() const noexcept { return dropped_; }
  /// Those of the dropped ones that may have been collected.
  std::uint64_t tombstones() const noexcept { return tombstones_; }

private:
  void drop(const sibling& each) noexcept {
    ++dropped_;
    tombstones_ += is_collectable({&each, 1}) ? 1 : 0;
  }
  static const sibling* find(std::span<const sibling> among, const dot& id) noexcept {
    const auto found = std::ranges::find(among, id, &sibling::dot);
    return found == among.end() ? nullptr : &*found;
  }

  const processed_changes& ours_;
  const processed_changes& theirs_;
  std::vector<sibling> joined_;
  std::uint64_t taken_ = 0, dropped_ = 0, tombstones_ = 0;
};

}  // namespace

/// Why a state cannot be joined. @param both what is processed then.
std::optional<error> context_engine::refusal_to_join(const engine_state& theirs,
                                                     const processed_changes& both) const {
  const auto& processed = theirs.processed;
  if (processed.at(own_) > last_of(own_))
    return error{error_code::already_exists,
                 "the state has changes of this incarnation that this node did not make: another "
                 "node runs under its identity",
                 {}};
  for (const auto& [first, last] : transactions_.all_ends()) {
    if (processed.covers(first) != processed.covers(last) &&
        !lost_transactions::has(theirs.tree, last))
      return error{error_code::corrupt_data,
                   "the state has a part of the transaction that begins with " + to_string(first),
                   {}};
  }
  for (const auto& [last, first] : lost_transactions::all(tree_))
    if (processed.at(incarnation_of(last)) >= last.seq &&
        !lost_transactions::has(theirs.tree, last))
      return error{error_code::failed_precondition,
                   "the transaction that ends with " + to_string(last) +
                       " is lost, and the state has it: its node has yet to learn that",
                   {}};
  const auto known = both.vector().entries().size();
  const auto most = limits_.most_incarnations();
  if (known > most && known > vector().entries().size())
    return error{error_code::limit_exceeded,
                 "the state knows of " + std::to_string(known) + " incarnations; at most " +
                     std::to_string(most) + " are accepted",
                 {}};
  return std::nullopt;
}

/// Counts what readers see at a path now, and adds it to `seen`, unless they see the same as
/// before.
void context_engine::note_seen(const path& where, std::span<const sibling> before,
                               std::span<const sibling> after, std::vector<change_record>* seen) {
  count_value(where, shows_value(*strategy_, where, before), shows_value(*strategy_, where, after));
  if (!seen) return;
  change_record erased;
  erased.path = where;
  erased.operation = operation::erase;
  erased.previous_value = view_of(where, before);
  if (shows(where, after, erased.previous_value)) return;
  auto instead = seen_instead_of(erased, after);
  if (!instead) erased.timestamp = before.back().timestamp;
  seen->push_back(instead ? std::move(*instead) : std::move(erased));
}

/// All changes that were processed may be news to what waits.
void context_engine::all_arrived() {
  std::set<node_id> origins;
  for (const auto& [awaited, source] : awaited_.all()) {
    origins.insert(awaited.origin);
    origins.insert(source.origin);
  }
  for (const auto& each : waiting_.sources()) origins.insert(each.origin);
  for (const auto& each : origins) many_arrived(each);
  std::ranges::move(waiting_.sources(), std::back_inserter(ready_));
}

result<join_outcome> context_engine::join(const engine_state& given, std::uint64_t now_ms,
                                          const path_filter& wants) {
  auto theirs = given;
  theirs.processed.hold_as(processed_);  // what has been made up since makes it have none of them
  auto both = processed_;
  both.join(theirs.processed);
  if (auto refused = refusal_to_join(theirs, both)) return fail(std::move(*refused));

  for (const auto& each : lost_transactions::all(theirs.tree))
    if (counts(each.last)) overrule(each.last, theirs.tree);
  if (!overruled_by_.entries().empty())
    return fail(error_code::failed_precondition,
                "the state lacks a transaction that counts here and is lost");
  const auto before = tree_;
  const auto ours = applied();
  const auto counted_before = std::tuple{conflicts_, values_};
  join_outcome outcome;
  std::uint64_t tombstones = 0;
  const path* full = nullptr;
  sibling_join at_path{ours, theirs.processed};
  path where;
  // What differs is seldom more than what is only there, so the other tree is changed.
  tree_ = theirs.tree;
  context_tree::diff(before, theirs.tree, [&](const tree_entry* mine, const tree_entry* other) {
    where = path::from_checked(std::string{(mine ? mine : other)->path()});
    at_path.join(mine, other);
    const auto joined = at_path.joined();
    if (joined.size() > limits_.max_siblings) {
      full = &where;
      return false;
    }
    const auto mine_then = mine ? mine->siblings() : std::span<const sibling>{};
    const auto other_then = other ? other->siblings() : std::span<const sibling>{};
    if (!std::ranges::equal(joined, other_then))
      tree_.change(where, [joined](auto) { return joined; });
    conflicts_ += is_conflict(joined) ? 1 : 0;
    conflicts_ -= is_conflict(mine_then) ? 1 : 0;
    most_siblings_ = std::max(most_siblings_, joined.size());
    outcome.taken += at_path.taken();
    outcome.dropped += at_path.dropped();
    tombstones += at_path.tombstones();
    for (const auto& each : joined) take_time(each.dot, each.timestamp, now_ms);
    note_seen(where, mine_then, joined, wants && wants(where) ? &outcome.seen : nullptr);
    return true;
  });
  if (full) {
    tree_ = before;
    std::tie(conflicts_, values_) = counted_before;
    return fail(error_code::limit_exceeded,
                "'" + full->text() +
                    "' would have too many concurrent writes; write to it here, "
                    "or where the state comes from");
  }
  collected_ += tombstones;
  processed_ = std::move(both);
  heed_joined(before);
  all_arrived();
  return outcome;
}

}  // namespace troupe
