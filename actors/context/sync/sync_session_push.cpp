// What a session pushes to its peer: from the queue of what is committed, or from the log.

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>

namespace troupe {

namespace {

/// Changes of one push, unless one batch has more. They may take far more memory than its bytes.
constexpr std::size_t max_pushed = 10'000;
/// Ranges for which the log is read at once.
constexpr std::size_t max_read_ranges = 1024;

}  // namespace

sync_session::effects sync_session::committed(const shared_batch& batch) {
  effects out;
  if (phase_ != phase::open || !may_push()) return out;
  const auto& source = batch->source();
  if (is_left_to_origin(source.origin) || peer_has(source) >= batch->last()) return out;
  owe(source, batch->last());
  if (behind_) return out;
  if (queued_bytes_ + batch->bytes().size() > limits_.max_queued_bytes) {
    drop_queue();
    out.push_back(new_heads());
  } else {
    queue_.push_back(batch);
    queued_bytes_ += batch->bytes().size();
  }
  push_what_is_owed(out);
  return out;
}

sync_session::effects sync_session::log_read(std::vector<shared_batch> batches) {
  effects out;
  if (phase_ != phase::open || !std::exchange(reading_, false)) return out;
  std::vector<shared_batch> helps;
  for (auto& each : batches) {
    const auto& source = each->source();
    const auto done = reached(source);  // the peer may have got some elsewhere
    // The log may hold more than is committed: a batch that the store has written and reported as
    // refused, because its answer missed a deadline.
    const bool is_committed =
        view_.committed().covers(dot{source.origin, source.incarnation, each->last()});
    if (each->last() <= done || each->first() > done + 1 || !is_committed ||
        their_declined_.contains(source))
      continue;
    owe(source, each->last());
    progress_[source].sent = each->last();
    helps.push_back(std::move(each));
  }
  if (!helps.empty()) {
    push(helps, out);
  } else {
    // The log cannot help. What is owed is owed again at the next heads.
    for (auto& [source, progress] : progress_)
      progress.owed = std::min(progress.owed, reached(source));
  }
  push_what_is_owed(out);
  return out;
}

void sync_session::owe(const incarnation_id& source, std::uint64_t upto) {
  auto& owed = progress_[source].owed;
  owed = std::max(owed, upto);
}

void sync_session::push_what_is_owed(effects& out) {
  if (!may_push()) return;
  while (!queue_.empty() && window_.has_room()) push_from_queue(out);
  if (queue_.empty() && behind_ && !reading_ && window_.has_room()) ask_log(out);
}

/// Takes the next committed batch from the queue, and keeps it if the peer needs it. False when the
/// queue is of no use any more.
bool sync_session::take_needed(std::vector<shared_batch>& into) {
  auto batch = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= batch->bytes().size();
  const auto& source = batch->source();
  const auto known = progress_.find(source);
  const bool is_owed = known != progress_.end() && batch->first() <= known->second.owed;
  const auto done = reached(source);
  if (!is_owed || batch->last() <= done || their_declined_.contains(source)) return true;
  if (batch->first() > done + 1) {  // an earlier change is not in the queue
    drop_queue();
    return false;
  }
  known->second.sent = batch->last();
  into.push_back(std::move(batch));
  return true;
}

/// Pushes as much from the queue as one push may have.
void sync_session::push_from_queue(effects& out) {
  std::vector<shared_batch> needed;
  std::size_t bytes = 0, changes = 0;
  while (!queue_.empty()) {
    bytes += queue_.front()->bytes().size();
    changes += queue_.front()->size();
    const bool fits = bytes <= change_batch::max_body_bytes && changes <= max_pushed;
    if (!fits && !needed.empty()) break;
    if (!take_needed(needed)) break;
  }
  if (!needed.empty()) push(needed, out);
}

/// Where to read the log for a peer that lacks changes of this incarnation. A peer that has none of
/// them may lack earlier incarnations, too, which this one has ended.
dot sync_session::first_wanted(const incarnation_id& source) const noexcept {
  const auto done = reached(source);
  const auto said = unguessed_.find(source.origin);
  const bool is_last_of_row = said != unguessed_.end() && said->second == source.incarnation;
  const bool is_latest = !view_.committed().has_ended(source) && !goes_on_beside_later(source);
  if (done > 0 || !(is_latest || is_last_of_row))
    return {source.origin, source.incarnation, done + 1};
  dot first{source.origin, 1, 1};
  for (const auto& each : theirs_.of(source.origin))
    if (each.incarnation < source.incarnation)
      first = {each.origin, each.incarnation, each.seq + 1};
  for (auto at = progress_.lower_bound({source.origin, first.incarnation}); at->first < source;
       ++at)
    if (at->second.sent > 0)
      first = std::max(first, dot{source.origin, at->first.incarnation, at->second.sent + 1});
  return first;
}

void sync_session::ask_log(effects& out) {
  read_log wanted{{}, change_batch::max_body_bytes};
  for (const auto& [source, progress] : progress_) {
    const auto done = reached(source);
    const auto last = committed_of(source, progress.owed);
    const bool is_in_log = done >= view_.log_base().at(source);
    if (last <= done || !is_in_log || their_declined_.contains(source)) continue;
    wanted.wanted.push_back({first_wanted(source), {source.origin, source.incarnation, last}});
    if (wanted.wanted.size() == max_read_ranges) break;
  }
  behind_ = !wanted.wanted.empty();
  if (!behind_) return;
  reading_ = true;
  out.push_back(std::move(wanted));
}

void sync_session::push(const std::vector<shared_batch>& batches, effects& out) {
  sync_push message;
  std::size_t bytes = 0;
  for (const auto& each : batches) {
    message.changes.push_back({each->bytes()});
    bytes += each->bytes().size();
  }
  message.batch = window_.add(bytes);
  out.push_back(send_message{std::move(message)});
}

void sync_session::drop_queue() noexcept {
  queue_.clear();
  queued_bytes_ = 0;
  behind_ = true;
}

}  // namespace troupe
