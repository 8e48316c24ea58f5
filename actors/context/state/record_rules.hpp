#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <troupe/messages/context.hpp>

namespace troupe {

/// Bounds of one replica. They must be equal on all nodes: a change that one node accepts may wait
/// forever at a node with lower bounds.
struct engine_limits {
  std::size_t max_value_bytes = std::size_t{1} << 20;  ///< Canonical bytes of one value.
  std::size_t max_principal_bytes = 256;
  /// Live writes of one path. At least the number of nodes: see `context_engine::apply`.
  std::size_t max_siblings = 256;
  /// Dots that one change overwrites: all siblings of its path, and its changes in quarantine.
  std::size_t max_observed = 1024;
  /// Changes that wait for an earlier one of their incarnation.
  std::size_t max_buffered_records = 4096;
  std::size_t max_buffered_bytes = std::size_t{16} << 20;
  /// Dots known to be overwritten and not received yet.
  std::size_t max_overwritten = std::size_t{1} << 18;
  std::size_t max_incarnations = std::size_t{1} << 16;  ///< In the version vector.
  /// Of one node, so that a node that restarts without end does not use up the bound of all.
  std::size_t max_incarnations_of_node = std::size_t{1} << 13;
};

/// Nesting of containers in one value. Messages that carry values add a few levels.
inline constexpr std::uint32_t max_value_depth = 48;

/// Timestamps from here on (the year 6429) are malformed. Keeps the clock far from the end of its
/// range.
inline constexpr timestamp latest_time{std::uint64_t{1} << 63};

/// Why a value is too large for one change, or nothing. O(bytes).
std::optional<std::string> too_much(const value& given, const engine_limits& limits);

/// Why no replica makes such a change, or nothing. A change that passes is little larger than its
/// value, so it fits into a message. The answer depends on the change alone, not on this node's
/// clock or state, so a sound replica never forwards what another one calls malformed. O(bytes).
std::optional<std::string> malformed(const change_record& record, const engine_limits& limits);

}  // namespace troupe
