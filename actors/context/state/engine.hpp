// This file is long because it has all that an engine is asked, and what it answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/awaited_changes.hpp>
#include <troupe/actors/context/state/clock.hpp>
#include <troupe/actors/context/state/open_transactions.hpp>
#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/state/record_rules.hpp>
#include <troupe/actors/context/state/reorder_buffer.hpp>
#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Two changes under one dot, made by a copied machine, a defect or a node that lies.
struct equivocation {
  struct dot dot;
  std::vector<change_record> records;
  /// `content_hash` of each as it came: the state does not keep all of a record.
  std::vector<std::uint64_t> contents;

  /// Whether one of the changes is of this path.
  bool concerns(const path& where) const;
  /// Of all records.
  std::uint64_t weight() const noexcept;

  static constexpr auto fields() {
    return std::tuple{required("dot", &equivocation::dot),
                      required("records", &equivocation::records),
                      required("contents", &equivocation::contents)};
  }
  friend bool operator==(const equivocation&, const equivocation&) = default;
};

/// Everything that a replica's future depends on, at one time. Copying it costs O(incarnations that
/// are known): the tree is a snapshot.
struct engine_state {
  context_tree tree;
  /// The changes that are part of it. Of an open transaction, none is.
  processed_changes processed;
  timestamp clock;  ///< The latest time given or observed.
  std::vector<equivocation> quarantine;
  std::shared_ptr<const processed_changes> stable;  ///< See `context_engine::set_stable`; or null.
  /// The times of changes of earlier incarnations of this node do not count: its clock was wrong.
  std::uint64_t clock_since = 0;
};

/// A change that has become part of the state.
struct applied_change {
  change_record record;   ///< With `previous_value`.
  bool conflict = false;  ///< Two or more writes compete for the path now.
  bool visible = false;   ///< What readers see at the path has changed.
  /// What readers see now when it is another write: this change took a sibling away and another
  /// sibling wins.
  std::optional<change_record> instead;
  /// What an erasure of a subtree did to readers of each path: an erasure of that path, or the
  /// write that wins instead. For watchers only; they are no changes and must not be stored.
  std::vector<change_record> below;
};

/// A write that is to be made together with others.
struct local_write {
  operation what = operation::put;
  class path path;
  value new_value;  ///< Ignored for an erasure; what an increment adds.
};

/// The outcome for a change from another node.
enum class apply_status : std::uint8_t {
  applied,    ///< It is part of the state, or of a transaction that is still open, with the
              ///< buffered changes that waited for it.
  duplicate,  ///< It was known already.
  buffered,   ///< Earlier changes of its incarnation are missing, or changes that it overwrote; it
              ///< waits. See `missing`.
  refused,    ///< It cannot be applied, and neither can what its sender has of that incarnation
              ///< after it.
  malformed,  ///< No replica makes such a change, so its sender broke the protocol. Its
              ///< incarnation is not blamed.
  overflow,   ///< It would pass a bound and was not applied. It may be sent again later.
};

/// What `context_engine::apply` did with a change of another node.
struct apply_outcome {
  apply_status status = apply_status::applied;
  /// What became part of the state, in order. Nothing, for a change of a transaction that is still
  /// open; all of the transaction, for its last change.
  std::vector<applied_change> applied;
  /// The buffered changes of any incarnation that were taken after this one, in order. Store them
  /// after it, and before what is taken later.
  std::vector<change_record> released;
  /// What readers see now, when an alarm removed what they saw: the write that wins instead, or
  /// an erasure that no replica made. For watchers only; it is not a change and must not be stored.
  std::optional<change_record> seen_instead;
  /// The reason for `refused`, `malformed` and `overflow`. With `applied`: why a buffered change
  /// still waits, or what is suspicious.
  std::optional<error> problem;
  /// A node's identity is used twice: one dot names two changes (`corrupt_data`), or a change
  /// claims what this node did not do (`already_exists`). A node runs twice, its disk was copied,
  /// or a peer lies. An operator must know.
  bool alarm = false;
};

/// Which paths somebody wants to be told of; empty: none.
using path_filter = std::function<bool(const path&)>;

