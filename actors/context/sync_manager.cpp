// Requests, watchers, the disk and time. The exchange with peers is in sync_manager_peers.cpp.

#include <troupe/actors/context/sync_manager.hpp>

#include <string>
#include <utility>

#include <troupe/actors/context/state/quarantine.hpp>

#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

constexpr std::size_t max_visited = 50'000;           // entries, for one page; more are a long read
constexpr std::uint64_t give_back_every_ms = 60'000;  // memory; at most

}  // namespace

sync_manager::sync_manager(context_engine engine, const sync_settings& settings)
    : engine_(std::move(engine)),
      queue_(settings.commits),
      committed_(engine_.processed()),
      log_base_(settings.log_base),
      members_(engine_.own_incarnation().origin),
      leases_(settings.leases),
      checkpoints_(settings.checkpoint_every, settings.replayed),
      transfers_(settings.keep_transfer_at),
      scrubs_(settings.scrub),
      watchers_(settings.watches),
      peers_({settings.cluster, engine_.own_incarnation().origin,
              engine_.own_incarnation().incarnation, strategies_hash(engine_.strategy())},
             *this, settings.sync),
      max_long_reads_(settings.max_long_reads),
      joins_(settings.joins),
      max_member_waits_(settings.max_member_waits) {
  members_.update(engine_.tree());
  has_met_members_ = members_.has_joined() && members_.count() > 1;
  if (settings.saved) {
    restoring_.emplace(settings.saved);
    log_base_ = {};  // nobody is to take this state before it is whole
  } else {
    begin_to_leave();
  }
  effects_.push_back(find_transfer{engine_.tree()});
  if (!settings.saved && settings.replayed == 0 && !engine_.vector().entries().empty()) {
    // Programs that run for a moment only would never remove anything otherwise.
    collection_.found(engine_.processed());
    collect_from_log();
  }
}

void sync_manager::take_effects(std::vector<sync_effect>& into) {
  into.clear();
  std::swap(into, effects_);
}

void sync_manager::log(log_severity severity, std::string_view event,
                       std::vector<sync_log_field> fields) {
  effects_.push_back(sync_log_line{severity, event, std::move(fields)});
}

// -- requests -------------------------------------------------------------------------------------

/// Why nothing of a write is taken: of many values all are written or none.
std::optional<error> sync_manager::refusal(const write_values& wanted) const {
  if (auto refused = refusal_to_write()) return refused;
  if (!queue_.health())
    return error{
        error_code::storage_failure,
        "no write is accepted while the disk refuses writes: " + queue_.health().error().message,
        {}};
  if (queue_.is_full())
    return error{error_code::overloaded, "too many changes wait for the disk; try again", {}};
  if (auto refused = refusal_of_members(wanted)) return refused;
  const auto count = wanted.entries.size();
  // The engine refuses a single entry itself, except where a condition comes after that.
  if (count > 1 || wanted.only_check || !wanted.expected.empty())
    for (std::size_t at = 0; at < count; ++at) {
      const auto& [where, given] = wanted.entries[at];
      auto fine = engine_.check_write(where, given, wanted.principal);
      if (fine) continue;
      if (count == 1 && !wanted.only_check) return std::move(fine.error());
      return error{fine.error().code,
                   "entry " + std::to_string(at + 1) + " of " + std::to_string(count) + ", " +
                       where.text() + ": " + fine.error().message + "; nothing was written",
                   {}};
    }
  for (const auto& [where, version] : wanted.expected)
    if (engine_.version(where) != version)
      return error{
          error_code::failed_precondition,
          "'" + where.text() + "' does not have version " + to_string(version) + "; read it again",
          {}};
  return std::nullopt;
}

void sync_manager::write(context_request request, const write_values& wanted, event_time now) {
  now_ = now;
  if (auto refused = refusal(wanted)) {
    effects_.push_back(answer_write{request, fail(std::move(*refused))});
    return;
  }
  auto written = wanted.only_check ? values_written{} : write_all(wanted);
  if (written && wanted.durability != durability::memory) {
    const auto last = written->ids.empty() ? 0 : engine_.processed().at(engine_.own_incarnation());
    const bool waits_for_members = wanted.durability > durability::durable;
    auto rests_on =
        waits_for_members && written->unchanged > 0 ? writers_of(wanted) : version_vector{};
    // Where there is nothing that members could lack, they are not asked.
    const bool has_any = last > 0 || !rests_on.entries().empty();
    waiting_.add(queue_.added(),
                 waiting_write{request, std::move(*written),
                               has_any ? wanted.durability : durability::durable, last,
                               std::move(rests_on), now.steady_ms + wanted.disk_within_ms,
                               now.steady_ms + wanted.members_within_ms});
    go_on();
  } else {
    go_on();
    effects_.push_back(answer_write{request, std::move(written)});
  }
}

