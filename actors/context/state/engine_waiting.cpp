// Changes that wait for others: which they are, and when they go on.

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

/// Changes that are awaited by those that have no room in the buffer.
constexpr std::size_t min_awaited = 64;

}  // namespace

/// Whether a change is part of the state, or was. A part of an open transaction is not, unless it
/// is another change than the one that is meant.
bool context_engine::has_arrived(const observed_change& seen) const noexcept {
  if (!processed_.covers(seen.dot)) return false;
  const auto* part = transactions_.find(seen.dot);
  return !part || part->content != seen.content;
}

/// Whether all changes of an incarnation up to this one are part of the state, or were.
bool context_engine::has_arrived(const dot& last) const noexcept {
  return processed_.covers(last) && !transactions_.find(last);
}

/// A change that must be there before this one, and has not arrived.
std::optional<dot> context_engine::awaited_by(const change_record& record) const {
  const auto since = awaited_.awaited_by(record.dot);
  const auto is_before = [](const version_entry& each, const dot& id) {
    return dot{each.origin, each.incarnation, each.seq} < id;
  };
  const auto& after = record.after;
  for (auto at = std::lower_bound(after.begin(), after.end(), since, is_before); at != after.end();
       ++at)
    if (const dot last{at->origin, at->incarnation, at->seq}; !has_arrived(last)) return last;
  const auto first = [&](const std::vector<observed_change>& changes) -> std::optional<dot> {
    for (const auto& seen : changes)
      if (!has_arrived(seen)) return seen.dot;
    return std::nullopt;
  };
  if (const auto awaited = first(record.observed)) return awaited;
  for (const auto& each : record.below)
    if (const auto awaited = first(each.changes)) return awaited;
  const auto counted = unpack_counts(record.counts.bytes);
  TROUPE_ASSERT(counted, "what a change counts has been checked");
  for (const auto& [source, seq, amount] : *counted) {
    const dot last{source.origin, source.incarnation, seq};
    if (source != incarnation_of(record.dot) && !has_arrived(last)) return last;
  }
  return std::nullopt;
}