/// What `context_engine::join` did.
struct join_outcome {
  /// What readers see now at each path that is wanted, where that has changed: the write that wins,
  /// or an erasure that no replica made. For watchers only; they are no changes and must not be
  /// stored.
  std::vector<change_record> seen;
  std::uint64_t taken = 0;    ///< Writes that live here now.
  std::uint64_t dropped = 0;  ///< Writes that lived here, and have been overwritten there.
};

/// What `context_engine::drop_collected` did.
struct compare_outcome {
  std::vector<change_record> seen;  ///< As `join_outcome::seen`.
  std::uint64_t dropped = 0;        ///< Tombstones.
  /// A path where the replicas differ in more than tombstones, if there is one.
  std::optional<path> differs;
};

/// The state machine of one replica of the context: which writes live, what readers see, which
/// changes are missing.
///
/// Every change has a dot and names the changes that it overwrote. A path holds the writes that no
/// known write has overwritten. So replicas that processed the same changes hold the same siblings,
/// in whatever order the changes came. (Dotted version vectors: Preguiça et al., 2010.) A write
/// also overwrites the earlier writes of its own incarnation to its path.
///
/// A change waits until those that it overwrote have arrived, so readers never see an effect before
/// its cause, and a change that says to have overwritten what does not exist is taken nowhere. It
/// overwrites the very change that its writer saw: what has another content or another path stays.
///
/// The changes of a transaction become part of the state when the last one has arrived. An erasure
/// of a subtree leaves nothing in the state: it takes away what it names. A transaction that is
/// lost, see `lost_transactions`, becomes no part of the state.
///
/// What grows: one vector entry for each incarnation of a node that its next one has not ended; one
/// tombstone for each erased path, until it is collected; what waits and what is open, while
/// changes are missing. `engine_limits` bounds all but the tombstones.
///
/// Pure, and not thread-safe. `snapshot` and `state` may be read on other threads.
class context_engine {
public:
  static constexpr std::uint32_t max_value_depth = troupe::max_value_depth;

  /// @param self this node. @param incarnation at least 1 and never used before by this node.
  /// @param strategy decides between siblings; not null.
  /// @throws std::invalid_argument when one of these is malformed, or the state has changes of this
  /// incarnation already.
  context_engine(
      node_id self, std::uint64_t incarnation, engine_state restored = {},
      engine_limits limits = {},
      std::shared_ptr<const conflict_resolution> strategy = std::make_shared<last_writer_wins>());

  // -- changing -----------------------------------------------------------------------------------

  /// A change of this node. A put or an erasure overwrites all siblings of the path and becomes the
  /// only one; an increment joins the others.
  /// @param op not `erase_subtree`. @param given ignored for an erasure; what an increment adds.
  /// @param now_ms wall time, milliseconds since 1970.
  /// @returns the record, with `previous_value`; or not_found (erasing what readers do not see),
  ///          permission_denied (`/_sys` for principals other than "system"), limit_exceeded,
  ///          invalid_argument or failed_precondition (incrementing what is no integer),
  ///          unavailable (its clock is absurd).
  result<change_record> write(operation op, path where, value given, std::string principal,
                              trace_id trace, std::uint64_t now_ms);

  /// Writes of this node that readers see all at once: one transaction, unless there is only one
  /// change. An erasure of a subtree takes what was there before the transaction, and becomes
  /// several changes when it is large.
  /// @returns the changes, with `previous_value`, in order; or as `write`, when one write cannot be
  ///          made: then none is. invalid_argument when two of them name one path, unless both put.
  result<std::vector<applied_change>> write_together(std::vector<local_write> writes,
                                                     std::string principal, trace_id trace,
                                                     std::uint64_t now_ms);