/// Writes all entries that are not skipped, or none.
result<values_written> sync_manager::write_all(const write_values& wanted) {
  values_written written;
  std::vector<local_write> writes;
  for (const auto& [where, given] : wanted.entries) {
    if (wanted.skip_unchanged && engine_.view(where) == given)
      ++written.unchanged;
    else
      writes.push_back({wanted.what, where, given});
  }
  if (writes.empty()) return written;
  auto made =
      engine_.write_together(std::move(writes), wanted.principal, wanted.trace, now_.wall_ms);
  if (!made) return fail(std::move(made.error()));
  members_changed_ = members_changed_ || wanted.principal == system_principal;
  auto taken = take(*made);
  taken.unchanged = written.unchanged;
  return taken;
}

/// The changes that made what is at the paths of a write.
version_vector sync_manager::writers_of(const write_values& wanted) const {
  std::vector<version_entry> made;
  for (const auto& [where, given] : wanted.entries)
    if (const auto entry = engine_.tree().find(where))
      for (const auto& each : entry->siblings())
        made.push_back({each.dot.origin, each.dot.incarnation, each.dot.seq});
  return version_vector{std::move(made)};
}

/// Has changes of this node stored, and its watchers told.
values_written sync_manager::take(std::vector<applied_change>& made) {
  values_written written;
  std::vector<change_record> records;
  records.reserve(made.size());
  for (auto& each : made) {
    written.ids.push_back(each.record.id());
    for (auto& erased : each.below) watchers_.note(std::move(erased));
    const auto what = each.record.operation;
    if (each.instead)
      watchers_.note(std::move(*each.instead));
    else if (watchers_.size() > 0 && (what == operation::put || what == operation::erase))
      watchers_.note(each.record);
    records.push_back(std::move(each.record));
  }
  queue_.add(std::move(records));
  return written;
}

void sync_manager::clear_quarantine(context_request request, event_time now) {
  now_ = now;
  const auto refuse = [&](error why) {
    effects_.push_back(answer_write{request, fail(std::move(why))});
  };
  if (auto refused = refusal({})) return refuse(std::move(*refused));
  values_written written;
  std::size_t released = 0;
  for (auto writes = writes_that_settle(engine_); !writes.empty();
       writes = writes_that_settle(engine_)) {
    const auto made =
        engine_.write_together(std::move(writes), std::string{system_principal}, {}, now_.wall_ms);
    if (!made) return refuse(made.error());
    const auto now_released = engine_.release_quarantine(*made);
    released += now_released;
    std::vector<change_record> records;  // watchers see no difference
    for (const auto& each : *made) {
      written.ids.push_back(each.record.id());
      records.push_back(each.record);
    }
    queue_.add(std::move(records));
    if (now_released == 0) break;
  }
  checkpoints_.count_unlogged(released);

  members_changed_ = true;
  log(log_severity::warning, "context.quarantine_cleared", {{"changes", released}});
  waiting_.add(queue_.added(), waiting_write{request, std::move(written)});
  go_on();
}

quarantine_list sync_manager::list_quarantine() const {
  constexpr std::size_t most = 100;
  quarantine_list list{.total = engine_.quarantine().size(), .changes = {}};
  for (const auto& each : engine_.quarantine()) {
    if (list.changes.size() >= most) break;
    quarantined_change shown{each.dot.origin, each.dot.incarnation, each.dot.seq, {}};
    for (const auto& record : each.records)
      if (shown.paths.empty() || shown.paths.back() != record.path)
        shown.paths.push_back(record.path);
    list.changes.push_back(std::move(shown));
  }
  return list;
}

// -- watchers -------------------------------------------------------------------------------------

void sync_manager::watch(watcher_id watcher, path prefix) {
  if (watchers_.add(watcher, std::move(prefix))) return;
  log(log_severity::warning, "context.watch_refused", {{"watchers", watchers_.size()}});
  effects_.push_back(end_watcher{watcher, error{error_code::overloaded, "too many watchers", {}}});
}

void sync_manager::unwatch(watcher_id watcher) { watchers_.remove(watcher); }

void sync_manager::watcher_answered(watcher_id watcher, std::size_t changes) {
  watchers_.answered(watcher, changes);
}

// -- disk -----------------------------------------------------------------------------------------

/// The end of each event: tells watchers, serves what was waited for, and keeps the disk busy.
void sync_manager::go_on() {
  watchers_.publish(effects_);
  update_members();
  begin_to_leave();
  take_due_checkpoint();
  keep_transfers();
  while (auto ready = waiting_.next(queue_.durable()))
    std::visit([this](auto& each) { serve(each); }, *ready);
  serve_member_waits();
  if (auto next = queue_.take()) effects_.push_back(append_batch{std::move(next)});
  TROUPE_ASSERT_SLOW(
      !queue_.is_idle() || waits_to_adopt() || committed_.vector() == engine_.vector(),
      "with nothing waiting for the disk, the log holds what the engine has");
}

