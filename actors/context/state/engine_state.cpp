// How changes become part of the state.

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/kept_siblings.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

/// Whether this write is among the changes that another one overwrote.
bool names(const std::vector<observed_change>& changes, const sibling& write) {
  return std::ranges::binary_search(changes, observed_change{write.dot, write.content});
}

/// Whether a node says something of itself: that it is a member. That ends nothing.
bool is_of_itself(const change_record& record) {
  return is_within(reserved_path, record.path.text()) &&
         record.path.text().ends_with(to_string(record.dot.origin));
}

}  // namespace

bool context_engine::overwrites(const change_record& record, const sibling& existing) const {
  if (incarnation_of(existing.dot) != incarnation_of(record.dot))
    return names(record.observed, existing);
  // An increment adds to the value that its incarnation has put, and replaces its sum.
  return record.operation != operation::increment || existing.operation == operation::increment;
}

/// Makes a put, an erasure or an increment part of the state.
void context_engine::integrate_write(applied_change& change, const completer& complete) {
  auto& record = change.record;
  const auto last = lost_transactions::last_at(record.path);
  const bool counted = last && counts(*last);
  kept_siblings kept;
  change_siblings(record.path, [&](std::span<const sibling> before) {
    const std::uint64_t content = complete(before);
    record.previous_value = view_of(record.path, before);
    const bool was_collected = may_be_collected(before) && !overwrites(record, before[0]);
    collected_ += was_collected ? 1 : 0;
    if (!was_collected)
      kept.keep(before, [&](const sibling& each) { return !overwrites(record, each); });
    kept.add(sibling::of(record, content));
    return kept.all();
  });
  arrived(record.dot);
  if (!is_of_itself(record)) heed(record.path);
  if (counted) overrule(*last, tree_);

  const auto after = kept.all();
  count_value(record.path, record.previous_value.has_value(),
              shows_value(*strategy_, record.path, after));
  change.conflict = is_conflict(after);
  change.visible = !shows(record.path, after, record.previous_value);
  if (change.visible) change.instead = seen_instead_of(record, after);
}

/// Makes an erasure of a subtree part of the state: what it names is gone.
void context_engine::integrate_below(applied_change& change) {
  const auto& record = change.record;
  for (const auto& [where, changes] : record.below) {
    change_record erased;
    erased.dot = record.dot;
    erased.timestamp = record.timestamp;
    erased.path = where;
    erased.operation = operation::erase;
    erased.principal = record.principal;
    erased.trace = record.trace;
    kept_siblings kept;
    change_siblings(where, [&](std::span<const sibling> before) {
      erased.previous_value = view_of(where, before);
      kept.keep(before, [&](const sibling& each) { return !names(changes, each); });
      return kept.all();
    });
    const auto after = kept.all();
    count_value(where, erased.previous_value.has_value(), shows_value(*strategy_, where, after));
    if (shows(where, after, erased.previous_value)) continue;
    auto instead = seen_instead_of(erased, after);
    change.below.push_back(instead ? std::move(*instead) : std::move(erased));
  }
  arrived(record.dot);
}

void context_engine::integrate(change_record record, std::uint64_t content,
                               std::vector<applied_change>& applied) {
  auto& change = applied.emplace_back();
  change.record = std::move(record);
  if (change.record.operation == operation::erase_subtree)
    integrate_below(change);
  else
    integrate_write(change, [content](std::span<const sibling>) { return content; });
}

/// Whether readers who saw `seen` see the same in these siblings.
bool context_engine::shows(const path& where, std::span<const sibling> siblings,
                           const std::optional<value>& seen) const {
  const auto* winner = winning_sibling(*strategy_, siblings);
  if (!winner) return view_of(where, siblings) == seen;
  return winner->is_tombstone() ? !seen : seen && seen->msgpack() == winner->value_bytes;
}

/// Counts that readers see a value at a path, or no longer do.
void context_engine::count_value(const path& where, bool before, bool after) noexcept {
  if (before == after || is_within(reserved_path, where.text())) return;
  values_ += after ? 1 : 0;
  values_ -= before ? 1 : 0;
}

/// Changes the siblings of a path and counts its conflict.
void context_engine::change_siblings(const path& where, const context_tree::changer& change) {
  tree_.change(where, [&](std::span<const sibling> before) {
    const auto after = change(before);
    conflicts_ -= is_conflict(before) ? 1 : 0;
    conflicts_ += is_conflict(after) ? 1 : 0;
    most_siblings_ = std::max(most_siblings_, after.size());
    return after;
  });
}

/// The content of a live change of this path.
std::optional<std::uint64_t> context_engine::live_content(const path& where, const dot& id) const {
  if (const auto entry = tree_.find(where))
    for (const auto& each : entry->siblings())
      if (each.dot == id) return each.content;
  return std::nullopt;
}

/// Removes a live change. @returns it, with the value that readers saw before.
change_record context_engine::remove_live(const path& where, const dot& id) {
  change_record removed;
  kept_siblings kept;
  change_siblings(where, [&](std::span<const sibling> before) {
    const auto found = std::ranges::find(before, id, &sibling::dot);
    TROUPE_ASSERT(found != before.end(), "the entry holds the live change");
    removed = found->to_record(where);
    removed.previous_value = view_of(where, before);
    kept.keep(before, [&](const sibling& each) { return each.dot != id; });
    return kept.all();
  });
  count_value(where, removed.previous_value.has_value(), view_of(where, kept.all()).has_value());
  return removed;
}

engine_state context_engine::state() const {
  return {tree_, applied(), clock_.last(), quarantine_, stable_, clock_since_};
}

processed_changes context_engine::applied() const {
  auto applied = processed_;
  applied.lower(transactions_.firsts());
  return applied;
}

}  // namespace troupe
