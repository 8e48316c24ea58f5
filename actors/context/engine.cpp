#include <troupe/actors/context/engine.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <troupe/actors/context/path_order.hpp>
#include <troupe/messages/utf8.hpp>

namespace troupe {

namespace {

constexpr std::string_view reserved = "/_sys";

/// Timestamps beyond this, in the year 6429, are no timestamps; it keeps the clock far from the end of its range.
constexpr timestamp latest_time{std::uint64_t{1} << 63};

run_id run_of(const dot& id) noexcept { return {id.origin, id.incarnation}; }

std::string describe(const change_record& record) {
  return "change " + to_string(record.dot) + " of '" + record.path.text() + "'";
}

}  // namespace

context_engine::context_engine(node_id self, std::uint64_t incarnation, engine_state restored, engine_limits limits,
                               std::shared_ptr<const conflict_resolution> rule)
    : self_(self),
      incarnation_(incarnation),
      limits_(limits),
      rule_(std::move(rule)),
      tree_(std::move(restored.tree)),
      vector_(std::move(restored.vector)),
      overwritten_(restored.overwritten.begin(), restored.overwritten.end()),
      live_(tree_),
      waiting_(limits.max_buffered_records, limits.max_buffered_bytes),
      quarantine_(std::move(restored.quarantine)) {
  if (self_.is_nil()) throw std::invalid_argument("a context engine needs the id of its node");
  if (incarnation_ == 0) throw std::invalid_argument("the incarnation of a run is at least 1");
  if (!rule_) throw std::invalid_argument("a context engine needs a conflict resolution");
  if (vector_.at(self_, incarnation_) > 0)
    throw std::invalid_argument("incarnation " + std::to_string(incarnation_) + " has been used by an earlier run");
  clock_.raise_floor(restored.clock);
  for (const auto& each : quarantine_) declined_.insert(run_of(each.dot));
  tree_.visit_from({}, [&](const tree_entry& entry) {
    conflicts_ += entry.siblings.size() > 1 ? 1 : 0;
    return true;
  });
}

/// Values travel and are stored inside messages with the same limits, so they must leave some of each to those.
std::optional<std::string> context_engine::too_much(const value& given) const {
  const auto& bytes = given.msgpack();
  if (bytes.size() > limits_.max_value_bytes)
    return "has " + std::to_string(bytes.size()) + " bytes; at most " + std::to_string(limits_.max_value_bytes) +
           " are accepted";
  if (given.size() == 0) return std::nullopt;
  codec_limits inner;
  inner.depth = max_value_depth;
  inner.elements /= 2;
  if (const auto checked = check_msgpack(bytes, inner); !checked)
    return "is too deep or has too many parts: " + checked.error().message;
  return std::nullopt;
}

// -- local writes ----------------------------------------------------------------------------------------------------

result<void> context_engine::check_write(const path& where, const value& given, const std::string& principal) const {
  if (declined_.contains(own_run()))
    return fail(error_code::unavailable,
                "another process writes under this node's identity; stop it and start this node anew");
  if (is_within(reserved, where.text()) && principal != "system")
    return fail(error_code::permission_denied,
                "'" + where.text() + "' is reserved: below '/_sys' only the principal \"system\" writes");
  if (principal.size() > limits_.max_principal_bytes || !is_utf8(principal))
    return fail(error_code::invalid_argument, "the principal must be UTF-8 of at most " +
                                                  std::to_string(limits_.max_principal_bytes) + " bytes");
  if (const auto problem = too_much(given))
    return fail(error_code::limit_exceeded, "the value for '" + where.text() + "' " + *problem);
  return {};
}

result<change_record> context_engine::write(operation op, const path& where, value given, std::string principal,
                                            trace_id trace, std::uint64_t now_ms) {
  change_record record;
  if (op == operation::put) record.new_value = std::move(given);
  if (auto allowed = check_write(where, record.new_value, principal); !allowed) return fail(std::move(allowed.error()));
  const auto* entry = tree_.find(where);
  if (op == operation::erase && !view_of(entry))
    return fail(error_code::not_found, "'" + where.text() + "' holds no value that could be erased");

  record.dot = {self_, incarnation_, vector_.at(self_, incarnation_) + 1};
  record.timestamp = clock_.tick(now_ms);
  record.path = where;
  record.operation = op;
  record.principal = std::move(principal);
  record.trace = trace;
  if (entry)
    for (const auto& each : entry->siblings.all()) record.observed.push_back(each.dot());
  for (const auto& each : quarantine_)
    if (std::ranges::any_of(each.records, [&](const change_record& known) { return known.path == where; }))
      record.observed.push_back(each.dot);
  std::ranges::sort(record.observed);
  const auto content = content_hash(record);
  return integrate(std::move(record), content).record;
}

// -- changes of other nodes ------------------------------------------------------------------------------------------

std::optional<std::string> context_engine::malformed(const change_record& record) const {
  if (record.dot.origin.is_nil() || record.dot.incarnation == 0 || record.dot.seq == 0) return "its dot is malformed";
  if (record.timestamp >= latest_time) return "its timestamp lies beyond the year 6429";
  if (record.principal.size() > limits_.max_principal_bytes) return "its principal is too long";
  if (const auto problem = too_much(record.new_value)) return "its value " + *problem;
  if (record.operation == operation::erase && !record.new_value.is_nil()) return "it erases and carries a value";
  const auto not_earlier = [&](const dot& seen) {
    return run_of(seen) == run_of(record.dot) && seen.seq >= record.dot.seq;
  };
  if (std::ranges::any_of(record.observed, not_earlier)) return "it observed a later change of its own run";
  return std::nullopt;
}

std::optional<std::string> context_engine::passed_bound(const change_record& record) const {
  const auto unseen = static_cast<std::size_t>(
      std::ranges::count_if(record.observed, [&](const dot& seen) { return !vector_.covers(seen); }));
  if (overwritten_.size() + unseen > limits_.max_overwritten)
    return std::to_string(overwritten_.size()) + " overwritten changes are awaited already";
  if (vector_.entries().size() >= limits_.max_runs && vector_.at(record.dot.origin, record.dot.incarnation) == 0)
    return std::to_string(limits_.max_runs) + " runs are known already";
  const auto* entry = tree_.find(record.path);
  if (!entry || entry->siblings.size() < limits_.max_siblings || overwritten_.contains(record.dot)) return std::nullopt;
  const auto siblings = entry->siblings.all();
  if (std::ranges::any_of(siblings, [&](const sibling& each) { return overwrites(record, each); })) return std::nullopt;
  return "the path has " + std::to_string(siblings.size()) + " concurrent writes already; a write to it makes room";
}

apply_outcome context_engine::refuse(const run_id& run, error_code code, std::string why) {
  if (declined_.size() < limits_.max_runs) declined_.insert(run);
  waiting_.drop(run);
  apply_outcome outcome;
  outcome.status = apply_status::refused;
  outcome.problem = error{code, std::move(why), {}};
  return outcome;
}

apply_outcome context_engine::isolate(const run_id& run, equivocation found) {
  auto outcome =
      refuse(run, error_code::corrupt_data,
             describe(found.records.back()) + " was issued twice: a node runs twice, or its disk was copied");
  outcome.alarm = true;
  quarantine_.push_back(std::move(found));
  return outcome;
}

apply_outcome context_engine::apply(change_record record, std::uint64_t now_ms) {
  const auto run = run_of(record.dot);
  if (declined_.contains(run))
    return refuse(run, error_code::unavailable,
                  "no further change of run " + to_string(run.origin) + "/" + std::to_string(run.incarnation) +
                      " is taken before the next start");
  if (record.format > change_record::current_format)
    return refuse(run, error_code::version_mismatch,
                  describe(record) + " has format " + std::to_string(record.format) + "; this build reads up to " +
                      std::to_string(change_record::current_format));
  if (const auto why = malformed(record))
    return refuse(run, error_code::corrupt_data, describe(record) + " is refused: " + *why);

  if (vector_.covers(record.dot)) {
    const auto known = live_.content(record.dot);
    if (!known || *known == content_hash(record)) {
      apply_outcome outcome;
      outcome.status = apply_status::duplicate;
      return outcome;
    }
    auto first = remove_live(record.dot);
    const auto id = record.dot;
    return isolate(run, {id, {std::move(*first), std::move(record)}});
  }
  if (run == own_run()) {
    const auto id = record.dot;
    return isolate(run, {id, {std::move(record)}});
  }
  if (record.dot.seq > vector_.at(run.origin, run.incarnation) + 1) return buffer(std::move(record));
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
      return isolate(run_of(id), {id, {std::move(*first), std::move(record)}});
    }
    case reorder_buffer::outcome::full:
      outcome.status = apply_status::overflow;
      outcome.problem = error{error_code::overloaded, "too many changes wait for earlier ones; " + describe(record) +
                                                          " must be sent again", {}};
  }
  return outcome;
}

