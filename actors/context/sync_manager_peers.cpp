// The exchange of a replica with its peers: the effects of sync sessions become changes of the
// state and effects.

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync/read_sync_message.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

/// The changes of a batch, of which only some are to be stored. Reads them again when they are
/// needed.
class batch_parts {
public:
  explicit batch_parts(const change_batch& batch) noexcept : batch_(batch) {}

  std::vector<change_record> of(std::uint64_t first, std::uint64_t last) {
    if (all_.empty()) {
      auto records = batch_.records();
      TROUPE_ASSERT(records, "a batch that was read once can be read again");
      all_ = std::move(*records);
    }
    const auto at = [&](std::uint64_t seq) {
      return all_.begin() + static_cast<std::ptrdiff_t>(seq - batch_.first());
    };
    return {at(first), at(last + 1)};
  }

private:
  const change_batch& batch_;
  std::vector<change_record> all_;
};

/// What is wrong with the first of these that no replica makes, if there is one.
std::optional<error> first_malformed(const std::vector<change_record>& records,
                                     const engine_limits& limits) {
  for (const auto& each : records)
    if (const auto why = malformed(each, limits))
      return error{error_code::protocol_violation, describe(each) + " is malformed: " + *why, {}};
  return std::nullopt;
}

}  // namespace

state_hash sync_manager::root() const {
  return queue_.is_idle() && !waits_to_adopt() ? engine_.root_hash() : state_hash{};
}

// -- events ---------------------------------------------------------------------------------------

void sync_manager::peer_up(peer_id peer, const node_id& node, event_time now) {
  now_ = now;
  forget(peer);
  if (leaving_ != leaving::no)
    return effects_.push_back(close_peer{peer, "this node takes a new state"});
  behind_[peer] = std::nullopt;
  carry_out(peer, peers_.add(peer, node).start(now.steady_ms));
  tell_links();
  for (const auto& said : early_.take(peer)) hear(peer, said.method, said.params, now);
}

void sync_manager::peer_down(peer_id peer) {
  forget(peer);
  early_.take(peer);  // it is never introduced again
}

void sync_manager::hear(peer_id from, std::string_view method, std::string_view params,
                        event_time now) {
  now_ = now;
  auto* session = peers_.find(from);
  if (!session) return early_.keep({from, std::string{method}, std::string{params}});
  auto message = read_sync_message(method, params);
  if (!message) return carry_out(from, {close_session{std::move(message.error())}});
  carry_out(from, session->receive(*message));
  learn(from, *message);
}

void sync_manager::log_read(peer_id peer, result<std::vector<shared_batch>> batches) {
  if (!batches) {
    say_unreadable(batches.error());
    if (batches.error().code == error_code::corrupt_data) {
      need_checkpoint();
      scrubs_.make_due(now_.steady_ms);
    }
  } else {
    unreadable_.clear();
  }
  auto* session = peers_.find(peer);
  if (!session) return;
  carry_out(peer, session->log_read(batches ? std::move(*batches) : std::vector<shared_batch>{}));
}

void sync_manager::send_failed(peer_id peer, const error& why) {
  if (!peers_.find(peer)) return;
  effects_.push_back(close_peer{peer, why.message});
  forget(peer);
}

void sync_manager::push_to_peers(const commit& done) {
  for (const auto& batch : done.batches)
    peers_.for_each(
        [&](peer_id peer, sync_session& session) { carry_out(peer, session.committed(batch)); });
}

void sync_manager::serve(waiting_push& ready) {
  if (auto* session = peers_.find(ready.peer))
    carry_out(ready.peer, session->processed(ready.batch));
}

/// Ends the session of a peer, if there is one. What waits of what it has sent goes with it: others
/// that have it send it, and this one may have sent what never becomes part of the state.
void sync_manager::forget(peer_id peer) {
  if (!peers_.find(peer)) return;
  const auto node = peers_.node(peer);
  peers_.remove(peer);
  if (!std::ranges::binary_search(peers_.nodes(), node)) {
    members_.unlinked(node);
    engine_.drop_waiting_from(node);
  }
  waiting_.forget(peer);
  transfers_.forget(peer, now_.steady_ms);
  differ_.erase(peer);
  behind_.erase(peer);
  kept_out_.erase(peer);
  tell_links();
}

