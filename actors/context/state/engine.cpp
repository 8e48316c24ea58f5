#include <troupe/actors/context/state/engine.hpp>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

bool equivocation::concerns(const path& where) const {
  return std::ranges::any_of(records,
                             [&](const change_record& each) { return each.path == where; });
}

std::uint64_t equivocation::weight() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& each : records) sum += each.weight();
  return sum;
}

context_engine::context_engine(node_id self, std::uint64_t incarnation, engine_state restored,
                               engine_limits limits,
                               std::shared_ptr<const conflict_resolution> strategy)
    : own_{self, incarnation},
      limits_(limits),
      strategy_(std::move(strategy)),
      clock_since_(restored.clock_since),
      tree_(std::move(restored.tree)),
      processed_(std::move(restored.processed)),
      transactions_(limits.max_open_weight),
      waiting_(limits.max_buffered_records, limits.max_buffered_bytes),
      quarantine_(std::move(restored.quarantine)),
      stable_(std::move(restored.stable)) {
  if (own_.origin.is_nil())
    throw std::invalid_argument("a context engine needs the id of its node");
  if (own_.incarnation == 0) throw std::invalid_argument("an incarnation is at least 1");
  if (!strategy_) throw std::invalid_argument("a context engine needs a conflict strategy");
  if (limits_.max_siblings > context_tree::max_siblings)
    throw std::invalid_argument("a path has at most " + std::to_string(context_tree::max_siblings) +
                                " siblings");
  if (last_of(own_) > 0 || processed_.has_forgotten(own_))
    throw std::invalid_argument("incarnation " + std::to_string(own_.incarnation) +
                                " has been used before");
  processed_.run_in(own_);
  may_be_lost_ = lost_transactions::has_any(tree_);
  clock_.raise_floor(restored.clock);
  for (const auto& each : quarantine_) quarantine_weight_ += each.weight();
  const auto lost = lost_transactions::all(tree_);
  const auto has_all = [this](const lost_transactions::span& each) {
    return processed_.at(incarnation_of(each.last)) >= each.last.seq;
  };
  tree_.visit_from({}, [&](const tree_entry& entry) {
    const auto siblings = entry.siblings();
    for (const auto& each : siblings)
      if (const auto* found = lost_transactions::find(lost, each.dot); found && has_all(*found))
        overrule(found->last, tree_);
    conflicts_ += is_conflict(siblings) ? 1 : 0;
    most_siblings_ = std::max(most_siblings_, siblings.size());
    const auto where = path::from_checked(std::string{entry.path()});
    count_value(where, false, shows_value(*strategy_, where, siblings));
    return true;
  });
}

// -- changes of other nodes -----------------------------------------------------------------------

apply_outcome context_engine::refuse(error_code code, std::string why) {
  apply_outcome outcome;
  outcome.status = apply_status::refused;
  outcome.problem = error{code, std::move(why), {}};
  return outcome;
}

/// Keeps two changes under one dot in quarantine, up to a bound.
apply_outcome context_engine::isolate(equivocation found) {
  auto outcome = refuse(error_code::corrupt_data,
                        describe(found.records.back()) +
                            " was issued twice: a node runs twice, or its disk was copied");
  outcome.status = apply_status::duplicate;
  outcome.alarm = true;
  quarantine_weight_ += found.weight();
  quarantine_.push_back(std::move(found));
  return outcome;
}

apply_outcome context_engine::apply(change_record record, std::uint64_t now_ms,
                                    const node_id& from) {
  auto outcome = apply_one(std::move(record), now_ms, from);
  release_ready(outcome, now_ms);
  return outcome;
}

apply_outcome context_engine::release(std::uint64_t now_ms) {
  apply_outcome outcome;
  release_ready(outcome, now_ms);
  return outcome;
}

apply_outcome context_engine::apply_one(change_record record, std::uint64_t now_ms,
                                        const node_id& from) {
  const auto source = incarnation_of(record.dot);
  if (record.format != change_record::current_format)
    return refuse(error_code::version_mismatch,
                  describe(record) + " has format " + std::to_string(record.format) +
                      "; this build reads format " + std::to_string(change_record::current_format));
  if (const auto why = malformed(record, limits_)) {
    auto outcome =
        refuse(error_code::protocol_violation, describe(record) + " is malformed: " + *why);
    outcome.status = apply_status::malformed;
    return outcome;
  }

  if (source == own_) return apply_own(record);
  if (processed_.covers(record.dot)) return apply_again(std::move(record));
  if (record.dot.seq > last_of(source) + 1) return buffer(std::move(record), from);
  if (record.transaction.index == 0)
    if (const auto awaited = awaited_by(record))
      return buffer_until(*awaited, std::move(record), from);
  return accept(std::move(record), now_ms, from);
}

/// A change of this very incarnation comes from elsewhere. Nobody but this node makes such changes,
/// so what it has not made is not taken, and its own writes go on.
apply_outcome context_engine::apply_own(const change_record& record) {
  apply_outcome outcome;
  outcome.status = apply_status::duplicate;
  const auto known = live_content(record.path, record.dot);
  if (processed_.covers(record.dot) && (!known || *known == content_hash(record))) return outcome;
  outcome.status = apply_status::refused;
  outcome.alarm = true;
  outcome.problem = error{error_code::already_exists,
                          describe(record) +
                              " is not what this node has made: another node runs under its "
                              "identity, or a node lies; it is not taken",
                          {}};
  return outcome;
}