/// The change is the next of its run. Lets through what waited for it.
apply_outcome context_engine::accept(change_record record, std::uint64_t content, std::uint64_t now_ms) {
  apply_outcome outcome;
  std::optional<change_record> next{std::move(record)};
  while (next) {
    if (const auto bound = passed_bound(*next)) {
      outcome.problem = error{error_code::overloaded, describe(*next) + " is not taken now: " + *bound, {}};
      break;
    }
    take_time(*next, now_ms);
    const auto id = next->dot;
    outcome.applied.push_back(integrate(std::move(*next), content));
    next = waiting_.take({id.origin, id.incarnation, id.seq + 1});
    if (next) content = content_hash(*next);
  }
  outcome.status = outcome.applied.empty() ? apply_status::overflow : apply_status::applied;
  return outcome;
}

result<void> context_engine::replay(change_record record) {
  if (vector_.covers(record.dot)) return {};
  const auto done = vector_.at(record.dot.origin, record.dot.incarnation);
  if (record.dot.seq != done + 1)
    return fail(error_code::corrupt_data, describe(record) + " follows change " + std::to_string(done) +
                                              " of its run in the log; those between are missing");
  if (record.dot.origin == self_) clock_.raise_floor(record.timestamp);
  const auto content = content_hash(record);
  integrate(std::move(record), content);
  return {};
}

