#pragma once

#include <cstdint>

#include <troupe/messages/context.hpp>

namespace troupe {

/// A hybrid logical clock: gives the timestamps of one node's changes. They follow wall time where
/// they can, never run backwards, and are later than every timestamp observed, so that what
/// happened after something also looks later. (Kulkarni et al., "Logical Physical Clocks and
/// Consistent Snapshots in Globally Distributed Databases", 2014.)
///
/// Wall time comes in as milliseconds since 1970 and may jump; only its lower 48 bits count.
class hybrid_clock {
public:
  /// Timestamps further ahead of wall time than this do not move the clock: a node whose clock is
  /// wrong by hours must not drag the others along.
  static constexpr std::uint64_t max_skew_ms = 500;

  /// How far ahead of wall time an earlier run of this node may have been, as far as others tell.
  /// Clocks are wrong by hours, or by years; whoever says years is not believed.
  static constexpr std::uint64_t max_resume_ms = std::uint64_t{7} * 86'400'000;

  /// A timestamp later than all that were given or taken in before.
  timestamp tick(std::uint64_t now_ms) noexcept;
  /// What `tick` would give.
  timestamp next(std::uint64_t now_ms) const noexcept;
  /// Takes in the timestamp of a change of another node.
  void observe(timestamp seen, std::uint64_t now_ms) noexcept;
  /// Takes in a timestamp that this node gave in an earlier run, whatever the wall time, as its own
  /// checkpoint tells.
  void raise_floor(timestamp given) noexcept;
  /// Takes in a timestamp that a change carries which calls itself one of an earlier run of this
  /// node. Not when it is more than `max_resume_ms` ahead of wall time and of what the checkpoint
  /// told: then returns false, and the clock stays.
  bool resume(timestamp claimed, std::uint64_t now_ms) noexcept;

  /// The latest timestamp given or taken in.
  timestamp last() const noexcept { return last_; }

private:
  timestamp last_;
  timestamp certain_;  ///< The latest that `raise_floor` took in.
};

}  // namespace troupe