apply_outcome context_engine::buffer(change_record record, const node_id& from) {
  apply_outcome outcome;
  const auto id = record.dot;
  switch (waiting_.put(std::move(record), from)) {
    case reorder_buffer::outcome::stored: outcome.status = apply_status::buffered; break;
    case reorder_buffer::outcome::duplicate: outcome.status = apply_status::duplicate; break;
    case reorder_buffer::outcome::different_content: {
      const auto& first = *waiting_.find(id);
      const auto first_content = content_hash(first), content = content_hash(record);
      return isolate_beside({id, {first, std::move(record)}, {first_content, content}});
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

/// The next change of its incarnation waits for one that it overwrote.
apply_outcome context_engine::buffer_until(const dot& awaited, change_record record,
                                           const node_id& from) {
  const auto id = record.dot;
  const bool is_ours = incarnation_of(awaited) == own_;
  const auto name = is_ours ? describe(record) : std::string{};
  auto outcome = buffer(std::move(record), from);
  // What has no room will be sent again. It is known all the same what it waits for, so that this
  // can be asked for meanwhile: the room may be full of what waits for it, too.
  const bool has_room = awaited_.size() < 2 * limits_.max_buffered_records + min_awaited;
  if (outcome.status == apply_status::buffered || has_room) awaited_.add(id, awaited);
  if (outcome.status != apply_status::buffered) return outcome;
  if (!is_ours) return outcome;
  outcome.alarm = true;
  outcome.problem =
      error{error_code::already_exists,
            name +
                " has overwritten changes of this incarnation that this node did not "
                "make: another node runs under its identity, or a node lies; it waits",
            {}};
  return outcome;
}

/// A change is part of the state now: what waited for it is ready.
void context_engine::arrived(const dot& id) {
  if (awaited_.size() > 0) std::ranges::move(awaited_.take(id), std::back_inserter(ready_));
}

/// Many changes of a node are there now, or count as there because it is forgotten where their
/// incarnations have ended: who waits for them goes on, and those that wait are not needed.
void context_engine::many_arrived(const node_id& origin) {
  std::ranges::move(
      awaited_.take_of(origin, [this](const dot& awaited) { return has_arrived(awaited); }),
      std::back_inserter(ready_));
  waiting_.drop_of(origin, processed_);
  awaited_.remove_of(origin, [this](const dot& waits) { return processed_.covers(waits); });
}

/// Takes the buffered changes that wait for nothing any more.
void context_engine::release_ready(apply_outcome& outcome, std::uint64_t now_ms) {
  while (!ready_.empty()) {
    const auto source = ready_.back();
    ready_.pop_back();
    const dot next{source.origin, source.incarnation, last_of(source) + 1};
    const auto* waiting = waiting_.find(next);
    const bool may_wait = waiting && waiting->transaction.index == 0;
    if (const auto awaited = may_wait ? awaited_by(*waiting) : std::nullopt) {
      awaited_.add(next, *awaited);
      continue;
    }
    awaited_.remove(source);
    if (!waiting) continue;
    auto taken = *waiting_.take(next);
    auto copy = taken.record;
    auto one = accept(std::move(taken.record), now_ms, taken.from);
    outcome.alarm = outcome.alarm || one.alarm;
    if (one.problem && !outcome.problem) outcome.problem = std::move(one.problem);
    if (one.status != apply_status::applied) continue;  // it must be sent again, or is refused
    outcome.released.push_back(std::move(copy));
    std::ranges::move(one.applied, std::back_inserter(outcome.applied));
  }
}

/// Whether a change is of a transaction that is lost.
bool context_engine::is_lost(const change_record& record) const {
  return may_be_lost_ && record.transaction.count > 1 &&
         lost_transactions::has(tree_, last_of_transaction(record));
}

/// Whether a transaction that ends with this change is part of the state.
bool context_engine::counts(const dot& last) const {
  return processed_.at(incarnation_of(last)) >= last.seq && !lost_transactions::has(tree_, last);
}

/// A transaction that counts here is lost, as a state says.
void context_engine::overrule(const dot& last, const context_tree& by) {
  for (const auto& each : lost_transactions::said_by(by, last))
    overruled_by_.raise(each.origin, each.incarnation, each.seq);
}

/// A value at this path may be one with which the cluster speaks of a node: that it is forgotten,
/// or that a transaction of it is sought. What waits of the node, or was sent by one that
/// is forgotten, is to come again then, from those who have it on their disks: nobody may take it
/// for something that this node has. What is open of a lost transaction is let go.
void context_engine::heed(const path& where) {
  if (!is_within(reserved_path, where.text())) return;
  const auto last = lost_transactions::last_at(where);
  may_be_lost_ = may_be_lost_ || last;
  if (!last) {
    const auto node = parse_uuid(where.text().substr(where.text().rfind('/') + 1));
    if (!node) return;
    drop_waiting_of(node_id{*node});
    return drop_waiting_from(node_id{*node});
  }
  if (!lost_transactions::has(tree_, *last)) return drop_waiting_of(last->origin);
  const auto source = incarnation_of(*last);
  const auto* open = transactions_.find(source);
  if (!open || !is_lost(open->front().record)) return;
  transactions_.take(source);
  many_arrived(source.origin);
}

/// The same for all that a state has which was joined. @param before the entries until then.
void context_engine::heed_joined(const context_tree& before) {
  const path own{reserved_path};
  if (before.subtree(own).hash != tree_.subtree(own).hash) drop_waiting();
  may_be_lost_ = lost_transactions::has_any(tree_);
  for (const auto& [first, last] : transactions_.all_ends())
    if (processed_.covers(last) || lost_transactions::has(tree_, last))
      transactions_.take(incarnation_of(last));
}

void context_engine::drop_waiting() {
  waiting_.drop_all();
  awaited_ = {};
}

void context_engine::drop_waiting_of(const node_id& origin) {
  waiting_.drop_of(origin);
  let_waits_go();
}

void context_engine::drop_waiting_from(const node_id& sender) {
  waiting_.drop_from(sender);
  let_waits_go();
}

/// What no longer waits awaits nothing.
void context_engine::let_waits_go() {
  awaited_.remove_if([this](const dot& waits) { return !waiting_.find(waits); });
}

std::vector<dot_range> context_engine::missing() const {
  auto all = waiting_.missing(processed_);
  for (const auto& [id, waits] : awaited_.all()) {
    const auto known = vector().of(id.origin);
    if (known.empty() || known.back().incarnation <= id.incarnation) continue;
    auto next = last_of(incarnation_of(id)) + 1;
    const auto* open = transactions_.find(id);
    const auto last = open ? open->last() : id.seq;
    if (next > last) continue;
    // What has no room to wait may stand for a long row of others that it needs.
    const bool has_room = waiting_.find({waits.origin, waits.incarnation, last_of(waits) + 1});
    if (next == 1 && !has_room) next = 0;
    all.push_back({id.origin, id.incarnation, next, last});
  }
  return all;
}

}  // namespace troupe
