// Damage: getting the state back after the checkpoint was lost, see `restoration`; and checking the
// store, see `scrub_schedule`.

#include <string>
#include <utility>

#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

namespace {

constexpr std::size_t read_at_once = std::size_t{4} << 20;  // bytes of the log

std::string describe(const restoration& under_way, const std::string& why_overruled) {
  if (under_way.begins_anew())
    return why_overruled +
           ", so it takes the state of another member when one is connected. Until then it takes "
           "no writes, and 'troupe context export --salvaged' gives the " +
           std::to_string(under_way.entries().size()) +
           " entries of its old state. Where there is no other member: start a node in a new data "
           "directory, and import them there";

  return "the context was damaged, and " + std::to_string(under_way.entries().size()) +
         " of its entries could be read. It is read-only until a member that has it is connected. "
         "Where there is none: save what is left with 'troupe context export --salvaged', start a "
         "node in a new data directory, and import it there";
}

}  // namespace

std::optional<error> sync_manager::refusal_to_read(bool salvaged) const {
  if (!restoring_ || salvaged) return std::nullopt;
  if (restoring_->begins_anew())
    return error{error_code::unavailable,
                 why_overruled() +
                     ", so it takes the state of another member when one is connected; 'troupe "
                     "context export --salvaged' gives its old state",
                 {}};
  return error{error_code::unavailable,
               "the context of this node was damaged, and is restored when another member that has "
               "it is connected; 'troupe context export --salvaged' gives what could be read of it",
               {}};
}

std::optional<error> sync_manager::refusal_to_write() const {
  if (is_overruled() || (restoring_ && restoring_->begins_anew()))
    return error{error_code::unavailable,
                 why_overruled() +
                     ", so it takes no writes before it has the state of another member; see "
                     "'troupe node info'",
                 {}};
  if (!restoring_) return std::nullopt;
  return error{error_code::unavailable,
               "the context of this node was damaged, and takes no writes before it is restored "
               "from another member; see 'troupe node info'",
               {}};
}

std::vector<std::string> sync_manager::problems() const {
  auto all = clock_problems();
  if (const auto& health = queue_.health(); !health)
    all.push_back("no write is accepted while the disk refuses writes: " + health.error().message +
                  "; reads go on, and what waits is tried again");
  else if (gone_files_)
    all.push_back("no write will be accepted: " + gone_files_->message);
  if (unscrubbed_) {
    const bool is_damaged = unscrubbed_->code == error_code::corrupt_data;
    all.push_back((is_damaged ? "the context store is damaged: "
                              : "the context store cannot be checked for damage: ") +
                  unscrubbed_->message +
                  "; what the node has in memory is whole: 'troupe context export' saves it");
  }
  if (mended_ > 0)
    all.push_back(std::to_string(mended_) +
                  " damaged parts of the context store were found and mended since the start; the "
                  "disk may be failing");
  if (checkpoint_wanted_)
    all.push_back(
        "a part of the context log is damaged; what it held is in memory, and it is mended "
        "when a checkpoint has been written");
  if (restoring_) all.push_back(describe(*restoring_, why_overruled()));
  if (const auto count = engine_.quarantine().size(); count > 0)
    all.push_back(changes_are(count) +
                  " in quarantine, because one number was given to several writes: a node runs "
                  "twice, or lies; see 'troupe context quarantine'");
  if (const auto known = engine_.vector().entries().size();
      known >= engine_.limits().max_incarnations)
    all.push_back("this node knows of " + std::to_string(known) +
                  " incarnations of nodes, so it takes nothing of further nodes that are no "
                  "members; a peer may have made up nodes: find it, export what matters, and "
                  "import it into a new cluster");
  for (auto& each : lease_problems()) all.push_back(std::move(each));
  return all;
}

const context_tree& sync_manager::shown() const {
  return restoring_ ? restoring_->entries() : engine_.tree();
}

/// The next step of a restoration: the state of a peer, then what this node's own log adds.
void sync_manager::restore() {
  // The disk has to have what was joined before it can be asked for more.
  const bool is_busy = adopting_ > 0 || queue_.is_full() || !queue_.health();
  if (!restoring_ || is_busy || restoring_->is_busy(now_.steady_ms)) return;
  if (restoring_->needs_state(engine_.processed()))
    return peers_.for_each([&](peer_id peer, sync_session& session) {
      if (session.is_open() && restoring_->may_take(session.peer_vector(), now_.steady_ms))
        want_state(peer, restoring_->needed());
    });
  const auto& processed = engine_.processed();
  if (waits_to_adopt()) return keep_what_was_not_sent();
  auto wanted = restoring_->lacking(processed);
  if (wanted.empty()) return save_restored();
  restoring_->reading(processed);
  effects_.push_back(read_own_log{{std::move(wanted), read_at_once}});
}

