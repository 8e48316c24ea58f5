#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/context/acknowledgements.hpp>
#include <troupe/actors/context/change_reports.hpp>
#include <troupe/actors/context/checkpoint_schedule.hpp>
#include <troupe/actors/context/clock_watch.hpp>
#include <troupe/actors/context/commit_queue.hpp>
#include <troupe/actors/context/log_collection.hpp>
#include <troupe/actors/context/member_waits.hpp>
#include <troupe/actors/context/peer_clocks.hpp>
#include <troupe/actors/context/queries/value_queries.hpp>
#include <troupe/actors/context/rest_search.hpp>
#include <troupe/actors/context/restoration.hpp>
#include <troupe/actors/context/scrub_schedule.hpp>
#include <troupe/actors/context/stable_cut.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/state_transfers.hpp>
#include <troupe/actors/context/sync/early_notifications.hpp>
#include <troupe/actors/context/sync/lagging_members.hpp>
#include <troupe/actors/context/sync/leases.hpp>
#include <troupe/actors/context/sync/members.hpp>
#include <troupe/actors/context/sync/peer_sessions.hpp>
#include <troupe/actors/context/sync_effects.hpp>
#include <troupe/actors/context/watcher_book.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/context_upkeep.hpp>

namespace troupe {

/// Settings and bounds of a sync manager.
struct sync_settings {
  cluster_id cluster;
  std::uint64_t checkpoint_every = 20'000;  ///< Changes.
  /// Changes that the start found in the log and in no checkpoint.
  std::uint64_t replayed = 0;
  processed_changes log_base;  ///< What the log may lack.
  /// Set when the checkpoint was lost. Then the engine begins with the empty state.
  std::shared_ptr<const saved_parts> saved;
  std::size_t max_long_reads = 2;  ///< Each keeps a thread busy.
  bool joins = true;               ///< Becomes a member when it meets another node.
  std::size_t max_member_waits = std::size_t{1} << 16;  ///< Writes that wait for other members.
  /// Bytes of a state on its way here that are kept at once for the next start.
  std::size_t keep_transfer_at = transfer_journal::usual_part;
  commit_limits commits;
  sync_limits sync;
  watch_limits watches;
  scrub_pace scrub;
  lease_limits leases;
};

/// Everything that a replica of the context decides: which writes it takes, when it answers them,
/// what it sends to its peers, which news its watchers get, and when a checkpoint is written.
///
/// It owns the state, with the conflict strategy (`context_engine`), and a bounded history of
/// changes: the ones that wait for the disk (`commit_queue`). Older changes are in the store's log,
/// which the manager reads through an effect.
///
/// Its owner reports events and then carries out their effects in order:
///
///     manager.write(request, wanted, now);
///     manager.take_effects(effects);
///     for (auto& effect : effects) std::visit(carry_out, effect);
///
/// Effects leave the manager when the event is over, so everything that they cause meets a state
/// that includes the whole event.
///
/// No CAF, clock, I/O or randomness: the same events give the same effects. The simulator runs this
/// very class. Belongs to one thread at a time; snapshots may be read on others.
class sync_manager final : private sync_view {
public:
  sync_manager(context_engine engine, const sync_settings& settings);
  sync_manager(const sync_manager&) = delete;
  sync_manager& operator=(const sync_manager&) = delete;
  ~sync_manager() = default;

  /// Hands out the effects of the events since the last call. `into` is emptied and its memory is
  /// used for the effects to come.
  void take_effects(std::vector<sync_effect>& into);

  // -- requests -----------------------------------------------------------------------------------

  /// A write of this node. Answered by `answer_write`, once, at the durability asked for.
  /// @param request not used before.
  void write(context_request request, const write_values& wanted, event_time now);
  /// An operator ends what is in quarantine, see `writes_that_settle`. Answered by `answer_write`,
  /// once, when the writes are durable. What is ended comes back if the node is killed before its
  /// next checkpoint.
  void clear_quarantine(context_request request, event_time now);
  /// Makes everything durable and has it checkpointed. Answered by `answer_settle`, once. What is
  /// durable needs no checkpoint where none can be written, or not in time: the next start replays
  /// it. If something is not durable, the answer says how much, and why.
  void settle(context_request request, std::uint64_t deadline_ms = UINT64_MAX);

  // -- watchers -----------------------------------------------------------------------------------