  /// A change of another node, or of an earlier incarnation of this one.
  ///
  /// The engine never drops siblings to keep a path small: the choice would depend on the order of
  /// arrival, and a write would be lost silently. Their number is bounded by how they arise: a node
  /// overwrites what it sees, so each node has at most one live write per path, an increment
  /// besides, and more for each time that its disk was set back. A change beyond `max_siblings`
  /// stays with its origin (`overflow`) and is applied once a write to the path has made room.
  ///
  /// The engine detects two changes under one dot while the first is a live sibling of the same
  /// path or is buffered; it does not remember overwritten changes, and has no index of all dots.
  /// Two changes of different paths leave replicas with equal vectors and different hashes, which
  /// their sessions report. Detected changes go into quarantine, up to a bound; at the bound the
  /// first one counts. The next write to the path overwrites both on all replicas. The incarnation
  /// goes on: others may have overwritten what it wrote later, and would have to wait for ever.
  ///
  /// A change of this very incarnation that this node has not made is refused with an alarm:
  /// another node runs under this identity, or a node lies. One that says to have overwritten what
  /// this node has yet to write waits, with an alarm. One in the name of an earlier incarnation of
  /// this node, far ahead of wall time, is applied with an alarm and does not move the clock. One
  /// in the name of a later incarnation is applied with an alarm.
  /// @param from who has sent it: see `drop_waiting_from`. This node itself, when it comes from its
  /// own log: then no bound keeps it out that it has passed before.
  apply_outcome apply(change_record record, std::uint64_t now_ms, const node_id& from = {});

  /// Takes out of quarantine what these local writes overwrite; counts the dots.
  std::size_t release_quarantine(const std::vector<applied_change>& by);
  /// Whether a local write has let changes go. Then call `release`.
  bool has_ready() const noexcept { return !ready_.empty(); }
  /// Applies the buffered changes that local writes have let go. They are `released`.
  apply_outcome release(std::uint64_t now_ms);

  // -- tombstones ---------------------------------------------------------------------------------

  /// All members have processed these changes, and this replica has processed all that a member had
  /// made before. Another change at a path that holds nothing but a tombstone of these replaces it:
  /// its writer may have collected it.
  void set_stable(std::shared_ptr<const processed_changes> stable) { stable_ = std::move(stable); }
  /// What was set, or restored; null when nothing was.
  const std::shared_ptr<const processed_changes>& stable() const noexcept { return stable_; }
  /// Removes entries that are nothing but a tombstone of these changes. For what all members have
  /// been told to be stable. @param from where to begin. @param most how many tombstones to look
  /// at.
  /// @returns where to go on, or nothing at the end. O(most * log n).
  std::optional<path> collect(const processed_changes& upto, const path& from, std::size_t most);
  /// Removes tombstones that another replica has collected. @param theirs has processed nothing
  /// that is not part of the state here. Where more is, only what both have is compared: what is
  /// here and not there must be newer, while what is there and not here may have been overwritten
  /// since. O(differences * log n).
  compare_outcome drop_collected(const engine_state& theirs, const path_filter& wants);
  /// How many tombstones were removed since the start, other than by changes that overwrote them.
  std::uint64_t collected() const noexcept { return collected_; }

  // -- whole states -------------------------------------------------------------------------------

  /// Joins the whole state of another replica into this one, as if all changes that are part of it
  /// had come: a write that lives here stays unless the other replica has it and it lives there no
  /// more; a write that lives there is taken unless it is known here and lives here no more.
  /// Changes that waited for what has come are let go: see `has_ready`. What is open of a
  /// transaction that is lost there is let go, too. O(differences * log n).
  /// @param wants for `join_outcome::seen`.
  /// @returns corrupt_data when the state has a part of a transaction, and it is not lost;
  ///          failed_precondition when it counts one that is lost here, or the other way round:
  ///          then see `overruled_by`; already_exists when it has changes of this incarnation that
  ///          this node has not made; limit_exceeded when a path would have too many siblings, or
  ///          too many incarnations would be known. Nothing but the clock has changed then.
  result<join_outcome> join(const engine_state& theirs, std::uint64_t now_ms,
                            const path_filter& wants);

  /// A change from this node's own log, at start. Skips changes that the restored state covers.
  /// @returns corrupt_data when an earlier change of its incarnation is missing, or one that it
  ///          overwrote.
  result<void> replay(change_record record, std::uint64_t now_ms);

  // -- reading ------------------------------------------------------------------------------------

  /// What readers see, or nothing. O(log n).
  std::optional<value> view(const path& where) const;
  /// The version of a path. O(log n).
  value_version version(const path& where) const;
  /// The writes that compete for a path, the winner, and the writes in quarantine. Values that do
  /// not fit into one answer are left out, and `value_explained::rule` says so.
  value_explained explain(const path& where) const;
  /// The entries with their siblings. O(1). Never changes.
  context_tree snapshot() const { return tree_; }
  const context_tree& tree() const noexcept { return tree_; }
  /// Whether `write` would accept this put. Fails with permission_denied, limit_exceeded or
  /// invalid_argument.
  result<void> check_write(const path& where, const value& given,
                           const std::string& principal) const;

