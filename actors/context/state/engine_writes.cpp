// Writes of this node.

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

result<void> context_engine::check_write(const path& where, const value& given,
                                         const std::string& principal) const {
  if (is_within(reserved_path, where.text()) && principal != system_principal)
    return fail(
        error_code::permission_denied,
        "'" + where.text() + "' is reserved: below '/_sys' only the principal \"system\" writes");
  if (principal.size() > limits_.max_principal_bytes || !is_utf8(principal))
    return fail(error_code::invalid_argument, "the principal must be UTF-8 of at most " +
                                                  std::to_string(limits_.max_principal_bytes) +
                                                  " bytes");
  if (const auto problem = too_much(given, limits_))
    return fail(error_code::limit_exceeded, "the value for '" + where.text() + "' " + *problem);
  return {};
}

result<void> context_engine::check_can_write(std::uint64_t now_ms) const {
  if (clock_.next(now_ms) >= latest_time)
    return fail(error_code::unavailable,
                "this node's clock stands beyond the year 6429; set it right");
  return {};
}

/// Whether what stands at a path allows an operation.
result<void> context_engine::check_operation(operation what, const path& where,
                                             const value& given) const {
  if (what == operation::erase) {
    const auto entry = tree_.find(where);
    if (entry && shows_value(*strategy_, where, entry->siblings())) return {};
    if (quarantined_at(where) > 0) return {};  // it ends that on all replicas
    return fail(error_code::not_found,
                "'" + where.text() + "' holds no value that could be erased");
  }
  if (what != operation::increment) return {};
  const auto added = given.as_integer();
  if (!added)
    return fail(error_code::invalid_argument,
                "'" + where.text() + "' can be incremented by an integer of 64 bits only");
  const auto seen = view(where);
  const auto number = seen ? seen->as_integer() : 0;
  if (!number || (seen && seen->type() != value_type::integer))
    return fail(error_code::failed_precondition,
                "'" + where.text() + "' holds no integer of 64 bits, so it cannot be incremented");
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*number, *added, &sum) || !next_amount(where, *added))
    return fail(error_code::limit_exceeded,
                "'" + where.text() + "' would pass the range of 64 bits");
  return check_room_to_add(where);
}

/// Whether an increment can join the siblings of a path.
result<void> context_engine::check_room_to_add(const path& where) const {
  const auto entry = tree_.find(where);
  if (!entry) return {};
  const auto siblings = entry->siblings();
  const auto counted = counts_in(siblings);
  if (std::ranges::any_of(counted, [&](const counter_part& each) {
        return each.source.origin == own_.origin && each.source > own_;
      }))
    return fail(error_code::already_exists,
                "'" + where.text() +
                    "' was incremented by another node that runs under the identity of this one: "
                    "write a value there, and give the copy a new data directory");
  const auto own = std::ranges::count_if(
      siblings, [&](const sibling& each) { return each.dot.origin == own_.origin; });
  if (std::ranges::any_of(siblings, [&](const sibling& each) {
        return each.operation == operation::increment && incarnation_of(each.dot) == own_;
      }))
    return {};  // it takes the place of that one
  if (siblings.size() >= limits_.max_siblings ||
      static_cast<std::size_t>(own) >= limits_.max_siblings_of_node)
    return fail(error_code::limit_exceeded, "'" + where.text() + "' has " +
                                                std::to_string(siblings.size()) +
                                                " concurrent writes; write a value there first");
  if (counted.size() >= limits_.max_taken_over)
    return fail(error_code::limit_exceeded, "'" + where.text() + "' was incremented in " +
                                                std::to_string(limits_.max_taken_over) +
                                                " incarnations");
  return {};
}

/// What this incarnation has added to a counter, whether it was overwritten or not.
std::int64_t context_engine::own_amount(std::span<const sibling> siblings) const {
  const auto amount_in =
      [&](const std::vector<counter_part>& parts) -> std::optional<std::int64_t> {
    const auto own = std::ranges::find(parts, own_, &counter_part::source);
    return own == parts.end() ? std::nullopt : std::optional{own->amount};
  };
  // What others say about it counts only where its own increments are gone.
  for (const auto& each : siblings)
    if (each.operation == operation::increment && incarnation_of(each.dot) == own_)
      return amount_in(counted_by({&each, 1})).value_or(0);
  return amount_in(counts_in(siblings)).value_or(0);
}

