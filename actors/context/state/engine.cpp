#include <troupe/actors/context/state/engine.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/path_order.hpp>
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
      live_(tree_),
      waiting_(limits.max_buffered_records, limits.max_buffered_bytes),
      quarantine_(std::move(restored.quarantine)) {
  if (own_.origin.is_nil())
    throw std::invalid_argument("a context engine needs the id of its node");
  if (own_.incarnation == 0) throw std::invalid_argument("an incarnation is at least 1");
  if (!strategy_) throw std::invalid_argument("a context engine needs a conflict strategy");
  if (vector_.at(own_.origin, own_.incarnation) > 0)
    throw std::invalid_argument("incarnation " + std::to_string(own_.incarnation) +
                                " has been used before");
  clock_.raise_floor(restored.clock);
  for (const auto& each : quarantine_) declined_.insert(incarnation_of(each.dot));
  tree_.visit_from({}, [&](const tree_entry& entry) {
    conflicts_ += entry.siblings.size() > 1 ? 1 : 0;
    values_ += shows_value(&entry) ? 1 : 0;
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

result<change_record> context_engine::write(operation op, const path& where, value given,
                                            std::string principal, trace_id trace,
                                            std::uint64_t now_ms) {
  change_record record;
  if (op == operation::put) record.new_value = std::move(given);
  if (auto allowed = check_write(where, record.new_value, principal); !allowed)
    return fail(std::move(allowed.error()));
  const auto* entry = tree_.find(where);
  if (op == operation::erase && !view_of(entry))
    return fail(error_code::not_found,
                "'" + where.text() + "' holds no value that could be erased");

  if (vector_.at(own_.origin, own_.incarnation) == 0 && has_too_many_incarnations(own_.origin))
    return fail(error_code::limit_exceeded,
                "no write of this incarnation is accepted: a node may write in at most " +
                    std::to_string(limits_.max_incarnations_of_node) +
                    " incarnations, and all nodes together in " +
                    std::to_string(limits_.max_incarnations) +
                    "; use a new data directory, or a new cluster");
  if (clock_.next(now_ms) >= latest_time)
    return fail(error_code::unavailable,
                "this node's clock stands beyond the year 6429; set it right");

  record.dot = {own_.origin, own_.incarnation, vector_.at(own_.origin, own_.incarnation) + 1};
  record.timestamp = clock_.tick(now_ms);
  record.path = where;
  record.operation = op;
  record.principal = std::move(principal);
  record.trace = trace;
  if (entry)
    for (const auto& each : entry->siblings.all()) record.observed.push_back(each.dot());
  for (const auto& each : quarantine_)
    if (record.observed.size() < limits_.max_observed && each.concerns(where))
      record.observed.push_back(each.dot);
  std::ranges::sort(record.observed);
  const auto content = content_hash(record);
  return integrate(std::move(record), content).record;
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
  const auto* entry = tree_.find(record.path);
  if (!entry || entry->siblings.size() < limits_.max_siblings || overwritten_.contains(record.dot))
    return std::nullopt;
  const auto siblings = entry->siblings.all();
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
    const auto known = live_.content(record.dot);
    if (!known || *known == content_hash(record)) {
      apply_outcome outcome;
      outcome.status = apply_status::duplicate;
      return outcome;
    }
    const auto id = record.dot;
    const auto* holder = find_live(id);
    TROUPE_ASSERT(holder != nullptr, "the tree holds each live change");
    const path where = holder->path;
    auto first = remove_live(where, id);
    auto seen = seen_instead_of(first, tree_.find(where));
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
  return incarnation_of(existing.dot()) == incarnation_of(record.dot) ||
         std::ranges::binary_search(record.observed, existing.dot());
}

applied_change context_engine::integrate(change_record record, std::uint64_t content) {
  applied_change change;
  const auto* entry = tree_.find(record.path);
  record.previous_value = view_of(entry);

  std::vector<sibling> remaining;
  if (entry) {
    for (const auto& each : entry->siblings.all()) {
      if (overwrites(record, each))
        live_.remove(each.dot());
      else
        remaining.push_back(each);
    }
  }
  const bool overwritten_before_it_came = overwritten_.erase(record.dot) > 0;
  if (!overwritten_before_it_came) {
    sibling fresh{record, content};
    remaining.insert(std::ranges::upper_bound(remaining, fresh, sibling::earlier),
                     std::move(fresh));
    live_.add(record.dot, content);
  }
  for (const auto& seen : record.observed)
    if (!vector_.covers(seen)) overwritten_.insert(seen);
  vector_.raise(record.dot.origin, record.dot.incarnation, record.dot.seq);

  change.conflict = remaining.size() > 1;
  store_siblings(record.path, std::move(remaining));
  entry = tree_.find(record.path);
  change.visible = view_of(entry) != record.previous_value;
  if (change.visible) change.instead = seen_instead_of(record, entry);
  change.record = std::move(record);
  return change;
}

void context_engine::store_siblings(const path& where, std::vector<sibling> siblings) {
  const auto* before = tree_.find(where);
  if (before && before->siblings.size() > 1) --conflicts_;
  if (siblings.size() > 1) ++conflicts_;
  if (shows_value(before)) --values_;
  if (siblings.empty()) {
    tree_.erase(where);
  } else {
    tree_.put(where, sibling_list{std::move(siblings)});
  }
  if (shows_value(tree_.find(where))) ++values_;
}

/// The entry of a change that `live_` knows.
const tree_entry* context_engine::find_live(const dot& id) const {
  const tree_entry* holder = nullptr;
  tree_.visit_from({}, [&](const tree_entry& entry) {
    if (std::ranges::any_of(entry.siblings.all(),
                            [&](const sibling& each) { return each.dot() == id; }))
      holder = &entry;
    return holder == nullptr;
  });
  return holder;
}

/// Removes a live change. @returns it, with the value that readers saw before.
change_record context_engine::remove_live(const path& where, const dot& id) {
  const auto* holder = tree_.find(where);
  TROUPE_ASSERT(holder != nullptr, "the path of a live change has an entry");
  const auto is_it = [&](const sibling& each) { return each.dot() == id; };
  const auto siblings = holder->siblings.all();
  const auto found = std::ranges::find_if(siblings, is_it);
  TROUPE_ASSERT(found != siblings.end(), "the entry holds the live change");
  auto record = found->to_record(where);
  record.previous_value = view_of(holder);
  std::vector<sibling> remaining;
  std::ranges::remove_copy_if(siblings, std::back_inserter(remaining), is_it);
  live_.remove(id);
  store_siblings(where, std::move(remaining));
  return record;
}

engine_state context_engine::state() const {
  return {tree_, vector_, {overwritten_.begin(), overwritten_.end()}, clock_.last(), quarantine_};
}

}  // namespace troupe
