#pragma once

#include <cstdint>

// The names under which a `sync_manager` and its owner speak of what lies outside, and the time.

namespace troupe {

/// A request to the manager, until it is answered.
enum class context_request : std::uint64_t {};
/// A link to a peer. A new link has a new id.
enum class peer_id : std::uint64_t {};
/// A watcher of changes.
enum class watcher_id : std::uint64_t {};
/// A checkpoint that is being written.
enum class checkpoint_id : std::uint64_t {};

/// When an event happens.
struct event_time {
  std::uint64_t wall_ms = 0;    ///< Milliseconds since 1970. May jump.
  std::uint64_t steady_ms = 0;  ///< Never goes back.
};

}  // namespace troupe
