// Whole states: giving this node's to a peer, and joining a peer's into it. And the base of the
// log.

#include <algorithm>
#include <string>
#include <utility>

#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

namespace {

constexpr std::uint64_t join_again_ms = 60'000;  // after a transfer that failed
constexpr std::uint64_t join_next_ms = 5'000;    // after one that did not
constexpr std::uint64_t compare_again_ms = 5'000;
constexpr std::size_t max_backoffs = 1024;

}  // namespace

// -- giving ---------------------------------------------------------------------------------------

/// What is offered is on the disk, as what is pushed.
void sync_manager::carry_out(peer_id peer, give_state& effect) {
  const bool counts_what_is_lost = !engine_.overruled_by().entries().empty();
  if (restoring_ || counts_what_is_lost || !peers_.find(peer)->may_push()) return;
  const auto& asked = effect.asked;
  if (asked.done) return transfers_.withdraw(peer);
  const auto* offered = transfers_.offered(peer, asked.transfer, now_.steady_ms);
  if (!offered) {
    if (!transfers_.want_offer(peer, asked)) return;
    waiting_.add(queue_.added(),
                 waiting_offer{peer, std::make_shared<const engine_state>(engine_.state())});
    return go_on();
  }
  auto answer = asked.wanted.empty() ? offered->greeting(asked.ask) : offered->answer(asked);
  if (!answer && answer.error().code == error_code::limit_exceeded) {
    transfers_.withdraw(peer);
    return log(
        log_severity::error, "context.state_not_given",
        {{"peer", to_string(peers_.node(peer))}, {"reason", foreign_text{answer.error().message}}});
  }
  if (!answer) return carry_out(peer, {close_session{std::move(answer.error())}});
  effects_.push_back(send_to_peer{peer, std::move(*answer)});
}

void sync_manager::serve(waiting_offer& ready) {
  if (!peers_.find(ready.peer) || !transfers_.is_wanted(ready.peer)) return;
  effects_.push_back(send_to_peer{
      ready.peer, transfers_.offer(ready.peer, std::move(ready.state), now_.steady_ms)});
}

// -- taking ---------------------------------------------------------------------------------------

void sync_manager::carry_out(peer_id peer, need_state& effect) {
  if (!restoring_ && !engine_.processed().covers(effect.base))
    want_state(peer, std::move(effect.base));
}

/// Asks a peer for its state, unless one is on its way. @param base what it must have.
void sync_manager::want_state(peer_id peer, version_vector base) {
  const auto& node = peers_.node(peer);
  if (is_apart(peer)) return;
  const auto next = next_join_ms_.find(node);
  if (!transfers_.may_begin() || (restoring_ && !restoring_->may_give(node))) return;
  const bool may_join = (next == next_join_ms_.end() || now_.steady_ms >= next->second) &&
                        !differ_.contains(peer) && !queue_.is_full() && queue_.health();
  if (!may_join) return;
  log(log_severity::info, "context.state_wanted", {{"peer", to_string(node)}});
  wanted_base_ = std::move(base);
  effects_.push_back(
      send_to_peer{peer, transfers_.begin(peer, transfer_purpose::join, engine_.tree(),
                                          engine_.limits(), now_.steady_ms)});
}

/// The peer has not answered: it is asked again, or after a while another one.
void sync_manager::see_to_transfer(state_transfers::due& due) {
  if (due.question)
    effects_.push_back(send_to_peer{due.peer, std::move(*due.question)});
  else if (due.purpose == transfer_purpose::join)
    wait_before_join(due.peer, join_again_ms);
  else
    next_compare_ms_ = now_.steady_ms + join_again_ms;
}

/// Does not take the state of this peer again for a while: that of another one may be of more use.
void sync_manager::wait_before_join(peer_id peer, std::uint64_t milliseconds) {
  if (next_join_ms_.size() >= max_backoffs) next_join_ms_.clear();
  next_join_ms_[peers_.node(peer)] = now_.steady_ms + milliseconds;
}

/// The states should be equal and are not: looks where they differ.
void sync_manager::carry_out(peer_id peer, report_roots&) {
  if (transfers_.is_taking() || differ_.contains(peer) || now_.steady_ms < next_compare_ms_ ||
      restoring_)
    return;

  effects_.push_back(
      send_to_peer{peer, transfers_.begin(peer, transfer_purpose::compare, engine_.tree(),
                                          engine_.limits(), now_.steady_ms)});
}

void sync_manager::carry_out(peer_id peer, take_state& effect) {
  auto* pull = transfers_.from(peer);
  if (!pull || is_kept_out(peer)) return;
  const auto goes_on = pull->take(effect.answer);
  if (!goes_on) {
    transfers_.end(false, now_.steady_ms);
    wait_before_join(peer, join_again_ms);
    return carry_out(peer, {close_session{goes_on.error()}});
  }
  if (!*goes_on) return;
  transfers_.answered(effect.answer.entries, now_.steady_ms);
  effects_.push_back(send_to_peer{peer, pull->question()});
  if (!pull->is_done()) return keep_transfers();
  const auto theirs = pull->state();
  const auto entries = pull->received();
  const auto purpose = transfers_.purpose();
  transfers_.end(purpose == transfer_purpose::join, now_.steady_ms);
  if (purpose == transfer_purpose::join)
    join_state(peer, theirs, entries);
  else
    compare_with(peer, theirs);
}