/// Takes the state as it is, so that a checkpoint is due in time however busy the writers are; it
/// is written once the log holds all of it.
void sync_manager::take_due_checkpoint() {
  if (restoring_ || leaving_ != leaving::no || !checkpoints_.is_due(queue_.durable())) return;
  const auto position = checkpoints_.take(queue_.added());
  waiting_.add(queue_.added(),
               waiting_checkpoint{std::make_shared<const engine_state>(engine_.state()), position});
}

void sync_manager::serve(waiting_write& ready) {
  const auto& [origin, incarnation] = engine_.own_incarnation();
  if (ready.level > durability::durable)
    return member_waits_.add({ready.request, std::move(ready.written), ready.level,
                              dot{origin, incarnation, ready.last}, std::move(ready.rests_on),
                              ready.deadline_ms});
  effects_.push_back(answer_write{ready.request, std::move(ready.written)});
}

void sync_manager::serve(waiting_checkpoint& ready) {
  // Who leaves makes what is on the disk the old state, and that is kept.
  if (leaving_ != leaving::no || (ready.settles && !checkpoints_.lacks(ready.position))) {
    if (ready.settles) answer(*ready.settles, {});
    return;
  }
  const auto id = checkpoints_.begin(ready.position, ready.settles);
  collection_.saving(id, ready.state->processed);
  effects_.push_back(save_checkpoint{id, std::move(ready.state)});
}

/// Counts what the log holds now, and what has ended with it.
void sync_manager::add_committed(const change_batch& batch) {
  if (batch.first() == 1 && committed_.at(batch.source()) == 0) {
    const auto records = batch.records();
    TROUPE_ASSERT(records, "a batch that this node has stored can be read");
    committed_.add(records->front());
  }
  committed_.raise({batch.source().origin, batch.source().incarnation, batch.last()});
}

void sync_manager::stored() {
  const bool had_refused = !queue_.health();
  const auto done = queue_.end_commit({});
  if (had_refused) log(log_severity::info, "context.disk_recovered", {});
  for (const auto& each : done->batches) add_committed(*each);
  if (done->adopted) {
    --adopting_;
    add_committed(*done->adopted);
  }
  if (restoring_ && restoring_->ends_with(done->adopted)) end_restoration();
  push_to_peers(*done);
  go_on();
}

void sync_manager::disk_refused(const error& why) {
  if (queue_.health())
    log(log_severity::error, "context.disk_refused", {{"reason", foreign_text{why.message}}});
  queue_.end_commit(fail(why));
  if (why.code == error_code::corrupt_data) scrubs_.make_due(now_.steady_ms);
  transfers_.journal().give_up();  // the room may be needed
  keep_transfers();
  for (auto& ended : waiting_.refuse()) std::visit([&](auto& each) { refuse(each, why); }, ended);
}

void sync_manager::refuse(waiting_write& ended, const error& why) {
  effects_.push_back(answer_write{
      ended.request, fail(error_code::storage_failure,
                          "the change is not durable yet, and is tried again: " + why.message)});
}

// -- time -----------------------------------------------------------------------------------------

void sync_manager::tick(event_time now) {
  now_ = now;
  if (!peers_.empty()) join();
  if (leaving_ == leaving::no && !waits_to_adopt()) release();
  close_links_of_forgotten();
  end_leases();
  look_for_rests();
  leave();
  expire_disk_waits();
  expire_member_waits();
  expire_settles();
  peers_.for_each(
      [&](peer_id peer, sync_session& session) { carry_out(peer, session.tick(now.steady_ms)); });
  if (auto due = transfers_.tick(now.steady_ms)) see_to_transfer(*due);
  watch_clock();
  restore();
  if (leaving_ == leaving::no) {
    scrub();
    want_checkpoint();
    if (!restoring_) collect();
  }
  reports_.tick(now.steady_ms, effects_);
  go_on();
  if (has_freed_ && queue_.is_idle() && now.steady_ms >= may_give_back_ms_) {
    has_freed_ = false;
    may_give_back_ms_ = now.steady_ms + give_back_every_ms;
    effects_.push_back(give_back_memory{});
  }
}

// -- reads ----------------------------------------------------------------------------------------

value_found sync_manager::find(const get_value& wanted) const {
  const auto entry = shown().find(wanted.path);
  auto seen = entry ? view_of(engine_.strategy(), wanted.path, entry->siblings()) : std::nullopt;
  value_found found{seen.has_value(), seen ? std::move(*seen) : value{}, {}};
  if (wanted.with_version && !restoring_) found.version = engine_.version(wanted.path);
  return found;
}

std::optional<value_page> sync_manager::list(const list_values& wanted) const {
  return list_page(shown(), engine_.strategy(), wanted, max_visited);
}

result<verified_state> sync_manager::begin_long_read() {
  if (long_reads_ >= max_long_reads_)
    return fail(error_code::overloaded, "too many full-context reads in progress; try again");
  ++long_reads_;
  return verified_state{shown(), engine_.vector(), engine_.conflicts()};
}

void sync_manager::end_long_read() {
  TROUPE_ASSERT(long_reads_ > 0, "a long read that ends was begun");
  --long_reads_;
}

}  // namespace troupe
