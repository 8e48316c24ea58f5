#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <troupe/actors/context/commit_queue.hpp>
#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/actors/context/sync/log_range.hpp>

namespace troupe {

/// How a replica gets its state back. It begins with the empty state, and takes that of a peer:
/// whatever that has, it must have the base of the log. Then the replica's own log adds what the
/// peer did not have yet. Until then the replica takes no writes, and shows nothing but what could
/// be read of the old state, to those who ask for that.
///
/// A replica that others have overruled does the same without a log: it was forgotten, and what it
/// has and the peer does not may not know what was deleted meanwhile; or a transaction is lost that
/// counts here. What only it has is kept aside before the state is stored. It would have to begin
/// anew again if the peer did not know that it is overruled, so it waits a while for one that does.
/// Pure.
class restoration {
public:
  explicit restoration(std::shared_ptr<const saved_parts> saved) : saved_(std::move(saved)) {}

  /// The entries that could be read.
  const context_tree& entries() const noexcept { return saved_->entries; }
  const processed_changes& base() const noexcept { return saved_->base; }
  /// Whether the state was whole, but others have overruled this node.
  bool begins_anew() const noexcept { return !saved_->overruled_by.entries().empty(); }
  /// Whether a state with these changes has what the log may lack.
  bool is_enough(const processed_changes& state) const;
  /// Whether the state of a peer is to be taken now.
  /// @param has what the peer has, as far as known.
  bool may_take(const version_vector& has, std::uint64_t now_ms);
  /// Whether this node may give its state. Where the base is a guess, only one that was a member
  /// has all of it for certain.
  bool may_give(const node_id& node) const;
  /// The state of a peer is part of this one.
  void took_state() noexcept { has_state_ = true; }
  /// Whether the state is to come from a peer before the log can go on from it.
  bool needs_state(const processed_changes& state) const {
    return !is_enough(state) || !(has_state_ || known_base());
  }
  /// What the state of a peer must have.
  version_vector needed() const {
    return saved_->knows_base ? saved_->base.latest() : version_vector{};
  }
  /// What the log may lack, if that is known. Otherwise the state says what there is.
  const processed_changes* known_base() const noexcept {
    return saved_->knows_base && saved_->base != processed_changes{} ? &saved_->base : nullptr;
  }

  /// What the log has, was not processed, and may be read with success. O(incarnations).
  std::vector<log_range> lacking(const processed_changes& processed) const;
  /// What the old state had and a state with these changes and entries lacks: of each entry the
  /// siblings, and all of a counter. What is of a lost transaction counts nowhere, so it is
  /// lacking, too. The cluster's own entries, below `/_sys`, are not among them. O(entries * log
  /// n).
  context_tree unsent(const processed_changes& processed, const context_tree& now) const;
  /// Whether the state of a peer is there, and what it lacks is still to be kept aside.
  bool waits_to_keep_aside() const noexcept { return begins_anew() && has_state_ && !kept_aside_; }
  /// They are being kept, and then they are.
  void keeping_aside() noexcept { is_reading_ = true; }
  void kept_aside() noexcept {
    is_reading_ = false;
    kept_aside_ = true;
  }
  /// How many incarnations wait for changes that the log does not have.
  std::size_t blocked() const noexcept { return blocked_.size(); }
  /// The log is being read. @param state what the state has.
  void reading(const processed_changes& state);
  /// What was read is part of the state, as far as it can be. Of incarnations that have not got on,
  /// no more is read before others have.
  /// @param sources of what was read. @param processed what the state has now.
  void read(const std::set<incarnation_id>& sources, const processed_changes& processed);
  /// It could not be read: is tried again later.
  void read_failed(std::uint64_t now_ms) noexcept;
  /// Whether the log is not to be read now.
  bool is_busy(std::uint64_t now_ms) const noexcept {
    return is_reading_ || saving_ || now_ms < next_read_ms_;
  }
  /// The state is whole, as far as it can be, and is being stored.
  void saving(std::shared_ptr<const adopted_state> whole) { saving_ = std::move(whole); }
  /// Whether it is over when this is stored.
  bool ends_with(const std::shared_ptr<const adopted_state>& stored) const noexcept {
    return saving_ && saving_ == stored;
  }

private:
  std::shared_ptr<const saved_parts> saved_;
  bool has_state_ = false, is_reading_ = false, kept_aside_ = false;
  std::set<incarnation_id> blocked_;  ///< They wait for changes that the log does not have.
  std::uint64_t next_read_ms_ = 0;
  std::optional<std::uint64_t> since_ms_;  ///< When it first looked for a state.
  version_vector before_;                  ///< What the state had when the log was last read.
  std::shared_ptr<const adopted_state> saving_;
};

}  // namespace troupe
