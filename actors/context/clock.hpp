#pragma once

#include <cstdint>

#include <troupe/messages/context.hpp>

namespace troupe {

/// A hybrid logical clock: gives the timestamps of one node's changes. They follow wall time where they can, never run
/// backwards, and are later than every timestamp observed, so that what happened after something also looks later.
/// (Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases", 2014.)
///
/// Wall time comes in as milliseconds since 1970 and may jump; only its lower 48 bits count.
class hybrid_clock {
public:
  /// Timestamps further ahead of wall time than this do not move the clock: a node whose clock is wrong by hours must
  /// not drag the others along.
  static constexpr std::uint64_t max_skew_ms = 500;

  /// A timestamp later than all that were given or taken in before.
  timestamp tick(std::uint64_t now_ms) noexcept;
  /// Takes in the timestamp of a change of another node.
  void observe(timestamp seen, std::uint64_t now_ms) noexcept;
  /// Takes in a timestamp that this node gave in an earlier run, whatever the wall time.
  void raise_floor(timestamp given) noexcept;

  /// The latest timestamp given or taken in.
  timestamp last() const noexcept { return last_; }

private:
  timestamp last_;
};

}  // namespace troupe
