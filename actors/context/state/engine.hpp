#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <troupe/actors/context/state/clock.hpp>
#include <troupe/actors/context/state/live_dots.hpp>
#include <troupe/actors/context/state/record_rules.hpp>
#include <troupe/actors/context/state/reorder_buffer.hpp>
#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/actors/context/state/tree.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/sync.hpp>

namespace troupe {

/// Two changes that one dot was given to, by a copied machine or a defect, or the one that is
/// known.
struct equivocation {
  struct dot dot;
  std::vector<change_record> records;

  /// Whether one of them is a change of this path.
  bool concerns(const path& where) const;

  static constexpr auto fields() {
    return std::tuple{required("dot", &equivocation::dot),
                      required("records", &equivocation::records)};
  }
  friend bool operator==(const equivocation&, const equivocation&) = default;
};

/// Everything that a replica's future depends on, as of one moment. Copying it is cheap but for
/// `overwritten`, since the tree is a snapshot.
struct engine_state {
  context_tree tree;
  version_vector vector;
  std::vector<dot> overwritten;  ///< Known to be overwritten, not received; sorted.
  timestamp clock;               ///< Latest time given or taken in.
  std::vector<equivocation> quarantine;
};

/// A change that has become part of the state.
struct applied_change {
  change_record record;   ///< With `previous_value`.
  bool conflict = false;  ///< The path has two or more siblings now.
  bool visible = false;   ///< What readers see at the path has changed.
  /// What they see now, when that is another write than this one: of several siblings one is gone
  /// and another one counts.
  std::optional<change_record> instead;
};

/// What became of a change from another node.
enum class apply_status : std::uint8_t {
  applied,    ///< It is part of the state, and so are the waiting changes that it let through.
  duplicate,  ///< It was known already.
  buffered,   ///< Earlier changes of its run are missing; it waits. See `missing`.
  refused,    ///< It cannot be taken, now or later, and so neither can the rest of its run: see
              ///< `declined`.
  malformed,  ///< No replica makes such a change: whoever has sent it broke the protocol. It says
              ///< nothing about its run.
  overflow,   ///< It would pass a bound. It was not taken; sent again later it may be.
};

struct apply_outcome {
  apply_status status = apply_status::applied;
  /// In the order in which they became part of the state, which is the order to store them in.
  std::vector<applied_change> applied;
  /// What readers see now where this alarm took from them what they saw, as watchers are told it:
  /// the write that counts instead, or an erasure that nobody made. It is no change of its own, and
  /// not to be stored.
  std::optional<change_record> seen_instead;
  /// Of `refused`, `malformed` and `overflow`; of `applied`, why a waiting change was not let
  /// through, or what is odd.
  std::optional<error> problem;
  /// Somebody else writes under a node's identity: one dot was used for two changes
  /// (`corrupt_data`), or a change claims what this node did not do (`already_exists`). A node runs
  /// twice, its disk was copied, or a peer lies. An operator must know.
  bool alarm = false;
};

/// The state machine of one replica of the context: which writes live, what readers see, what is
/// still missing.
///
/// Every change is named by a dot and lists the dots that it overwrote. A path holds the writes
/// that no known write has overwritten, so replicas that processed the same changes hold the same
/// siblings, in whatever order the changes came. (Dotted version vectors: Preguiça et al., 2010.) A
/// change may overwrite dots that have not arrived; they are remembered until they do. A write is
/// taken to overwrite also the earlier writes of its own run to its path, which a run always does.
///
/// What grows: one entry of the vector for each run of a node; one tombstone for each erased path;
/// `overwritten`, while changes are missing. All but the tombstones are bounded by `engine_limits`.
///
/// Not thread-safe: one actor owns it. `snapshot` and `state` may be read on other threads.
class context_engine {
public:
  static constexpr std::uint32_t max_value_depth = troupe::max_value_depth;

  /// @param self this node. @param incarnation of this run, never used before by this node; at
  /// least 1.
  /// @param rule decides between siblings; not null.
  /// @throws std::invalid_argument when one of these is malformed, or the state has seen this run
  /// already.
  context_engine(
      node_id self, std::uint64_t incarnation, engine_state restored = {},
      engine_limits limits = {},
      std::shared_ptr<const conflict_resolution> strategy = std::make_shared<last_writer_wins>());

  // -- changing -----------------------------------------------------------------------------------

  /// A change of this node. It overwrites all siblings of the path and becomes the only one.
  /// @param given ignored for an erasure.
  /// @param now_ms wall time, milliseconds since 1970.
  /// @returns the record, with `previous_value`; or not_found (erasing what readers do not see),
  /// permission_denied
  ///          (`/_sys` for others than the principal "system"), limit_exceeded, unavailable (this
  ///          run's identity is in use elsewhere, or the clock is beyond all measure).
  result<change_record> write(operation op, const path& where, value given, std::string principal,
                              trace_id trace, std::uint64_t now_ms);