void sync_manager::tell_links() {
  peers_.for_each(
      [&](peer_id peer, sync_session& session) { carry_out(peer, session.links_changed()); });
}

// -- effects of a session -------------------------------------------------------------------------

void sync_manager::carry_out(peer_id peer, sync_session::effects effects) {
  for (auto& effect : effects) std::visit([&](auto& each) { carry_out(peer, each); }, effect);
}

void sync_manager::carry_out(peer_id peer, send_message& effect) {
  effects_.push_back(send_to_peer{peer, std::move(effect.message)});
}

void sync_manager::carry_out(peer_id peer, read_log& effect) {
  effects_.push_back(read_peer_log{peer, effect});
}

void sync_manager::carry_out(peer_id peer, apply_changes& effect) {
  if (is_kept_out(peer)) return;  // its link is about to be closed
  std::optional<error> broken;
  for (auto part = effect.parts.begin();
       part != effect.parts.end() && !broken && !is_kept_out(peer); ++part) {
    if (is_ahead_of_origin(peer, *part->batch))
      broken = first_malformed(part->records, engine_.limits());
    else
      broken = apply_in_time(peer, *part);
  }
  if (broken)
    carry_out(peer, {close_session{std::move(*broken)}});
  else if (!is_kept_out(peer))
    waiting_.add(queue_.added(), waiting_push{peer, effect.push});
  go_on();
}

/// Applies the changes of a batch up to the first one that is premature when those before it are
/// part of the state. It looks twice at most. What is left is asked for again.
/// @returns as `apply`.
std::optional<error> sync_manager::apply_in_time(peer_id peer, apply_changes::part& part) {
  std::vector<change_record> later;
  for (int times = 0; times < 2 && !part.records.empty() && !is_kept_out(peer); ++times) {
    const auto premature = std::ranges::find_if(
        part.records, [this](const change_record& each) { return is_premature(each); });
    if (premature == part.records.begin()) {
      note_held_back(*premature);
      break;
    }
    later.assign(std::move_iterator{premature}, std::move_iterator{part.records.end()});
    part.records.erase(premature, part.records.end());
    if (auto broken = apply(peer, part)) return broken;
    update_members();  // what follows may be premature no more, or come from who is forgotten
    part.records = std::exchange(later, {});
  }
  return std::nullopt;
}

/// Whether a peer sends changes that their origin does not say to have made, though it is linked
/// and runs. The origin pushes those that it has made itself; a peer that makes them up would take
/// the numbers of its next ones.
bool sync_manager::is_ahead_of_origin(peer_id peer, const change_batch& batch) const {
  const auto& source = batch.source();
  bool is_linked = false, is_said = peers_.node(peer) == source.origin;
  peers_.for_each([&](peer_id, const sync_session& session) {
    if (session.peer() != source.origin || session.peer_incarnation() != source.incarnation) return;
    is_linked = true;
    is_said = is_said || seq_at(session.peer_vector(), source) >= batch.last();
  });
  return is_linked && !is_said;
}

