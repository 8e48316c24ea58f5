#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/members.hpp>

namespace troupe {

/// Decides which tombstones may go. A tombstone keeps away a write that did not know of the
/// erasure, so it is needed while such a write can still come, or be seen without it:
///
/// 1. This node notes what it has (a mark), and waits until all members have committed that, itself
///    among them. What a member writes from then on knows of each erasure in the mark.
/// 2. It notes what the members have said to have by then, and waits until it has that, too. Now it
///    has every write of a member that did not know. The mark is stable here, and it says so.
/// 3. When all members have said the same of a mark of this node, each of them knows that a write
///    at such a path means no conflict with the tombstone, and this node removes them, some at each
///    step.
///
/// One mark at a time is on its way, so writers who never pause do not starve it. A member that is
/// away holds it back until it is forgotten. Then the mark is made anew, so that it has the change
/// that says so: who has committed that takes no changes from the forgotten node any more. Pure.
class stable_cut {
public:
  /// A mark is made so long after the one before, if there is anything new.
  static constexpr std::uint64_t mark_every_ms = 5'000;
  /// A mark that is on its way for so long is given up.
  static constexpr std::uint64_t give_up_ms = 60'000;
  /// Tombstones that are looked at in one step.
  static constexpr std::size_t step_size = 2'000;

  /// Goes on, and tells the engine. Call a few times a second. O(incarnations + `step_size` * log
  /// n).
  /// @param committed what this node has on its disk. @param is_current it has caught up with its
  /// peers since it met them, so it knows the members. @returns how many tombstones have gone, when
  /// the last one of a mark has; otherwise 0.
  std::uint64_t step(context_engine& engine, const processed_changes& committed,
                     const members& known, bool is_current, std::uint64_t now_ms);

  /// What is stable here.
  const version_vector& stable() const noexcept;

private:
  using changes = std::shared_ptr<const processed_changes>;
  void mark(context_engine& engine, const processed_changes& committed, const members& known,
            bool is_current, std::uint64_t now_ms);
  std::uint64_t sweep(context_engine& engine, const processed_changes& committed,
                      const members& known);

  changes stable_;                        ///< Null before the first step.
  changes mark_;                          ///< On its way; null when there is none.
  std::optional<version_vector> needed_;  ///< Of the members, when all had the mark.
  std::uint64_t next_mark_ms_ = 0;
  std::uint64_t departures_ = 0;  ///< `members::departures` when the mark was made.
  changes swept_;  ///< What is collected, or waits for the members to know; null when nothing is.
  std::optional<path> at_;     ///< Where the sweep goes on; nothing before it has begun.
  std::uint64_t removed_ = 0;  ///< Of what is being swept.
  version_vector done_;        ///< What was swept last.
};

}  // namespace troupe