  /// A watcher wants the changes at and below this path from now on. At the bound it is ended.
  void watch(watcher_id watcher, path prefix);
  /// A watcher is gone.
  void unwatch(watcher_id watcher);
  /// A watcher has handled a `tell_watcher` with this number of changes.
  void watcher_answered(watcher_id watcher, std::size_t changes);

  // -- disk ---------------------------------------------------------------------------------------

  /// The batch under way is durable.
  void stored();
  /// The batch under way may not be durable. It is offered again later; appending what the log
  /// already holds must do no harm.
  void disk_refused(const error& why);
  /// The answer to `read_own_log`.
  void own_log_read(result<std::vector<shared_batch>> batches);
  /// The log lacks more than before, because a part of it was damaged.
  void log_mended(const processed_changes& base);
  /// The answer to `read_peer_log`.
  void log_read(peer_id peer, result<std::vector<shared_batch>> batches);
  /// The outcome of a `save_checkpoint`. One that failed is logged and tried again later.
  void checkpoint_written(checkpoint_id id);
  void checkpoint_failed(checkpoint_id id, const error& why);
  /// The outcome of a `scrub_store`.
  void scrubbed(const result<scrubbed_part>& part);
  /// The outcome of a `collect_log`. One that failed is logged.
  void log_collected(const result<collected_log>& done);
  /// A `begin_anew` is done: answers what is open, and ends the watchers. The last event.
  void retire();
  /// A `begin_anew` has failed. It is logged and tried again later.
  void set_aside_failed(const error& why);
  /// The outcome of a `keep_transfer`. The first failure of a transfer is logged.
  void transfer_kept(const result<void>& done);
  /// The outcome of a `find_transfer`. One that failed is logged: then a transfer begins anew.
  void transfer_found(result<std::optional<kept_transfer>> found);
  /// The outcome of a `keep_aside`: the file. One that failed is logged and tried again later.
  void kept_aside(const result<std::string>& where);

  // -- peers --------------------------------------------------------------------------------------

  /// A link to the replica of this node is up.
  void peer_up(peer_id peer, const node_id& node, event_time now);
  /// The link is gone.
  void peer_down(peer_id peer);
  /// A link says something. Kept for a while when the link is not introduced yet.
  void hear(peer_id from, std::string_view method, std::string_view params, event_time now);
  /// The link has refused a `send_to_peer`. What it refuses would be missed for good, so the link
  /// is closed; the exchange begins anew with a new one.
  void send_failed(peer_id peer, const error& why);

  // -- time ---------------------------------------------------------------------------------------

  /// Call a few times a second.
  void tick(event_time now);

  // -- reads --------------------------------------------------------------------------------------

  /// Why nothing can be read: the state is being restored. @param salvaged whether the reader wants
  /// what could be read of the old state. Ask this before the other functions.
  std::optional<error> refusal_to_read(bool salvaged) const;
  /// Whether the state is still to be restored; see `restoration`.
  bool is_restoring() const noexcept override { return restoring_.has_value(); }
  /// What an operator has to know: for as long as it lasts, or until the node is started again.
  std::vector<std::string> problems() const;
  /// What readers see at a path, and its version if that is wanted. O(log n).
  value_found find(const get_value& wanted) const;
  value_explained explain(const path& where) const;
  /// Whether times of changes are ahead of the clock, and the clock of the peers', as of the latest
  /// event that had a time.
  clock_checked clock() const;
  /// Why there is nothing to correct.
  std::optional<error> refusal_to_correct_clock() const;
  /// The members of the cluster, and those that were forgotten. O(members).
  member_list list_members() const;
  /// The write that makes the cluster go on without a member, or without what a node that is none
  /// has sent in part; or why there is none to be made.
  /// @param why for people.
  result<write_values> forgetting(const node_id& node, std::string_view why) const;
  /// What is in quarantine, the first ones if there are many.
  quarantine_list list_quarantine() const;
  /// One page, or nothing when too many tombstones lie between the values: see `begin_long_read`.
  std::optional<value_page> list(const list_values& wanted) const;
  /// Admits a read that takes long, on another thread. @returns the state to read, or `overloaded`.
  result<verified_state> begin_long_read();
  /// A read that was admitted has ended, in whatever way.
  void end_long_read();