/// The same, with this addition; nothing beyond 64 bits.
std::optional<std::int64_t> context_engine::next_amount(const path& where,
                                                        std::int64_t added) const {
  const auto entry = tree_.find(where);
  auto sum = entry ? own_amount(entry->siblings()) : 0;
  if (__builtin_add_overflow(sum, added, &sum)) return std::nullopt;
  return sum;
}

result<change_record> context_engine::write(operation op, path where, value given,
                                            std::string principal, trace_id trace,
                                            std::uint64_t now_ms) {
  TROUPE_ASSERT(op != operation::erase_subtree, "a subtree is erased by write_together");
  if (op == operation::erase) given = {};
  if (auto allowed = check_write(where, given, principal); !allowed)
    return fail(std::move(allowed.error()));
  if (auto able = check_operation(op, where, given); !able) return fail(std::move(able.error()));
  if (auto able = check_can_write(now_ms); !able) return fail(std::move(able.error()));
  return std::move(
      make({{op, std::move(where), std::move(given)}, {}}, {}, {}, principal, trace, now_ms)
          .record);
}

/// Makes a local change, which nothing forbids, part of the state.
/// @param after what has to be there before it, besides what its incarnation ends.
applied_change context_engine::make(planned_write planned, transaction_place place,
                                    std::vector<version_entry> after, const std::string& principal,
                                    trace_id trace, std::uint64_t now_ms) {
  applied_change change;
  auto& record = change.record;
  record.dot = {own_.origin, own_.incarnation, last_of(own_) + 1};
  record.after = all_before_next(std::move(after));
  record.timestamp = clock_.tick(now_ms);
  record.path = std::move(planned.write.path);
  record.operation = planned.write.what;
  record.new_value = std::move(planned.write.new_value);
  record.below = std::move(planned.below);
  record.transaction = place;
  record.principal = principal;
  record.trace = trace;
  processed_.add(record);
  if (record.operation == operation::erase_subtree) {
    integrate_below(change);
    return change;
  }
  if (record.operation == operation::increment) {
    integrate_write(change, [&](std::span<const sibling> seen) { return count(record, seen); });
    return change;
  }
  integrate_write(change, [&](std::span<const sibling> seen) {
    for (const auto& each : seen)
      if (incarnation_of(each.dot) != own_) record.observed.push_back({each.dot, each.content});
    if (has_counts(seen)) record.counts.bytes = pack_counts(counts_in(seen));
    add_quarantined(record);
    std::ranges::sort(record.observed);
    const auto twice = std::ranges::unique(record.observed);
    record.observed.erase(twice.begin(), twice.end());
    return content_hash(record);
  });
  return change;
}

/// Names what stands in quarantine at the path of a put or an erasure, so that all replicas agree
/// again.
void context_engine::add_quarantined(change_record& record) const {
  for (const auto& each : quarantine_) {
    if (!is_overwritable(each)) continue;
    for (std::size_t i = 0; i < each.records.size(); ++i)
      if (each.records[i].path == record.path && record.observed.size() < limits_.max_observed)
        record.observed.push_back({each.dot, each.contents[i]});
  }
}

/// Completes an increment: it takes over what earlier incarnations of this node have added, also
/// what a put has overwritten since: who has not that put yet must not lose it. @returns its
/// content hash.
std::uint64_t context_engine::count(change_record& record, std::span<const sibling> seen) const {
  for (const auto& each : seen)
    if (each.operation == operation::increment && each.dot.origin == own_.origin &&
        incarnation_of(each.dot) != own_)
      record.observed.push_back({each.dot, each.content});
  std::ranges::sort(record.observed);
  auto parts = counts_in(seen);
  std::erase_if(parts, [this](const counter_part& each) {
    return each.source.origin != own_.origin || each.source == own_;
  });
  fold_counts(parts, limits_.single_counts, processed_, stable_.get());
  parts.insert(std::ranges::lower_bound(parts, own_, {}, &counter_part::source),
               {own_, record.dot.seq, own_amount(seen) + *record.new_value.as_integer()});
  record.counts.bytes = pack_counts(parts);
  return content_hash(record);
}

