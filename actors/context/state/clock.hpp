#pragma once

#include <cstdint>

#include <troupe/messages/context.hpp>

namespace troupe {

/// A hybrid logical clock: gives the timestamps of one node's changes. They follow wall time where
/// they can, never go back, and are later than every observed timestamp, so a change that happened
/// after another also looks later. (Kulkarni et al., "Logical Physical Clocks and Consistent
/// Snapshots in Globally Distributed Databases", 2014.) Pure.
///
/// Wall time is an argument in milliseconds since 1970 and may jump. Only its lower 48 bits count.
class hybrid_clock {
public:
  /// Timestamps of others further ahead of wall time do not move the clock: a node whose clock is
  /// wrong by hours must not drag the others along.
  static constexpr std::uint64_t max_skew_ms = 500;

  /// How far ahead of wall time the changes of an earlier incarnation of this node may be when
  /// peers send them. Larger offsets are rejected.
  static constexpr std::uint64_t max_resume_ms = std::uint64_t{7} * 86'400'000;

  /// A timestamp later than all that were given or observed before.
  timestamp tick(std::uint64_t now_ms) noexcept;
  /// The timestamp that `tick` would give.
  timestamp next(std::uint64_t now_ms) const noexcept;
  /// Observes the timestamp of a change of another node.
  void observe(timestamp seen, std::uint64_t now_ms) noexcept;
  /// Observes the time of this node's own checkpoint, whatever the wall time is.
  void raise_floor(timestamp given) noexcept;
  /// Observes the timestamp of a change in the name of an earlier incarnation of this node. Returns
  /// false and leaves the clock alone when it is more than `max_resume_ms` ahead of both wall time
  /// and the checkpoint.
  bool resume(timestamp claimed, std::uint64_t now_ms) noexcept;

  /// The latest timestamp given or observed.
  timestamp last() const noexcept { return last_; }

private:
  timestamp last_;
  timestamp certain_;  ///< The latest of `raise_floor`.
};

}  // namespace troupe