  const context_engine& engine() const noexcept { return engine_; }
  const members& known_members() const noexcept { return members_; }
  /// What the log holds.
  const processed_changes& committed() const noexcept override { return committed_; }
  const processed_changes& log_base() const noexcept override { return log_base_; }
  const version_vector& stable() const noexcept override { return cut_.stable(); }

private:
  // -- what sessions read -------------------------------------------------------------------------
  state_hash root() const override;
  std::uint64_t wall_ms() const noexcept override { return now_.wall_ms; }
  bool takes_pushes() const override {
    return !queue_.is_full() && !(restoring_ && restoring_->begins_anew());
  }
  const std::vector<node_id>& links() const override { return peers_.nodes(); }
  std::vector<dot_range> missing() const override { return engine_.missing(); }
  std::vector<member_report> reports_beside(const std::set<node_id>& linked) const override;

  // -- writing ------------------------------------------------------------------------------------
  std::optional<error> refusal(const write_values& wanted) const;
  version_vector writers_of(const write_values& wanted) const;
  result<values_written> write_all(const write_values& wanted);
  values_written take(std::vector<applied_change>& made);
  void go_on();
  void take_due_checkpoint();
  void answer(context_request settle, result<void> outcome);
  result<void> settled_without(std::uint64_t upto, const std::string& why) const;
  void fail_settle(context_request settle, const error& why);
  void expire_settles();
  void serve(waiting_write& ready);
  void serve(waiting_checkpoint& ready);
  void serve(waiting_push& ready);
  void serve(waiting_offer& ready);
  void refuse(waiting_write& ended, const error& why);
  void refuse(waiting_checkpoint& ended, const error& why);
  static void refuse(waiting_push&, const error&) {}   // a push waits on
  static void refuse(waiting_offer&, const error&) {}  // so does an offer

  // -- restoring ----------------------------------------------------------------------------------
  std::optional<error> refusal_to_write() const;
  const context_tree& shown() const;
  void restore();
  void scrub();
  void note_files(const result<scrubbed_part>& there);
  void watch_clock();
  std::vector<std::string> clock_problems() const;
  void need_checkpoint();
  void say_unreadable(const error& why);
  void want_checkpoint();
  void save_restored();
  void end_restoration();
  void adopt(std::shared_ptr<const adopted_state> state);

  // -- members ------------------------------------------------------------------------------------
  std::optional<error> refusal_of_members(const write_values& wanted) const;
  void join();
  void update_members();
  void learn(peer_id from, const sync_message& said);
  void serve_member_waits();
  void hold(const incarnation_id& running);
  void expire_member_waits();
  void expire_disk_waits();
  bool knows_members() const;
  bool is_heeded(const node_id& node) const;
  bool has_yet_to_meet_members() const;
  void end_leases();
  void look_for_rests();
  void log_lost(const path& where, const value& said);
  std::vector<std::string> lease_problems() const;
  bool is_apart(peer_id peer) const;
  std::vector<node_id> apart() const;
  std::optional<node_id> linked_with(const node_id& node) const;

  // -- being forgotten ----------------------------------------------------------------------------
  bool is_forgotten() const;
  version_vector overruled_by() const;
  bool is_overruled() const;
  std::string why_overruled() const;
  version_vector forgetting(const node_id& node) const override;
  bool has_begun_anew(const version_vector& forgotten) const override;
  bool is_kept_out(peer_id peer) const;
  void close_links_of_forgotten();
  void begin_to_leave();
  void leave();
  void close_links();
  bool waits_to_adopt() const { return restoring_ && restoring_->waits_to_keep_aside(); }
  void keep_what_was_not_sent();