  engine_state state() const;
  const conflict_resolution& strategy() const noexcept { return *strategy_; }
  std::shared_ptr<const conflict_resolution> shared_strategy() const { return strategy_; }

  /// The changes that were processed without gaps, also of open transactions.
  const processed_changes& processed() const noexcept { return processed_; }
  /// In which incarnations nodes have said themselves that they run: `processed_changes::hold`. The
  /// bound on the incarnations of one node never refuses these.
  void hold(std::map<node_id, std::uint64_t> running) { processed_.hold(std::move(running)); }
  /// The same without those of open transactions: what is part of the state. O(incarnations).
  processed_changes applied() const;
  /// The time that the next local write would get.
  timestamp next_time(std::uint64_t now_ms) const noexcept { return clock_.next(now_ms); }
  /// What was processed, of incarnations that have not ended.
  const version_vector& vector() const noexcept { return processed_.vector(); }
  state_hash root_hash() const noexcept { return tree_.hash(); }
  state_hash subtree_hash(const path& top) const { return tree_.subtree(top).lasting_hash(); }
  /// The changes that buffered changes wait for and that peers may not know to be missing: those
  /// between others of their incarnation, and those of an incarnation that is older than the latest
  /// one that is known of its node. O(buffered).
  std::vector<dot_range> missing() const;
  const std::vector<equivocation>& quarantine() const noexcept { return quarantine_; }
  /// Whether a local write at its paths overwrites it.
  bool is_overwritable(const equivocation& found) const noexcept;

  /// Paths for which two or more writes compete.
  std::size_t conflicts() const noexcept { return conflicts_; }
  /// Paths with a value for readers, besides those of the system.
  std::size_t values() const noexcept { return values_; }
  std::size_t buffered() const noexcept { return waiting_.size(); }
  /// Changes of transactions whose last change has not arrived.
  std::size_t open() const noexcept { return transactions_.size(); }
  /// The changes with which others say of transactions that count here that they are lost. What
  /// those had overwritten is gone here, so this replica has to begin anew to be equal again.
  const version_vector& overruled_by() const noexcept { return overruled_by_; }
  /// Whether one of these is of this incarnation.
  bool has_open(const incarnation_id& source) const { return transactions_.find(source); }
  /// The first and the last change of each of these transactions, sorted. O(transactions).
  std::vector<open_transactions::ends> open_ends() const { return transactions_.all_ends(); }
  /// Drops the changes that wait for others and that a sender has sent, because it is gone. They
  /// must be sent again. O(changes that wait).
  void drop_waiting_from(const node_id& sender);
  const incarnation_id& own_incarnation() const noexcept { return own_; }
  const engine_limits& limits() const noexcept { return limits_; }

private:
  /// A local write that is ready to be made: a part of one, when it erases a large subtree.
  struct planned_write {
    local_write write;
    std::vector<observed_path> below;
  };
  result<void> check_can_write(std::uint64_t now_ms) const;
  result<void> check_operation(operation what, const path& where, const value& given) const;
  result<void> check_room_to_add(const path& where) const;
  std::int64_t own_amount(std::span<const sibling> siblings) const;
  void add_quarantined(change_record& record) const;
  std::optional<std::int64_t> next_amount(const path& where, std::int64_t added) const;
  std::uint64_t count(change_record& record, std::span<const sibling> seen) const;
  result<void> plan(local_write write, const std::string& principal,
                    std::vector<planned_write>& into) const;
  std::size_t quarantined_at(const path& where) const;
  std::uint64_t weight_of(const planned_write& planned, const std::string& principal) const;
  std::vector<version_entry> ended_by_first() const;
  std::vector<version_entry> needed_by(const std::vector<planned_write>& planned) const;
  std::vector<version_entry> all_before_next(std::vector<version_entry> after) const;
  std::uint64_t weight_of_after(std::vector<version_entry> after) const;
  applied_change make(planned_write planned, transaction_place place,
                      std::vector<version_entry> after, const std::string& principal,
                      trace_id trace, std::uint64_t now_ms);