  /// A change of another node, or of an earlier run of this one.
  ///
  /// Siblings are never dropped to keep a path small: which to drop would depend on the order of
  /// arrival, and a write would be lost unseen. Instead their number is bounded by how they arise:
  /// a node overwrites what it sees, so each node has at most one live write per path, and one more
  /// for each time that its disk was set back. A change beyond `max_siblings` stays with its origin
  /// (`overflow`) and is applied once a write to the path has made room.
  ///
  /// Two changes under one dot are told apart while the first is a live sibling or waits; what has
  /// been overwritten is not remembered. Both are then put in quarantine, and no further change of
  /// that run is taken. The next write to either path overwrites the dot on all replicas.
  ///
  /// A change may have overwritten changes of other runs that are still to come here, but none of
  /// this run that this run did not make: that one would be lost as soon as it is made. Such a
  /// change is refused with an alarm. A change that calls itself one of an earlier run of this
  /// node, far ahead of wall time, is applied with an alarm and does not move the clock.
  apply_outcome apply(change_record record, std::uint64_t now_ms);

  /// A change out of this node's own log, at start. Changes that the restored state covers are
  /// passed over.
  /// @returns corrupt_data when an earlier change of its run is missing.
  result<void> replay(change_record record, std::uint64_t now_ms);

  // -- reading ------------------------------------------------------------------------------------

  /// What readers see, or nothing. O(log n).
  std::optional<value> view(const path& where) const;
  /// The writes that compete for a path, and which of them counts; also those in quarantine. Values
  /// that are too much for one answer together are left out, and the rule says so.
  value_explained explain(const path& where) const;
  /// The entries, siblings and all. O(1); stays as it is.
  context_tree snapshot() const { return tree_; }
  const context_tree& tree() const noexcept { return tree_; }
  /// Whether `write` would accept this put: not `permission_denied`, `limit_exceeded`,
  /// `invalid_argument` or `unavailable`.
  result<void> check_write(const path& where, const value& given,
                           const std::string& principal) const;

  /// For a checkpoint.
  engine_state state() const;
  const conflict_resolution& strategy() const noexcept { return *strategy_; }
  std::shared_ptr<const conflict_resolution> shared_strategy() const { return strategy_; }

  /// What has been processed without gaps.
  const version_vector& vector() const noexcept { return vector_; }
  state_hash root_hash() const noexcept { return tree_.hash(); }
  state_hash subtree_hash(const path& top) const { return tree_.subtree(top).hash; }
  /// The changes that those which wait are waiting for.
  std::vector<dot_range> missing() const { return waiting_.missing(vector_); }
  /// Runs of which no further change is taken before the next start: one of theirs was refused.
  std::vector<incarnation_id> declined() const { return {declined_.begin(), declined_.end()}; }
  const std::vector<equivocation>& quarantine() const noexcept { return quarantine_; }

  /// Paths that have two or more siblings now.
  std::size_t conflicts() const noexcept { return conflicts_; }
  /// Paths that have a value for readers now.
  std::size_t values() const noexcept { return values_; }
  std::size_t buffered() const noexcept { return waiting_.size(); }
  std::size_t overwritten() const noexcept { return overwritten_.size(); }
  incarnation_id own_incarnation() const noexcept { return {self_, incarnation_}; }

private:
  bool has_too_many_incarnations(const node_id& origin) const;
  bool claims_our_future(const change_record& record) const;
  std::optional<std::string> passed_bound(const change_record& record) const;
  apply_outcome refuse(const incarnation_id& run, error_code code, std::string why);
  apply_outcome isolate(const incarnation_id& run, equivocation found);
  apply_outcome buffer(change_record record);
  apply_outcome accept(change_record record, std::uint64_t content, std::uint64_t now_ms);

  applied_change integrate(change_record record, std::uint64_t content);
  bool overwrites(const change_record& record, const sibling& existing) const;
  void store_siblings(const path& where, std::vector<sibling> siblings);
  std::optional<value> view_of(const tree_entry* entry) const;
  bool shows_value(const tree_entry* entry) const;
  std::optional<change_record> seen_instead_of(const change_record& record,
                                               const tree_entry* entry) const;
  const tree_entry* find_live(const dot& id) const;
  change_record remove_live(const path& where, const dot& id);
  bool take_time(const change_record& record, std::uint64_t now_ms);

  node_id self_;
  std::uint64_t incarnation_;
  engine_limits limits_;
  std::shared_ptr<const conflict_resolution> strategy_;
  hybrid_clock clock_;
  context_tree tree_;
  version_vector vector_;
  std::set<dot> overwritten_;
  live_dots live_;
  reorder_buffer waiting_;
  std::set<incarnation_id> declined_;
  std::vector<equivocation> quarantine_;
  std::size_t conflicts_ = 0;
  std::size_t values_ = 0;
};

}  // namespace troupe