/// A change whose dot is known. Most often it is the same change. Of two, none lives.
apply_outcome context_engine::apply_again(change_record record) {
  apply_outcome duplicate;
  duplicate.status = apply_status::duplicate;
  const auto id = record.dot;
  const path where = record.path;
  const auto content = content_hash(record);
  if (const auto* part = transactions_.find(id)) {
    if (part->content == content) return duplicate;
    return isolate_beside({id, {part->record, std::move(record)}, {part->content, content}});
  }
  const auto known = live_content(where, id);
  if (!known || *known == content) return duplicate;
  equivocation found{id, {{}, std::move(record)}, {*known, content}};
  if (!has_quarantine_room(found)) return isolate_beside(std::move(found));
  auto& first = found.records.front() = remove_live(where, id);
  const auto left = tree_.find(where);
  auto seen = seen_instead_of(first, left ? left->siblings() : std::span<const sibling>{});
  first.previous_value.reset();
  auto outcome = isolate(std::move(found));
  if (seen && view(where) != seen->previous_value) outcome.seen_instead = std::move(seen);
  return outcome;
}

/// Another change under the dot of one that stays as it is, because it is not part of the state, or
/// because the quarantine is full.
apply_outcome context_engine::isolate_beside(equivocation found) {
  if (std::ranges::find(quarantine_, found.dot, &equivocation::dot) != quarantine_.end()) {
    apply_outcome known;  // one proof is enough, however many others come
    known.status = apply_status::duplicate;
    return known;
  }
  if (has_quarantine_room(found)) return isolate(std::move(found));
  auto outcome = refuse(error_code::corrupt_data,
                        describe(found.records.back()) +
                            " was issued twice, and the quarantine is full: the first one counts");
  outcome.alarm = true;
  return outcome;
}

/// Takes the next change of its incarnation, which waits for no other one. Of a transaction, the
/// first change has waited for all: one that is open needs nothing but its own changes to end.
apply_outcome context_engine::accept(change_record record, std::uint64_t now_ms,
                                     const node_id& from) {
  apply_outcome outcome;
  const auto source = incarnation_of(record.dot);
  const auto why = is_lost(record) ? std::nullopt : transactions_.misplaced(record);
  if (why)
    return refuse(error_code::corrupt_data, describe(record) + " breaks a transaction: " + *why);
  if (record.transaction.index > 0)
    if (const auto awaited = awaited_by(record))
      return refuse(error_code::corrupt_data, describe(record) + " breaks a transaction: " +
                                                  "its first change does not name " +
                                                  to_string(*awaited) + ", which it needs");
  if (const auto bound = passed_bound(record, from)) {
    outcome.status = apply_status::overflow;
    outcome.problem =
        error{error_code::overloaded, describe(record) + " is not taken now: " + *bound, {}};
    return outcome;
  }
  if (source.origin == own_.origin && source.incarnation > own_.incarnation) {
    outcome.alarm = true;
    outcome.problem = error{error_code::already_exists,
                            describe(record) +
                                " is of a later start of this node than the one that runs: another "
                                "node runs under its identity, or a node lies; it is taken",
                            {}};
  }
  if (!take_time(record.dot, record.timestamp, now_ms)) {
    outcome.alarm = true;
    outcome.problem = error{error_code::already_exists,
                            describe(record) +
                                " calls itself one of this node and is far ahead of its time; it "
                                "is taken, its time is not",
                            {}};
  }
  const auto content = content_hash(record);
  take({std::move(record), content, from}, outcome.applied);
  awaited_.remove(source);
  ready_.push_back(source);
  return outcome;
}

/// Takes the next change of its incarnation. It becomes part of the state with the last change of
/// its transaction.
void context_engine::take(open_transactions::part next, std::vector<applied_change>& applied) {
  const auto& record = next.record;
  const auto source = incarnation_of(record.dot);
  const auto place = record.transaction;
  const auto forgotten = processed_.forgotten_of(source.origin);
  processed_.add(record);
  if (processed_.forgotten_of(source.origin) != forgotten) many_arrived(source.origin);
  if (place.count == 1) {
    integrate(std::move(next.record), next.content, applied);
    return;
  }
  if (is_lost(record)) return arrived(record.dot);
  transactions_.add(std::move(next));
  if (!place.is_last()) return;
  for (auto& each : transactions_.take(source))
    integrate(std::move(each.record), each.content, applied);
}

result<void> context_engine::replay(change_record record, std::uint64_t now_ms) {
  if (processed_.covers(record.dot)) return {};
  const auto done = last_of(incarnation_of(record.dot));
  if (record.dot.seq != done + 1)
    return fail(error_code::corrupt_data,
                describe(record) + " follows change " + std::to_string(done) +
                    " of its incarnation in the log; those between are missing");
  if (const auto awaited = awaited_by(record))
    return fail(error_code::corrupt_data, describe(record) + " in the log has overwritten change " +
                                              to_string(*awaited) + ", which is missing");
  const auto why = is_lost(record) ? std::nullopt : transactions_.misplaced(record);
  if (why)
    return fail(error_code::corrupt_data,
                describe(record) + " in the log breaks a transaction: " + *why);
  if (record.dot.origin == own_.origin) take_time(record.dot, record.timestamp, now_ms);
  const auto content = content_hash(record);
  std::vector<applied_change> seen_by_nobody;
  take({std::move(record), content, own_.origin}, seen_by_nobody);
  return {};
}

/// Moves the clock. An earlier incarnation of this node may have been ahead of wall time, so its
/// timestamps count, within reason, unless an operator has said that it was wrong. False when a
/// timestamp is beyond reason.
bool context_engine::take_time(const dot& id, timestamp given, std::uint64_t now_ms) {
  if (id.origin == own_.origin)
    return id.incarnation < clock_since_ || clock_.resume(given, now_ms);
  clock_.observe(given, now_ms);
  return true;
}

}  // namespace troupe
