// The exchange of a replica with its peers: the effects of sync sessions become changes of the
// state and effects.

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <troupe/actors/context/sync/read_sync_message.hpp>
#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

state_hash sync_manager::root() const {
  return queue_.is_idle() ? engine_.root_hash() : state_hash{};
}

// -- events ---------------------------------------------------------------------------------------

void sync_manager::peer_up(peer_id peer, const node_id& node, event_time now) {
  now_ = now;
  forget(peer);
  carry_out(peer, peers_.add(peer, node).start(now.steady_ms));
  tell_links();
  for (const auto& said : early_.take(peer)) hear(peer, said.method, said.params, now);
}

void sync_manager::peer_down(peer_id peer) { forget(peer); }

void sync_manager::hear(peer_id from, std::string_view method, std::string_view params,
                        event_time now) {
  now_ = now;
  auto* session = peers_.find(from);
  if (!session) return early_.keep({from, std::string{method}, std::string{params}});
  auto message = read_sync_message(method, params);
  if (message)
    carry_out(from, session->receive(*message));
  else
    carry_out(from, {close_session{std::move(message.error())}});
}

void sync_manager::log_read(peer_id peer, result<std::vector<encoded_record>> records) {
  if (!records)
    log(log_severity::error, "context.log_unreadable",
        {{"reason", foreign_text{records.error().message}}});
  auto* session = peers_.find(peer);
  if (!session) return;
  carry_out(peer, session->log_read(records ? std::move(*records) : std::vector<encoded_record>{}));
}

void sync_manager::send_failed(peer_id peer, const error& why) {
  if (!peers_.find(peer)) return;
  effects_.push_back(close_peer{peer, why.message});
  forget(peer);
}

void sync_manager::push_to_peers(const std::vector<encoded_record>& batch) {
  if (peers_.empty()) return;
  for (const auto& push : make_batches(batch))
    peers_.for_each(
        [&](peer_id peer, sync_session& session) { carry_out(peer, session.committed(push)); });
}

void sync_manager::serve(waiting_push& ready) {
  if (auto* session = peers_.find(ready.peer))
    carry_out(ready.peer, session->processed(ready.batch));
}

/// Ends the session of a peer, if there is one.
void sync_manager::forget(peer_id peer) {
  if (!peers_.remove(peer)) return;
  waiting_.forget(peer);
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

void sync_manager::carry_out(peer_id peer, apply_records& effect) {
  std::optional<error> broken;
  for (auto& record : effect.records) {
    const auto id = record.dot;
    const auto isolated_before = engine_.quarantine().size();
    auto outcome = engine_.apply(std::move(record), now_.wall_ms);
    checkpoints_.count_unlogged(engine_.quarantine().size() - isolated_before);
    for (auto& change : outcome.applied) take(std::move(change));
    if (outcome.seen_instead) watchers_.note(std::move(*outcome.seen_instead));
    if (outcome.status == apply_status::malformed) {
      broken = std::move(outcome.problem);
      break;
    }
    if (outcome.problem) reports_.problem(id, outcome, effects_);
  }
  if (broken)
    carry_out(peer, {close_session{std::move(*broken)}});
  else
    waiting_.add(queue_.added(), waiting_push{peer, effect.batch});
  go_on();
}

/// Stores a change of a peer. Notifies the watchers when readers see something new.
void sync_manager::take(applied_change change) {
  queue_.add(encode_record(change.record));
  if (change.conflict) reports_.conflict(change.record, effects_);
  if (change.visible) watchers_.note(std::move(change.instead ? *change.instead : change.record));
}

void sync_manager::carry_out(peer_id peer, report_mismatch& effect) {
  log(log_severity::error, "context.strategies_differ",
      {{"peer", to_string(peers_.node(peer))},
       {"ours", fmt::format("{:016x}", effect.ours)},
       {"theirs", fmt::format("{:016x}", effect.theirs)}});
}

void sync_manager::carry_out(peer_id peer, report_roots& effect) {
  log(log_severity::error, "context.roots_differ",
      {{"peer", to_string(peers_.node(peer))},
       {"ours", to_string(effect.ours)},
       {"theirs", to_string(effect.theirs)}});
}

void sync_manager::carry_out(peer_id peer, close_session& effect) {
  log(log_severity::warning, "context.sync_ended",
      {{"peer", to_string(peers_.node(peer))}, {"reason", foreign_text{effect.reason.message}}});
  effects_.push_back(close_peer{peer, std::move(effect.reason.message)});
  forget(peer);
}

}  // namespace troupe
