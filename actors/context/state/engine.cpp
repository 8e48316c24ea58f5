#include <troupe/actors/context/state/engine.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/kept_siblings.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr std::string_view reserved = "/_sys";

std::string describe(const change_record& record) {
  return "change " + to_string(record.dot) + " of '" + record.path.text() + "'";
}

}  // namespace

bool equivocation::concerns(const path& where) const {
  return std::ranges::any_of(records,
                             [&](const change_record& each) { return each.path == where; });
}

context_engine::context_engine(node_id self, std::uint64_t incarnation, engine_state restored,
                               engine_limits limits,
                               std::shared_ptr<const conflict_resolution> strategy)
    : own_{self, incarnation},
      limits_(limits),
      strategy_(std::move(strategy)),
      tree_(std::move(restored.tree)),
      vector_(std::move(restored.vector)),
      overwritten_(restored.overwritten.begin(), restored.overwritten.end()),
      waiting_(limits.max_buffered_records, limits.max_buffered_bytes),
      quarantine_(std::move(restored.quarantine)) {
  if (own_.origin.is_nil())
    throw std::invalid_argument("a context engine needs the id of its node");
  if (own_.incarnation == 0) throw std::invalid_argument("an incarnation is at least 1");
  if (!strategy_) throw std::invalid_argument("a context engine needs a conflict strategy");
  if (limits_.max_siblings > context_tree::max_siblings)
    throw std::invalid_argument("a path has at most " + std::to_string(context_tree::max_siblings) +
                                " siblings");
  if (vector_.at(own_.origin, own_.incarnation) > 0)
    throw std::invalid_argument("incarnation " + std::to_string(own_.incarnation) +
                                " has been used before");
  clock_.raise_floor(restored.clock);
  for (const auto& each : quarantine_) declined_.insert(incarnation_of(each.dot));
  tree_.visit_from({}, [&](const tree_entry& entry) {
    const auto siblings = entry.siblings();
    conflicts_ += siblings.size() > 1 ? 1 : 0;
    const auto where = siblings.size() > 1 ? path::from_checked(std::string{entry.path()}) : path{};
    values_ += shows_value(*strategy_, where, siblings) ? 1 : 0;
    return true;
  });
}

// -- local writes ---------------------------------------------------------------------------------