/// The state is whole, as far as it can be. The log keeps what is part of it, and of transactions
/// that are open.
void sync_manager::save_restored() {
  auto state = engine_.state();
  const auto* base = restoring_->known_base();
  auto has = base ? *base : state.processed;
  auto whole = std::make_shared<const adopted_state>(
      adopted_state{std::move(state), std::move(has), engine_.processed()});
  restoring_->saving(whole);
  log(log_severity::info, "context.state_rebuilt", {{"values", engine_.values()}});
  adopt(std::move(whole));
}

void sync_manager::own_log_read(result<std::vector<shared_batch>> batches) {
  if (!restoring_) return;
  if (!batches) {
    restoring_->read_failed(now_.steady_ms);
    return say_unreadable(batches.error());
  }
  unreadable_.clear();
  std::set<incarnation_id> sources;
  for (auto& batch : *batches) {
    sources.insert(batch->source());
    auto records = batch->records();
    if (!records) continue;
    apply_changes::part part{std::move(batch), std::move(*records)};
    apply(peer_id{}, part);
  }
  restoring_->read(sources, engine_.processed());
  go_on();
}

/// The state is whole, as far as it can be, and on the disk. It lacks incarnations of the log when
/// changes before theirs are in no place any more.
void sync_manager::end_restoration() {
  log(log_severity::info, "context.restored", {{"incarnations_cut", restoring_->blocked()}});
  if (const auto* base = restoring_->known_base()) log_base_.join(*base);
  const bool begins_anew = restoring_->begins_anew();
  restoring_.reset();
  members_.update(engine_.tree());
  may_rejoin_ = begins_anew && is_forgotten();
  if (begins_anew) close_links();
  begin_to_leave();
  join();
}

/// Says that the log cannot be read, once for each reason in a row.
void sync_manager::say_unreadable(const error& why) {
  if (std::exchange(unreadable_, why.message) != why.message)
    log(log_severity::error, "context.log_unreadable", {{"reason", foreign_text{why.message}}});
}

// -- scrubs ---------------------------------------------------------------------------------------

void sync_manager::scrub() {
  if (restoring_) return;
  const auto what = scrubs_.begins(now_.steady_ms);
  if (what != scrub_schedule::work::none)
    effects_.push_back(scrub_store{.only_files = what == scrub_schedule::work::files});
}

void sync_manager::scrubbed(const result<scrubbed_part>& part) {
  using outcome = scrub_schedule::outcome;
  const bool has_failed = !part || part->needs_checkpoint;
  const auto what = scrubs_.stepped(has_failed      ? outcome::failed
                                    : part->is_done ? outcome::done
                                                    : outcome::goes_on,
                                    now_.steady_ms);
  if (what == scrub_schedule::work::files) return note_files(part);
  const auto before = std::exchange(unscrubbed_, part ? std::nullopt : std::optional{part.error()});
  if (!part) {
    if (before && before->message == part.error().message) return;  // that has been said
    return log(log_severity::error, "context.scrub_failed",
               {{"reason", foreign_text{part.error().message}}});
  }
  mended_now_ += part->mended;
  if (part->base) log_base_.join(*part->base);
  if (part->needs_checkpoint) need_checkpoint();
  if (!part->is_done) return;
  if (mended_now_ > 0) log(log_severity::error, "context.mended", {{"parts", mended_now_}});
  mended_ += std::exchange(mended_now_, 0);
}

/// The files of the store are there, or not: then that is said once, before a write meets it.
void sync_manager::note_files(const result<scrubbed_part>& there) {
  const bool was_said = gone_files_ || !queue_.health();
  gone_files_ = there ? std::nullopt : std::optional{there.error()};
  if (gone_files_ && !was_said)
    log(log_severity::error, "context.files_gone",
        {{"reason", foreign_text{gone_files_->message}}});
}

/// A damaged row of the log is not needed any more once a checkpoint has its changes.
void sync_manager::need_checkpoint() { checkpoint_wanted_ = true; }

/// Has the checkpoint that is wanted written, and again when that fails.
void sync_manager::want_checkpoint() {
  constexpr std::uint64_t again_ms = 10'000;
  if (!checkpoint_wanted_ || restoring_ || now_.steady_ms < next_wanted_ms_) return;
  next_wanted_ms_ = now_.steady_ms + again_ms;
  checkpoint_wanted_ = checkpoints_.lacks(checkpoints_.position(queue_.added()));
  if (checkpoint_wanted_) checkpoints_.make_due();
}

}  // namespace troupe