/// Applies the changes of a batch and has them stored in the order in which the engine takes them:
/// the batch as it came, unless the engine takes only a part of it, or others in between.
/// @param peer who has sent it, or nobody, when it comes from this node's own log.
/// @returns what is wrong with one of them, if no replica makes such a change.
std::optional<error> sync_manager::apply(peer_id peer, apply_changes::part& part) {
  const auto& batch = part.batch;
  const auto taken = [&] { return engine_.processed().at(batch->source()); };
  batch_parts parts{*batch};
  auto stored = taken();  // up to here, of this incarnation
  const auto store = [&](std::uint64_t upto) {
    if (upto <= stored) return;
    const bool is_whole = stored + 1 == batch->first() && upto == batch->last();
    if (is_whole)
      queue_.add(batch);
    else
      queue_.add(parts.of(stored + 1, upto));
    stored = upto;
  };
  const auto* sender = peers_.find(peer);
  const bool is_logged = peer == peer_id{};
  const auto from = is_logged ? engine_.own_incarnation().origin
                    : sender  ? sender->peer()
                              : node_id{};
  std::optional<error> broken;
  for (auto at = part.records.begin(); at != part.records.end() && !broken; ++at) {
    const auto id = at->dot;
    const auto before = taken();
    const auto isolated_before = engine_.quarantine().size();
    auto outcome = engine_.apply(std::move(*at), now_.wall_ms, from);
    checkpoints_.count_unlogged(engine_.quarantine().size() - isolated_before);
    if (outcome.status == apply_status::refused)
      if (auto* session = peers_.find(peer)) session->decline(batch->source());
    if (outcome.status == apply_status::malformed)
      broken = std::move(outcome.problem);
    else if (outcome.problem)
      reports_.problem(id, from, outcome, effects_);
    if (!outcome.released.empty()) store(outcome.status == apply_status::applied ? id.seq : before);
    tell_of(outcome);
    for (const auto& each : outcome.released)
      if (incarnation_of(each.dot) == batch->source()) stored = std::max(stored, each.dot.seq);
    queue_.add(std::move(outcome.released));
  }
  store(std::min(batch->last(), taken()));
  return broken;
}

/// Changes of peers that waited for what this node has written are part of the state now.
void sync_manager::release() {
  if (!engine_.has_ready()) return;
  auto outcome = engine_.release(now_.wall_ms);
  tell_of(outcome);
  queue_.add(std::move(outcome.released));
}

/// Tells of what became part of the state.
void sync_manager::tell_of(apply_outcome& outcome) {
  members_changed_ = members_changed_ || outcome.alarm;  // it may have taken a value away
  for (auto& change : outcome.applied) tell(std::move(change));
  if (outcome.seen_instead) watchers_.note(std::move(*outcome.seen_instead));
}

/// Tells of a change of a peer. Notifies the watchers when readers see something new.
void sync_manager::tell(applied_change change) {
  members_changed_ = members_changed_ || is_within(reserved_path, change.record.path.text()) ||
                     change.record.operation == operation::erase_subtree;
  if (const auto ahead = clocks_.seen(change.record.dot.origin, change.record.timestamp,
                                      now_.wall_ms, peers_.nodes()))
    log(log_severity::warning, "context.peer_clock_ahead",
        {{"node", to_string(change.record.dot.origin)}, {"ahead_ms", *ahead}});
  if (change.conflict) reports_.conflict(change.record, effects_);
  log_lost(change.record.path, change.record.new_value);
  for (auto& each : change.below) watchers_.note(std::move(each));
  if (change.visible) watchers_.note(std::move(change.instead ? *change.instead : change.record));
}

void sync_manager::carry_out(peer_id peer, report_mismatch& effect) {
  log(log_severity::error, "context.strategies_differ",
      {{"peer", to_string(peers_.node(peer))},
       {"ours", fmt::format("{:016x}", effect.ours)},
       {"theirs", fmt::format("{:016x}", effect.theirs)}});
}

void sync_manager::carry_out(peer_id peer, report_forgotten& effect) {
  log(log_severity::error, "context.incarnation_forgotten",
      {{"peer", to_string(peers_.node(peer))},
       {"node", to_string(effect.source.origin)},
       {"incarnation", effect.source.incarnation}});
}

void sync_manager::carry_out(peer_id peer, close_session& effect) {
  log(log_severity::warning, "context.sync_ended",
      {{"peer", to_string(peers_.node(peer))}, {"reason", foreign_text{effect.reason.message}}});
  effects_.push_back(close_peer{peer, std::move(effect.reason.message)});
  forget(peer);
}

}  // namespace troupe