/// Joins the state that has come from a peer, and has it stored.
void sync_manager::join_state(peer_id peer, const engine_state& theirs, std::uint64_t entries) {
  const bool is_enough = theirs.processed.covers(wanted_base_) &&
                         (!restoring_ || restoring_->is_enough(theirs.processed));
  const bool has_members = theirs.tree.subtree(path{members::directory}).count > 0;
  if (restoring_ && restoring_->begins_anew() && !has_members)
    return wait_before_join(peer, join_next_ms);  // it is beginning anew itself, or new
  const auto joined = is_enough ? engine_.join(theirs, now_.wall_ms, what_is_watched())
                                : fail(error_code::protocol_violation,
                                       "it lacks changes that the peer's log is said to lack");
  // A peer whose state lacks something may have it soon.
  wait_before_join(peer, joined || !is_enough ? join_next_ms : join_again_ms);
  if (!joined)
    return log(
        log_severity::error, "context.state_refused",
        {{"peer", to_string(peers_.node(peer))}, {"reason", foreign_text{joined.error().message}}});
  transfers_.drop_kept();
  if (restoring_) restoring_->took_state();
  log(log_severity::info, "context.state_joined",
      {{"peer", to_string(peers_.node(peer))},
       {"entries", entries},
       {"taken", joined->taken},
       {"dropped", joined->dropped}});
  members_changed_ = true;
  for (const auto& each : joined->seen) watchers_.note(each);
  if (waits_to_adopt()) return go_on();
  adopt(std::make_shared<const adopted_state>(adopted_state{engine_.state(), theirs.processed}));
  release();
  go_on();
}

void sync_manager::adopt(std::shared_ptr<const adopted_state> state) {
  ++adopting_;
  queue_.add(std::move(state));
}

path_filter sync_manager::what_is_watched() const {
  return [this](const path& where) { return watchers_.watches(where); };
}

/// Replicas with the same changes differ: the peer has collected tombstones that are still needed
/// here to keep away other writes, or the other way round, or one of them is damaged. Here more may
/// have been written meanwhile. What this node still lacks of the state has it compared again with
/// the next heads.
void sync_manager::compare_with(peer_id peer, const engine_state& theirs) {
  next_compare_ms_ = now_.steady_ms + compare_again_ms;
  if (!engine_.applied().covers(theirs.processed.latest())) return;
  const auto ours = engine_.root_hash();
  const auto found = engine_.drop_collected(theirs, what_is_watched());
  for (const auto& each : found.seen) watchers_.note(each);
  members_changed_ = true;
  checkpoints_.count_unlogged(found.dropped);
  if (found.dropped > 0)
    log(log_severity::info, "context.tombstones_dropped",
        {{"peer", to_string(peers_.node(peer))}, {"tombstones", found.dropped}});
  if (found.differs) {
    differ_.insert(peer);
    log(log_severity::error, "context.roots_differ",
        {{"peer", to_string(peers_.node(peer))},
         {"ours", to_string(ours)},
         {"theirs", to_string(theirs.tree.hash())},
         {"path", foreign_text{found.differs->text(), path::max_bytes}}});
  }
  go_on();
}

/// A state that was joined is on the disk. What is kept of it would be of use no more, unless
/// another one is coming already.
void sync_manager::add_committed(const adopted_state& adopted) {
  transfers_.stored();
  committed_.join(adopted.foreign);
  log_base_.join(adopted.foreign);
}

// -- over a restart -------------------------------------------------------------------------------

void sync_manager::transfer_found(result<std::optional<kept_transfer>> found) {
  if (found && *found)
    log(log_severity::info, "context.transfer_found", {{"entries", (*found)->entries}});
  transfers_.found(found ? std::move(*found) : std::nullopt);
  if (found) return;
  log(log_severity::warning, "context.transfer_not_found",
      {{"reason", foreign_text{found.error().message}}});
  transfers_.journal().found(0);
  transfers_.journal().drop();
  keep_transfers();
}

void sync_manager::transfer_kept(const result<void>& done) {
  if (transfers_.journal().done(done.has_value()))
    log(log_severity::warning, "context.transfer_not_kept",
        {{"reason", foreign_text{done.error().message}}});
  keep_transfers();
}

void sync_manager::keep_transfers() {
  if (leaving_ == leaving::asked) return;  // the store removes the file
  if (auto part = transfers_.journal().next()) effects_.push_back(keep_transfer{std::move(*part)});
}

// -- the base of the log --------------------------------------------------------------------------

/// Whether this node has caught up with its peers since it met them, as far as they are heeded.
/// Those that it has forgotten give it nothing before they have begun anew.
bool sync_manager::is_current() const {
  return std::ranges::all_of(behind_, [this](const auto& each) {
    const auto& node = peers_.node(each.first);
    return members_.forgotten().contains(node) || !is_heeded(node);
  });
}

void sync_manager::collect() {
  if (const auto gone = cut_.step(engine_, committed_, members_, is_current(), now_.steady_ms)) {
    checkpoints_.count_unlogged(gone);
    has_freed_ = true;
    log(log_severity::info, "context.tombstones_collected", {{"tombstones", gone}});
  }
  collect_from_log();
}

void sync_manager::collect_from_log() {
  if (auto upto = collection_.next(members_, engine_.processed()))
    effects_.push_back(collect_log{std::move(upto)});
}

void sync_manager::log_mended(const processed_changes& base) {
  log_base_.join(base);
  log(log_severity::error, "context.log_mended",
      {{"reason", "a part of the log was damaged; peers that lack it take the state instead"}});
}

void sync_manager::log_collected(const result<collected_log>& done) {
  if (done)
    log_base_.join(*done->base);
  else
    log(log_severity::error, "context.collection_failed",
        {{"reason", foreign_text{done.error().message}}});
  collection_.collected(done && done->more);
  has_freed_ = has_freed_ || (done && !done->more);
}

}  // namespace troupe
