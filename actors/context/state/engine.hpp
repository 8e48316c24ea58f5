#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/clock.hpp>
#include <troupe/actors/context/state/record_rules.hpp>
#include <troupe/actors/context/state/reorder_buffer.hpp>
#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Two changes under one dot, made by a copied machine or a defect; or one, when the other is not
/// known.
struct equivocation {
  struct dot dot;
  std::vector<change_record> records;

  /// Whether one of the changes is of this path.
  bool concerns(const path& where) const;

  static constexpr auto fields() {
    return std::tuple{required("dot", &equivocation::dot),
                      required("records", &equivocation::records)};
  }
  friend bool operator==(const equivocation&, const equivocation&) = default;
};

/// Everything that a replica's future depends on, at one time. Copying it costs O(overwritten): the
/// tree is a snapshot.
struct engine_state {
  context_tree tree;
  version_vector vector;
  std::vector<dot> overwritten;  ///< Known to be overwritten, not received yet. Sorted.
  timestamp clock;               ///< The latest time given or observed.
  std::vector<equivocation> quarantine;
};

/// A change that has become part of the state.
struct applied_change {
  change_record record;   ///< With `previous_value`.
  bool conflict = false;  ///< The path has two or more siblings now.
  bool visible = false;   ///< What readers see at the path has changed.
  /// What readers see now when it is another write: this change took a sibling away and another
  /// sibling wins.
  std::optional<change_record> instead;
};

/// The outcome for a change from another node.
enum class apply_status : std::uint8_t {
  applied,    ///< It is part of the state, with the buffered changes that waited for it.
  duplicate,  ///< It was known already.
  buffered,   ///< Earlier changes of its incarnation are missing; it waits. See `missing`.
  refused,    ///< It cannot be applied, now or later. Neither can the rest of its incarnation: see
              ///< `declined`.
  malformed,  ///< No replica makes such a change, so its sender broke the protocol. Its
              ///< incarnation is not blamed.
  overflow,   ///< It would pass a bound and was not applied. It may be sent again later.
};

/// What `context_engine::apply` did with a change of another node.
struct apply_outcome {
  apply_status status = apply_status::applied;
  /// In the order in which they became part of the state. Store them in this order.
  std::vector<applied_change> applied;
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

/// The state machine of one replica of the context: which writes live, what readers see, which
/// changes are missing.
///
/// Every change has a dot and lists the dots that it overwrote. A path holds the writes that no
/// known write has overwritten. So replicas that processed the same changes hold the same siblings,
/// in whatever order the changes came. (Dotted version vectors: Preguiça et al., 2010.) A change
/// may overwrite dots that have not arrived; the engine remembers them until they do. A write also
/// overwrites the earlier writes of its own incarnation to its path.
///
/// What grows: one vector entry for each incarnation of a node; one tombstone for each erased path;
/// `overwritten`, while changes are missing. `engine_limits` bounds all but the tombstones.
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

  /// A change of this node. It overwrites all siblings of the path and becomes the only one.
  /// @param given ignored for an erasure.
  /// @param now_ms wall time, milliseconds since 1970.
  /// @returns the record, with `previous_value`; or not_found (erasing what readers do not see),
  ///          permission_denied (`/_sys` for principals other than "system"), limit_exceeded,
  ///          unavailable (this node's identity is in use elsewhere, or its clock is absurd).
  result<change_record> write(operation op, path where, value given, std::string principal,
                              trace_id trace, std::uint64_t now_ms);

  /// A change of another node, or of an earlier incarnation of this one.
  ///
  /// The engine never drops siblings to keep a path small: the choice would depend on the order of
  /// arrival, and a write would be lost silently. Their number is bounded by how they arise: a node
  /// overwrites what it sees, so each node has at most one live write per path, and one more for
  /// each time that its disk was set back. A change beyond `max_siblings` stays with its origin
  /// (`overflow`) and is applied once a write to the path has made room.
  ///
  /// The engine detects two changes under one dot while the first is a live sibling of the same
  /// path or is buffered; it does not remember overwritten changes, and has no index of all dots.
  /// Two changes of different paths leave replicas with equal vectors and different hashes, which
  /// their sessions report. Detected changes go into quarantine, and no further change of
  /// that incarnation is applied. The next write to either path overwrites the dot on all replicas.
  ///
  /// A change may overwrite changes of other incarnations that have not arrived. It must not
  /// overwrite changes of this incarnation that this node did not make: such a write would be lost
  /// as soon as it is made. The engine refuses such a change with an alarm. A change in the name of
  /// an earlier incarnation of this node, far ahead of wall time, is applied with an alarm and does
  /// not move the clock.
  apply_outcome apply(change_record record, std::uint64_t now_ms);

  /// A change from this node's own log, at start. Skips changes that the restored state covers.
  /// @returns corrupt_data when an earlier change of its incarnation is missing.
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
  /// Whether `write` would accept this put. Fails with permission_denied, limit_exceeded,
  /// invalid_argument or unavailable.
  result<void> check_write(const path& where, const value& given,
                           const std::string& principal) const;

  /// For a checkpoint.
  engine_state state() const;
  const conflict_resolution& strategy() const noexcept { return *strategy_; }
  std::shared_ptr<const conflict_resolution> shared_strategy() const { return strategy_; }

  /// The changes that were processed without gaps.
  const version_vector& vector() const noexcept { return vector_; }
  state_hash root_hash() const noexcept { return tree_.hash(); }
  state_hash subtree_hash(const path& top) const { return tree_.subtree(top).hash; }
  /// The changes that buffered changes wait for.
  std::vector<dot_range> missing() const { return waiting_.missing(vector_); }
  /// Incarnations of which no further change is applied before the next start, because one of
  /// their changes was refused.
  std::vector<incarnation_id> declined() const { return {declined_.begin(), declined_.end()}; }
  const std::vector<equivocation>& quarantine() const noexcept { return quarantine_; }

  /// Paths with two or more siblings.
  std::size_t conflicts() const noexcept { return conflicts_; }
  /// Paths with a value for readers.
  std::size_t values() const noexcept { return values_; }
  std::size_t buffered() const noexcept { return waiting_.size(); }
  std::size_t overwritten() const noexcept { return overwritten_.size(); }
  const incarnation_id& own_incarnation() const noexcept { return own_; }

private:
  bool has_too_many_incarnations(const node_id& origin) const;
  bool claims_our_future(const change_record& record) const;
  std::optional<std::string> passed_bound(const change_record& record) const;
  apply_outcome refuse(const incarnation_id& source, error_code code, std::string why);
  apply_outcome isolate(const incarnation_id& source, equivocation found);
  apply_outcome buffer(change_record record);
  apply_outcome accept(change_record record, std::uint64_t content, std::uint64_t now_ms);

  template <class Complete>
  void integrate(applied_change& change, const Complete& complete);
  applied_change integrate(change_record record, std::uint64_t content);
  bool overwrites(const change_record& record, const sibling& existing) const;
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
  bool take_time(const change_record& record, std::uint64_t now_ms);

  incarnation_id own_;
  engine_limits limits_;
  std::shared_ptr<const conflict_resolution> strategy_;
  hybrid_clock clock_;
  context_tree tree_;
  version_vector vector_;
  std::set<dot> overwritten_;
  reorder_buffer waiting_;
  std::set<incarnation_id> declined_;
  std::vector<equivocation> quarantine_;
  std::size_t conflicts_ = 0;
  std::size_t values_ = 0;
};

}  // namespace troupe