  bool has_too_many_incarnations(const incarnation_id& source, bool joins) const;
  std::uint64_t last_of(const incarnation_id& source) const { return processed_.at(source); }
  bool has_arrived(const observed_change& seen) const noexcept;
  bool has_arrived(const dot& last) const noexcept;
  std::optional<dot> awaited_by(const change_record& record) const;
  std::optional<std::string> passed_bound(const change_record& record, const node_id& from) const;
  std::optional<std::string> too_many_siblings(const path& where,
                                               std::span<const change_record* const> changes,
                                               bool is_logged) const;
  static apply_outcome refuse(error_code code, std::string why);
  bool has_quarantine_room(const equivocation& more) const noexcept;
  apply_outcome isolate(equivocation found);
  apply_outcome isolate_beside(equivocation found);
  apply_outcome apply_one(change_record record, std::uint64_t now_ms, const node_id& from);
  apply_outcome apply_own(const change_record& record);
  apply_outcome apply_again(change_record record);
  apply_outcome buffer(change_record record, const node_id& from);
  apply_outcome buffer_until(const dot& awaited, change_record record, const node_id& from);
  apply_outcome accept(change_record record, std::uint64_t now_ms, const node_id& from);
  void release_ready(apply_outcome& outcome, std::uint64_t now_ms);
  bool is_lost(const change_record& record) const;
  bool counts(const dot& last) const;
  void overrule(const dot& last, const context_tree& by);
  void heed(const path& where);
  void heed_joined(const context_tree& before);
  void drop_waiting();
  void drop_waiting_of(const node_id& origin);
  void let_waits_go();
  void arrived(const dot& id);
  void many_arrived(const node_id& origin);
  std::optional<error> refusal_to_join(const engine_state& theirs,
                                       const processed_changes& both) const;
  bool may_be_collected(std::span<const sibling> siblings) const noexcept;
  void note_seen(const path& where, std::span<const sibling> before, std::span<const sibling> after,
                 std::vector<change_record>* seen);
  void all_arrived();

  void take(open_transactions::part next, std::vector<applied_change>& applied);
  void integrate(change_record record, std::uint64_t content, std::vector<applied_change>& applied);
  /// Gets the siblings of a path, may add to a record what it observed, and returns its content
  /// hash.
  using completer = std::function<std::uint64_t(std::span<const sibling>)>;
  void integrate_write(applied_change& change, const completer& complete);
  void integrate_below(applied_change& change);
  bool overwrites(const change_record& record, const sibling& existing) const;
  void count_value(const path& where, bool before, bool after) noexcept;
  void change_siblings(const path& where, const context_tree::changer& change);
  std::optional<value> view_of(const path& where, std::span<const sibling> siblings) const {
    return troupe::view_of(*strategy_, where, siblings);
  }
  bool shows(const path& where, std::span<const sibling> siblings,
             const std::optional<value>& seen) const;
  std::optional<change_record> seen_instead_of(const change_record& record,
                                               std::span<const sibling> siblings) const;
  std::optional<std::uint64_t> live_content(const path& where, const dot& id) const;
  change_record remove_live(const path& where, const dot& id);
  bool take_time(const dot& id, timestamp given, std::uint64_t now_ms);

  incarnation_id own_;
  engine_limits limits_;
  std::shared_ptr<const conflict_resolution> strategy_;
  hybrid_clock clock_;
  std::uint64_t clock_since_;
  context_tree tree_;
  processed_changes processed_;
  open_transactions transactions_;
  bool may_be_lost_ = false;  ///< Whether the tree has had values of `lost_transactions`.
  version_vector overruled_by_;
  awaited_changes awaited_;
  std::vector<incarnation_id> ready_;  ///< What they waited for has arrived.
  reorder_buffer waiting_;
  std::vector<equivocation> quarantine_;
  std::uint64_t quarantine_weight_ = 0;
  std::size_t conflicts_ = 0;
  std::size_t most_siblings_ = 0;  ///< That a path has had since the start.
  std::size_t values_ = 0;
  std::shared_ptr<const processed_changes> stable_;
  std::uint64_t collected_ = 0;
};

}  // namespace troupe
