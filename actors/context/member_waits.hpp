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
    dot last;                       ///< The last change of the write.
    std::uint64_t deadline_ms = 0;  ///< In the time of `event_time::steady_ms`.
  };

  /// @param who its change comes after those that wait.
  void add(wait who) { waiting_of(who.level).push_back(std::move(who)); }
  /// Removes the first wait for which enough members have committed the change.
  std::optional<wait> next(const members& known);
  /// Removes the first wait whose time is over.
  std::optional<wait> expired(std::uint64_t now_ms);

  /// How many members besides this node a level needs.
  static std::size_t others_for(durability level, const members& known) noexcept;

  std::size_t size() const noexcept { return majority_.size() + all_.size(); }

private:
  std::deque<wait>& waiting_of(durability level) noexcept {
    return level == durability::majority ? majority_ : all_;
  }

  std::deque<wait> majority_, all_;
};

}  // namespace troupe