result<void> context_engine::check_write(const path& where, const value& given,
                                         const std::string& principal) const {
  if (declined_.contains(own_))
    return fail(
        error_code::unavailable,
        "another process writes under this node's identity; stop it and start this node anew");
  if (is_within(reserved, where.text()) && principal != "system")
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

result<change_record> context_engine::write(operation op, path where, value given,
                                            std::string principal, trace_id trace,
                                            std::uint64_t now_ms) {
  applied_change change;
  auto& record = change.record;
  if (op == operation::put) record.new_value = std::move(given);
  if (auto allowed = check_write(where, record.new_value, principal); !allowed)
    return fail(std::move(allowed.error()));
  if (op == operation::erase) {
    const auto entry = tree_.find(where);
    if (!entry || !shows_value(*strategy_, where, entry->siblings()))
      return fail(error_code::not_found,
                  "'" + where.text() + "' holds no value that could be erased");
  }

  const auto done = vector_.at(own_.origin, own_.incarnation);
  if (done == 0 && has_too_many_incarnations(own_.origin))
    return fail(error_code::limit_exceeded,
                "no write of this incarnation is accepted: a node may write in at most " +
                    std::to_string(limits_.max_incarnations_of_node) +
                    " incarnations, and all nodes together in " +
                    std::to_string(limits_.max_incarnations) +
                    "; use a new data directory, or a new cluster");
  if (clock_.next(now_ms) >= latest_time)
    return fail(error_code::unavailable,
                "this node's clock stands beyond the year 6429; set it right");

  record.dot = {own_.origin, own_.incarnation, done + 1};
  record.timestamp = clock_.tick(now_ms);
  record.path = std::move(where);
  record.operation = op;
  record.principal = std::move(principal);
  record.trace = trace;
  integrate(change, [&](std::span<const sibling> seen) {
    for (const auto& each : seen) record.observed.push_back(each.dot);
    for (const auto& each : quarantine_)
      if (record.observed.size() < limits_.max_observed && each.concerns(record.path))
        record.observed.push_back(each.dot);
    std::ranges::sort(record.observed);
    return content_hash(record);
  });
  return std::move(record);
}

// -- changes of other nodes -----------------------------------------------------------------------

bool context_engine::has_too_many_incarnations(const node_id& origin) const {
  const auto known =
      std::ranges::equal_range(vector_.entries(), origin, {}, &version_entry::origin);
  return known.size() >= limits_.max_incarnations_of_node ||
         vector_.entries().size() >= limits_.max_incarnations;
}

bool context_engine::claims_our_future(const change_record& record) const {
  return std::ranges::any_of(record.observed, [&](const dot& seen) {
    return incarnation_of(seen) == own_ && !vector_.covers(seen);
  });
}

std::optional<std::string> context_engine::passed_bound(const change_record& record) const {
  const auto unseen = static_cast<std::size_t>(std::ranges::count_if(
      record.observed, [&](const dot& seen) { return !vector_.covers(seen); }));
  if (overwritten_.size() + unseen > limits_.max_overwritten)
    return std::to_string(overwritten_.size()) + " overwritten changes are awaited already";
  if (vector_.at(record.dot.origin, record.dot.incarnation) == 0 &&
      has_too_many_incarnations(record.dot.origin))
    return "too many incarnations, of its node or of all, are known already";
  if (conflicts_ == 0 && limits_.max_siblings > 1) return std::nullopt;
  const auto entry = tree_.find(record.path);
  if (!entry || entry->siblings().size() < limits_.max_siblings ||
      overwritten_.contains(record.dot))
    return std::nullopt;
  const auto siblings = entry->siblings();
  if (std::ranges::any_of(siblings, [&](const sibling& each) { return overwrites(record, each); }))
    return std::nullopt;
  return "the path has " + std::to_string(siblings.size()) +
         " concurrent writes already; a write to it makes room";
}

apply_outcome context_engine::refuse(const incarnation_id& source, error_code code,
                                     std::string why) {
  if (declined_.size() < limits_.max_incarnations) declined_.insert(source);
  waiting_.drop(source);
  apply_outcome outcome;
  outcome.status = apply_status::refused;
  outcome.problem = error{code, std::move(why), {}};
  return outcome;
}

apply_outcome context_engine::isolate(const incarnation_id& source, equivocation found) {
  auto outcome = refuse(source, error_code::corrupt_data,
                        describe(found.records.back()) +
                            " was issued twice: a node runs twice, or its disk was copied");
  outcome.alarm = true;
  quarantine_.push_back(std::move(found));
  return outcome;
}

apply_outcome context_engine::apply(change_record record, std::uint64_t now_ms) {
  const auto source = incarnation_of(record.dot);
  if (declined_.contains(source))
    return refuse(source, error_code::unavailable,
                  "no further change of incarnation " + to_string(source.origin) + "/" +
                      std::to_string(source.incarnation) + " is taken before the next start");
  if (record.format > change_record::current_format && source != own_)
    return refuse(source, error_code::version_mismatch,
                  describe(record) + " has format " + std::to_string(record.format) +
                      "; this build reads up to " + std::to_string(change_record::current_format));
  auto why = malformed(record, limits_);
  if (!why && record.format > change_record::current_format)
    why = "it is of this incarnation, which writes an older format";
  if (why) {
    apply_outcome outcome;
    outcome.status = apply_status::malformed;
    outcome.problem =
        error{error_code::protocol_violation, describe(record) + " is malformed: " + *why, {}};
    return outcome;
  }

  if (vector_.covers(record.dot)) {
    const auto known = live_content(record.path, record.dot);
    if (!known || *known == content_hash(record)) {
      apply_outcome outcome;
      outcome.status = apply_status::duplicate;
      return outcome;
    }
    const auto id = record.dot;
    const path where = record.path;
    auto first = remove_live(where, id);
    const auto left = tree_.find(where);
    auto seen = seen_instead_of(first, left ? left->siblings() : std::span<const sibling>{});
    first.previous_value.reset();
    auto outcome = isolate(source, {id, {std::move(first), std::move(record)}});
    if (seen && view(where) != seen->previous_value) outcome.seen_instead = std::move(seen);
    return outcome;
  }
  if (source == own_) {
    const auto id = record.dot;
    return isolate(source, {id, {std::move(record)}});
  }
  if (claims_our_future(record)) {
    auto outcome =
        refuse(source, error_code::already_exists,
               describe(record) +
                   " has overwritten changes of this incarnation that this node did not make: "
                   "another node runs under its identity");
    outcome.alarm = true;
    return outcome;
  }
  if (record.dot.seq > vector_.at(source.origin, source.incarnation) + 1)
    return buffer(std::move(record));
  const auto content = content_hash(record);
  return accept(std::move(record), content, now_ms);
}

apply_outcome context_engine::buffer(change_record record) {
  apply_outcome outcome;
  const auto id = record.dot;
  switch (waiting_.put(std::move(record))) {
    case reorder_buffer::outcome::stored: outcome.status = apply_status::buffered; break;
    case reorder_buffer::outcome::duplicate: outcome.status = apply_status::duplicate; break;
    case reorder_buffer::outcome::different_content: {
      auto first = waiting_.take(id);
      return isolate(incarnation_of(id), {id, {std::move(*first), std::move(record)}});
    }
    case reorder_buffer::outcome::full:
      outcome.status = apply_status::overflow;
      outcome.problem = error{
          error_code::overloaded,
          "too many changes wait for earlier ones; " + describe(record) + " must be sent again",
          {}};
  }
  return outcome;
}

/// Applies the next change of its incarnation, and the buffered ones that waited for it.
apply_outcome context_engine::accept(change_record record, std::uint64_t content,
                                     std::uint64_t now_ms) {
  apply_outcome outcome;
  std::optional<change_record> next{std::move(record)};
  while (next) {
    if (const auto bound = passed_bound(*next)) {
      outcome.problem =
          error{error_code::overloaded, describe(*next) + " is not taken now: " + *bound, {}};
      break;
    }
    if (!take_time(*next, now_ms)) {
      outcome.alarm = true;
      outcome.problem = error{error_code::already_exists,
                              describe(*next) +
                                  " calls itself one of this node and is far ahead of its time; it "
                                  "is taken, its time is not",
                              {}};
    }
    const auto id = next->dot;
    outcome.applied.push_back(integrate(std::move(*next), content));
    next = waiting_.take({id.origin, id.incarnation, id.seq + 1});
    if (next) content = content_hash(*next);
  }
  outcome.status = outcome.applied.empty() ? apply_status::overflow : apply_status::applied;
  return outcome;
}

result<void> context_engine::replay(change_record record, std::uint64_t now_ms) {
  if (vector_.covers(record.dot)) return {};
  const auto done = vector_.at(record.dot.origin, record.dot.incarnation);
  if (record.dot.seq != done + 1)
    return fail(error_code::corrupt_data,
                describe(record) + " follows change " + std::to_string(done) +
                    " of its incarnation in the log; those between are missing");
  if (record.dot.origin == own_.origin) clock_.resume(record.timestamp, now_ms);
  const auto content = content_hash(record);
  integrate(std::move(record), content);
  return {};
}

/// Moves the clock. An earlier incarnation of this node may have been ahead of wall time, so its
/// timestamps count, within reason. False when a timestamp is beyond reason.
bool context_engine::take_time(const change_record& record, std::uint64_t now_ms) {
  if (record.dot.origin == own_.origin) return clock_.resume(record.timestamp, now_ms);
  clock_.observe(record.timestamp, now_ms);
  return true;
}

// -- the state ------------------------------------------------------------------------------------

bool context_engine::overwrites(const change_record& record, const sibling& existing) const {
  return incarnation_of(existing.dot) == incarnation_of(record.dot) ||
         std::ranges::binary_search(record.observed, existing.dot);
}

/// Makes `change.record` part of the state. @param complete gets the siblings of its path, may add
/// what it observed, and returns its content hash.
template <class Complete>
void context_engine::integrate(applied_change& change, const Complete& complete) {
  auto& record = change.record;
  const bool lives = overwritten_.erase(record.dot) == 0;
  kept_siblings kept;
  change_siblings(record.path, [&](std::span<const sibling> before) {
    const std::uint64_t content = complete(before);
    record.previous_value = view_of(record.path, before);
    for (const auto& each : before)
      if (!overwrites(record, each)) kept.keep(each);
    if (lives) kept.add(sibling::of(record, content));
    return kept.all();
  });
  for (const auto& seen : record.observed)
    if (!vector_.covers(seen)) overwritten_.insert(seen);
  vector_.raise(record.dot.origin, record.dot.incarnation, record.dot.seq);

  const auto after = kept.all();
  values_ += shows_value(*strategy_, record.path, after) ? 1 : 0;
  values_ -= record.previous_value ? 1 : 0;
  change.conflict = after.size() > 1;
  change.visible = !shows(record.path, after, record.previous_value);
  if (change.visible) change.instead = seen_instead_of(record, after);
}

applied_change context_engine::integrate(change_record record, std::uint64_t content) {
  applied_change change{.record = std::move(record), .instead = {}};
  integrate(change, [content](std::span<const sibling>) { return content; });
  return change;
}

/// Whether readers who saw `seen` see the same in these siblings.
bool context_engine::shows(const path& where, std::span<const sibling> siblings,
                           const std::optional<value>& seen) const {
  if (siblings.size() != 1) return view_of(where, siblings) == seen;
  return siblings[0].is_tombstone() ? !seen : seen && seen->msgpack() == siblings[0].value_bytes;
}

/// Changes the siblings of a path and counts its conflict.
void context_engine::change_siblings(const path& where, const context_tree::changer& change) {
  tree_.change(where, [&](std::span<const sibling> before) {
    const auto after = change(before);
    conflicts_ -= before.size() > 1 ? 1 : 0;
    conflicts_ += after.size() > 1 ? 1 : 0;
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
    for (const auto& each : before)
      if (each.dot != id) kept.keep(each);
    return kept.all();
  });
  values_ -= (removed.previous_value ? 1 : 0);
  values_ += (view_of(where, kept.all()) ? 1 : 0);
  return removed;
}

engine_state context_engine::state() const {
  return {tree_, vector_, {overwritten_.begin(), overwritten_.end()}, clock_.last(), quarantine_};
}

}  // namespace troupe