  // -- peers --------------------------------------------------------------------------------------
  void add_committed(const change_batch& batch);
  void add_committed(const adopted_state& adopted);
  void join_state(peer_id peer, const engine_state& theirs, std::uint64_t entries);
  void compare_with(peer_id peer, const engine_state& theirs);
  bool is_current() const;
  void collect();
  void collect_from_log();
  path_filter what_is_watched() const;
  void want_state(peer_id peer, version_vector base);
  void keep_transfers();
  void see_to_transfer(state_transfers::due& due);
  void wait_before_join(peer_id peer, std::uint64_t milliseconds);
  void push_to_peers(const commit& done);
  void carry_out(peer_id peer, sync_session::effects effects);
  void carry_out(peer_id peer, send_message& effect);
  void carry_out(peer_id peer, read_log& effect);
  void carry_out(peer_id peer, apply_changes& effect);
  bool is_ahead_of_origin(peer_id peer, const change_batch& batch) const;
  bool is_premature(const change_record& record) const;
  void note_held_back(const change_record& record);
  /// A change of which, and of what follows it, nothing is taken; see `is_premature`.
  struct held_back_change {
    struct dot dot;
    node_id about;
    bool says_lost = false;  ///< Or that it is sought.
  };
  std::vector<std::string> held_back() const;
  std::string why_held_back(const held_back_change& change) const;
  bool is_linked(const node_id& node) const;
  bool has_stopped(const dot& last, const version_vector& reported) const;
  std::optional<path> beginning_of(const node_id& node) const;
  bool is_known(const node_id& node) const;
  bool gives_up(const node_id& node) const;
  std::vector<std::string> giving_up() const;
  std::vector<node_id> strangers() const;
  std::optional<error> apply_in_time(peer_id peer, apply_changes::part& part);
  std::optional<error> apply(peer_id peer, apply_changes::part& part);
  void tell_of(apply_outcome& outcome);
  void carry_out(peer_id peer, report_mismatch& effect);
  void carry_out(peer_id peer, report_roots& effect);
  void carry_out(peer_id peer, report_forgotten& effect);
  void carry_out(peer_id peer, need_state& effect);
  void carry_out(peer_id peer, give_state& effect);
  void carry_out(peer_id peer, take_state& effect);
  void carry_out(peer_id peer, close_session& effect);
  void release();
  void tell(applied_change change);
  void forget(peer_id peer);
  void tell_links();

  void log(log_severity severity, std::string_view event, std::vector<sync_log_field> fields);

  context_engine engine_;
  commit_queue queue_;
  processed_changes committed_, log_base_;
  members members_;
  bool members_changed_ = false;             ///< Since they were read from the state.
  bool has_met_members_ = false;             ///< It has caught up with others as a member, once.
  std::map<node_id, std::uint64_t> spoken_;  ///< The incarnation in which each has greeted.
  std::set<peer_id> kept_out_;               ///< Of the links that there are.
  member_waits member_waits_;
  leases leases_;
  lagging_members lagging_;
  std::uint64_t next_forget_ms_ = 0;
  bool may_rejoin_ = false;  ///< It has the state of who has forgotten it, and is to join again.
  /// It is forgotten, and waits for the disk and for its store.
  enum class leaving { no, waiting, asked } leaving_ = leaving::no;
  std::uint64_t next_leave_ms_ = 0;
  std::optional<error> unleft_;  ///< Why its store cannot begin anew.
  std::string unsent_;           ///< Where what it had not sent was kept.
  acknowledgements waiting_;
  checkpoint_schedule checkpoints_;
  struct open_settle {
    std::uint64_t deadline_ms;
    std::uint64_t upto;  ///< Of what was added to the queue.
  };
  std::map<context_request, open_settle> settles_;
  log_collection collection_;
  stable_cut cut_;
  state_transfers transfers_;
  std::optional<restoration> restoring_;
  std::size_t adopting_ = 0;        ///< States in the queue.
  bool checkpoint_wanted_ = false;  ///< Because a part of the log is damaged.
  std::uint64_t next_wanted_ms_ = 0;
  clock_watch clocks_;
  peer_clocks peer_clocks_;
  rest_search rests_;
  std::vector<held_back_change> held_back_;  ///< The latest ones; one for each writer.
  scrub_schedule scrubs_;
  std::uint64_t mended_ = 0;            ///< By scrubs.
  std::uint64_t mended_now_ = 0;        ///< By the one under way.
  bool has_freed_ = false;              ///< Memory, maybe much.
  std::uint64_t may_give_back_ms_ = 0;  ///< From then on.
  std::optional<error> unscrubbed_;     ///< Why the latest scrub could not go on.
  std::string unreadable_;              ///< Why the log could not be read when it was last tried.
  std::optional<error> gone_files_;     ///< Why the latest look at the files found them not.
  std::map<node_id, std::uint64_t> next_join_ms_;  ///< From a node; of at most `max_backoffs`.
  std::uint64_t next_compare_ms_ = 0;
  version_vector wanted_base_;  ///< For which the state under way is taken.
  /// This node has yet to catch up with what they had when it met them: nothing is covered before
  /// they have said what that is.
  std::map<peer_id, std::optional<version_vector>> behind_;
  std::set<peer_id> differ_;  ///< Their states are known to differ, and why.
  watcher_book watchers_;
  peer_sessions peers_;
  early_notifications early_;
  change_reports reports_;
  event_time now_;  ///< Of the latest event that had a time.
  std::size_t max_long_reads_, long_reads_ = 0;
  bool joins_;
  std::size_t max_member_waits_;
  std::vector<sync_effect> effects_;
};

}  // namespace troupe
