// What readers see. Changes are in engine.cpp.

#include <utility>

#include <troupe/actors/context/queries/answer_budget.hpp>
#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/engine.hpp>

namespace troupe {

/// The write that readers see now, with the value before, if it is not `record`.
std::optional<change_record> context_engine::seen_instead_of(
    const change_record& record, std::span<const sibling> siblings) const {
  if (siblings.size() == 1 && siblings[0].dot == record.dot &&
      record.operation != operation::increment)
    return std::nullopt;
  const auto* winner = winning_sibling(*strategy_, siblings);
  if (winner && winner->dot == record.dot && winner->operation == record.operation &&
      winner->value_bytes == sibling::of(record, 0).value_bytes)
    return std::nullopt;
  change_record seen;
  if (!siblings.empty()) {
    seen = resolve_siblings(*strategy_, record.path, siblings);
  } else {
    seen = record;
    seen.operation = operation::erase;
    seen.new_value = {};
  }
  if (seen.dot == record.dot && seen.operation == record.operation &&
      seen.new_value == record.new_value)
    return std::nullopt;
  seen.previous_value = record.previous_value;
  return seen;
}

std::optional<value> context_engine::view(const path& where) const {
  const auto entry = tree_.find(where);
  return entry ? view_of(where, entry->siblings()) : std::nullopt;
}

value_version context_engine::version(const path& where) const {
  const auto entry = tree_.find(where);
  // Whether a tombstone has been collected here makes no difference.
  if (!entry || is_collectable(entry->siblings())) return {};
  return value_version{entry_hash(entry->path(), entry->siblings())};
}

value_explained context_engine::explain(const path& where) const {
  value_explained told;
  answer_budget budget;
  std::size_t left_out = 0;
  const auto tell = [&](const change_record& record, bool wins) {
    const bool fits = budget.take(record.new_value);
    left_out += fits ? 0 : 1;
    told.writes.push_back({record.dot, record.id(), record.timestamp, record.operation,
                           fits ? record.new_value : value{}, record.principal, wins});
  };
  const auto entry = tree_.find(where);
  told.rule =
      entry ? "one write overwrote all others that are known" : "no write to this path is known";
  if (entry) {
    const auto siblings = entry->siblings();
    const auto winner = resolve_siblings(*strategy_, where, siblings).dot;
    for (const auto& each : siblings) {
      auto record = each.to_record(where);
      if (each.operation == operation::increment)
        record.new_value = counted_value({}, {}, counted_by({&each, 1})).value_or(value{});
      tell(record, each.dot == winner);
    }
    told.conflict = is_conflict(siblings);
    if (told.conflict)
      told.rule = std::string{strategy_->name()} + ": " + std::string{strategy_->reason()};
    if (has_increments(siblings))
      told.rule = told.conflict ? told.rule + "; increments add up" : "increments add up";
  }
  std::size_t isolated = 0;
  for (const auto& each : quarantine_) {
    if (!each.concerns(where) || ++isolated > limits_.max_siblings) continue;
    for (const auto& record : each.records)
      if (record.path == where) tell(record, false);
  }
  if (isolated > 0)
    told.rule += "; in quarantine, because one dot was given to several writes: " +
                 std::to_string(isolated) + " of them";
  if (left_out > 0)
    told.rule += "; left out, too large for one answer: the values of " + std::to_string(left_out) +
                 (left_out == 1 ? " write" : " writes");
  return told;
}

}  // namespace troupe
