#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include <troupe/actors/context/sync/members.hpp>
#include <troupe/actors/context/sync_ids.hpp>
#include <troupe/actors/context/writes.hpp>

namespace troupe {

/// Writes of this node that are durable here and wait until enough other members have them. First
/// come, first served within a level. Bounded by its user. Pure.
class member_waits {
public:
  struct wait {
    context_request request;
    values_written written;
    durability level = durability::majority;
    dot last;  ///< The last change of the write; 0 when it has none.
    /// The changes of any node that made what the write did not have to write: they count like its
    /// own. Empty for most.
    version_vector rests_on;
    std::uint64_t deadline_ms = 0;  ///< In the time of `event_time::steady_ms`.
  };

  /// @param who its change comes after those that wait.
  void add(wait who) {
    (who.rests_on.entries().empty() ? waiting_of(who.level) : resting_).push_back(std::move(who));
  }
  /// Removes the first wait for which enough members have committed the changes.
  /// @param mine tells which incarnations have ended.
  std::optional<wait> next(const members& known, const processed_changes& mine);
  /// Removes the first wait whose time is over.
  std::optional<wait> expired(std::uint64_t now_ms);

  /// How many members besides this node a level needs.
  static std::size_t others_for(durability level, const members& known) noexcept;

  std::size_t size() const noexcept { return majority_.size() + all_.size() + resting_.size(); }

private:
  std::deque<wait>& waiting_of(durability level) noexcept {
    return level == durability::majority ? majority_ : all_;
  }

  std::deque<wait> majority_, all_;
  std::deque<wait> resting_;  ///< Of both levels, those that rest on changes of others.
};

}  // namespace troupe