/// An earlier run of this node may have been ahead of the wall; its timestamps count all the same.
void context_engine::take_time(const change_record& record, std::uint64_t now_ms) {
  if (record.dot.origin == self_) clock_.raise_floor(record.timestamp);
  else clock_.observe(record.timestamp, now_ms);
}

// -- the state -------------------------------------------------------------------------------------------------------

bool context_engine::overwrites(const change_record& record, const sibling& existing) const {
  return run_of(existing.dot()) == run_of(record.dot) ||
         std::ranges::find(record.observed, existing.dot()) != record.observed.end();
}

applied_change context_engine::integrate(change_record record, std::uint64_t content) {
  applied_change change;
  const auto* entry = tree_.find(record.path);
  record.previous_value = view_of(entry);

  std::vector<sibling> remaining;
  if (entry) {
    for (const auto& each : entry->siblings.all()) {
      if (overwrites(record, each)) live_.remove(each.dot());
      else remaining.push_back(each);
    }
  }
  const bool overwritten_before_it_came = overwritten_.erase(record.dot) > 0;
  if (!overwritten_before_it_came) {
    sibling fresh{record, content};
    remaining.insert(std::ranges::upper_bound(remaining, fresh, sibling::earlier), std::move(fresh));
    live_.add(record.dot, content);
  }
  for (const auto& seen : record.observed)
    if (!vector_.covers(seen)) overwritten_.insert(seen);
  vector_.raise(record.dot.origin, record.dot.incarnation, record.dot.seq);

  change.conflict = remaining.size() > 1;
  store_siblings(record.path, std::move(remaining));
  change.visible = view(record.path) != record.previous_value;
  change.record = std::move(record);
  return change;
}

void context_engine::store_siblings(const path& where, std::vector<sibling> siblings) {
  const auto* before = tree_.find(where);
  if (before && before->siblings.size() > 1) --conflicts_;
  if (siblings.size() > 1) ++conflicts_;
  if (siblings.empty()) {
    tree_.erase(where);
  } else {
    tree_.put(where, sibling_list{std::move(siblings)});
  }
}

std::optional<change_record> context_engine::remove_live(const dot& id) {
  const tree_entry* holder = nullptr;
  const auto is_it = [&](const sibling& each) { return each.dot() == id; };
  tree_.visit_from({}, [&](const tree_entry& entry) {
    if (std::ranges::any_of(entry.siblings.all(), is_it)) holder = &entry;
    return holder == nullptr;
  });
  if (!holder) return std::nullopt;
  const path where = holder->path;
  const auto siblings = holder->siblings.all();
  auto record = std::ranges::find_if(siblings, is_it)->to_record(where);
  std::vector<sibling> remaining;
  std::ranges::remove_copy_if(siblings, std::back_inserter(remaining), is_it);
  live_.remove(id);
  store_siblings(where, std::move(remaining));
  return record;
}

std::optional<value> context_engine::view_of(const tree_entry* entry) const {
  if (!entry) return std::nullopt;
  const auto siblings = entry->siblings.all();
  if (siblings.size() == 1)
    return siblings[0].is_tombstone() ? std::nullopt : std::optional{siblings[0].copy_value()};
  auto resolved = resolve_siblings(*rule_, entry->path, siblings);
  return resolved.operation == operation::erase ? std::nullopt : std::optional{std::move(resolved.new_value)};
}

std::optional<value> context_engine::view(const path& where) const { return view_of(tree_.find(where)); }

value_explained context_engine::explain(const path& where) const {
  value_explained told;
  const auto* entry = tree_.find(where);
  if (!entry) return told.rule = "no write to this path is known", told;
  const auto siblings = entry->siblings.all();
  const auto winner = resolve_siblings(*rule_, where, siblings).dot;
  for (const auto& each : siblings) {
    const auto record = each.to_record(where);
    told.writes.push_back({record.dot, record.id(), record.timestamp, record.operation, record.new_value,
                           record.principal, record.dot == winner});
  }
  told.conflict = siblings.size() > 1;
  told.rule = told.conflict ? std::string{rule_->name()} + ": " + std::string{rule_->reason()}
                            : "one write overwrote all others that are known";
  return told;
}

engine_state context_engine::state() const {
  return {tree_, vector_, {overwritten_.begin(), overwritten_.end()}, clock_.last(), quarantine_};
}

}  // namespace troupe