// -- several writes together ----------------------------------------------------------------------

/// What a write of several becomes. Of an erasure of a subtree: its parts, each of a size that one
/// change may have.
result<void> context_engine::plan(local_write write, const std::string& principal,
                                  std::vector<planned_write>& into) const {
  if (write.what == operation::erase || write.what == operation::erase_subtree)
    write.new_value = {};
  if (auto allowed = check_write(write.path, write.new_value, principal); !allowed) return allowed;
  if (auto able = check_operation(write.what, write.path, write.new_value); !able) return able;
  if (write.what != operation::erase_subtree) {
    into.push_back({std::move(write), {}});
    return {};
  }
  const path top = write.path;
  const bool is_system = principal == system_principal;
  bool shows_any = false;
  std::size_t changes = limits_.max_below, bytes = 0;  // of the last part; none yet
  tree_.visit_subtree(top, [&](const tree_entry& entry) {
    if (!is_system && is_within(reserved_path, entry.path())) return true;
    if (has_counts(entry.siblings())) {
      // An erasure that stays, so that increments of others go on from what was seen of them.
      auto where = path::from_checked(std::string{entry.path()});
      if (shows_value(*strategy_, where, entry.siblings())) {
        shows_any = true;
        into.push_back({{operation::erase, std::move(where), {}}, {}});
        changes = limits_.max_below;
      }
      return true;
    }
    observed_path seen{path::from_checked(std::string{entry.path()}), {}};
    for (const auto& each : entry.siblings()) seen.changes.push_back({each.dot, each.content});
    std::ranges::sort(seen.changes);
    shows_any = shows_any || shows_value(*strategy_, seen.path, entry.siblings());
    changes += seen.changes.size();
    bytes += seen.path.text().size();
    if (changes > limits_.max_below || bytes > limits_.max_below_bytes) {
      into.push_back({{operation::erase_subtree, top, {}}, {}});
      changes = seen.changes.size();
      bytes = seen.path.text().size();
    }
    into.back().below.push_back(std::move(seen));
    return true;
  });
  if (shows_any) return {};
  return fail(error_code::not_found,
              "neither '" + top.text() + "' nor anything below it holds a value to be erased");
}

/// How many changes of a path stand in quarantine.
std::size_t context_engine::quarantined_at(const path& where) const {
  std::size_t count = 0;
  for (const auto& each : quarantine_)
    if (is_overwritable(each))
      count +=
          static_cast<std::size_t>(std::ranges::count(each.records, where, &change_record::path));
  return count;
}

/// At least the weight of the change that a write will become.
std::uint64_t context_engine::weight_of(const planned_write& planned,
                                        const std::string& principal) const {
  change_record like;
  like.path = planned.write.path;
  like.new_value = planned.write.new_value;
  like.below = planned.below;
  like.principal = principal;
  auto overwritten = quarantined_at(like.path);
  std::vector<counter_part> parts;
  if (const auto entry = tree_.find(like.path)) {
    overwritten += entry->siblings().size();
    parts = counts_in(entry->siblings());
  }
  parts.push_back({own_, ~std::uint64_t{0}, std::numeric_limits<std::int64_t>::min()});
  like.counts.bytes = pack_counts(parts);
  like.observed.resize(std::min(overwritten, limits_.max_observed));
  return like.weight();
}

/// The latest change of each other incarnation that one of these overwrites or counts. Who takes
/// the first of them has these already, so a transaction that has begun never waits for others.
std::vector<version_entry> context_engine::needed_by(
    const std::vector<planned_write>& planned) const {
  std::map<incarnation_id, std::uint64_t> latest;
  const auto raise = [&](const incarnation_id& source, std::uint64_t upto) {
    if (source == own_) return;
    auto& seq = latest[source];
    seq = std::max(seq, upto);
  };
  // Who has one change of the later incarnations has all of one that has ended. Not while one of
  // them begins with a transaction that is open: that is not there yet.
  const auto add = [&](const dot& id) {
    const auto source = incarnation_of(id);
    if (source == own_) return;
    const auto known = vector().of(id.origin);
    const auto later =
        std::ranges::upper_bound(known, id.incarnation, {}, &version_entry::incarnation);
    const auto is_open = [&](const version_entry& each) {
      return transactions_.find(dot{each.origin, each.incarnation, 1}) != nullptr;
    };
    if (!processed_.has_ended(source) || std::any_of(later, known.end(), is_open))
      return raise(source, id.seq);
    for (auto at = later; at != known.end(); ++at) raise(incarnation_of(*at), 1);
  };
  for (const auto& [write, below] : planned) {
    for (const auto& each : below)
      for (const auto& seen : each.changes) add(seen.dot);
    if (write.what == operation::erase_subtree) continue;
    for (const auto& each : quarantine_)
      if (is_overwritable(each) && each.concerns(write.path)) add(each.dot);
    const auto entry = tree_.find(write.path);
    if (!entry) continue;
    const auto siblings = entry->siblings();
    for (const auto& each : siblings) add(each.dot);
    for (const auto& part : counts_in(siblings))
      if (!part.is_folded()) add({part.source.origin, part.source.incarnation, part.seq});
  }
  std::vector<version_entry> all;
  for (const auto& [source, seq] : latest) all.push_back({source.origin, source.incarnation, seq});
  return all;
}

/// What the next change weighs more when it comes after these.
std::uint64_t context_engine::weight_of_after(std::vector<version_entry> after) const {
  change_record like;
  like.after = all_before_next(std::move(after));
  return like.weight() - change_record{}.weight();
}

/// These, and what the first change of this incarnation ends.
std::vector<version_entry> context_engine::all_before_next(std::vector<version_entry> after) const {
  if (last_of(own_) == 0) std::ranges::move(ended_by_first(), std::back_inserter(after));
  return version_vector{std::move(after)}.entries();
}

result<std::vector<applied_change>> context_engine::write_together(std::vector<local_write> writes,
                                                                   std::string principal,
                                                                   trace_id trace,
                                                                   std::uint64_t now_ms) {
  std::vector<planned_write> planned;
  std::map<path, operation> named;
  const auto all = writes.size();
  for (std::size_t at = 0; at < all; ++at) {
    const auto where = writes[at].path;
    const auto what = writes[at].what;
    const auto [before, is_new] = named.emplace(where, what);
    // Puts replace each other; what depends on what was there before cannot be made twice.
    const bool is_clear = is_new || (what == operation::put && before->second == operation::put);
    auto done = is_clear ? plan(std::move(writes[at]), principal, planned)
                         : result<void>{fail(error_code::invalid_argument, "it is named twice")};
    if (done) continue;
    if (all == 1) return fail(std::move(done.error()));
    return fail(done.error().code, "entry " + std::to_string(at + 1) + " of " +
                                       std::to_string(all) + ", '" + where.text() +
                                       "': " + done.error().message + "; nothing was written");
  }
  if (auto able = check_can_write(now_ms); !able) return fail(std::move(able.error()));
  std::vector<version_entry> after;
  if (planned.size() > 1) after = needed_by(planned);
  auto weight = weight_of_after(after);
  for (const auto& each : planned) weight += weight_of(each, principal);
  if (planned.size() > limits_.max_transaction || weight > limits_.max_transaction_weight)
    return fail(error_code::limit_exceeded, "the write has " + std::to_string(planned.size()) +
                                                " changes of about " + std::to_string(weight) +
                                                " bytes; at most " +
                                                std::to_string(limits_.max_transaction) + " of " +
                                                std::to_string(limits_.max_transaction_weight) +
                                                " bytes are made together: write in parts");
  std::vector<applied_change> made;
  made.reserve(planned.size());
  transaction_place place{0, static_cast<std::uint32_t>(planned.size()), weight};
  if (planned.size() == 1) place = {};
  for (auto& each : planned) {
    made.push_back(
        make(std::move(each), place, std::exchange(after, {}), principal, trace, now_ms));
    ++place.index;
  }
  return made;
}

}  // namespace troupe
