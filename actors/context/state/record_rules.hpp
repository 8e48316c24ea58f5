#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <troupe/messages/context.hpp>

namespace troupe {

/// Bounds of one replica. Equal on all nodes, or a change that one accepts may wait forever at
/// another.
struct engine_limits {
  std::size_t max_value_bytes = std::size_t{1} << 20;  ///< Canonical bytes of one value.
  std::size_t max_principal_bytes = 256;
  /// Live writes of one path. At least the number of nodes: see `context_engine::apply`.
  std::size_t max_siblings = 256;
  /// Dots that one change overwrote: all siblings of its path, and what stands in quarantine there.
  std::size_t max_observed = 1024;
  std::size_t max_buffered_records = 4096;  ///< Changes that wait for an earlier one of their run.
  std::size_t max_buffered_bytes = std::size_t{16} << 20;
  std::size_t max_overwritten = std::size_t{1}
                                << 18;  ///< Dots known to be overwritten but not received yet.
  std::size_t max_incarnations = std::size_t{1} << 16;  ///< Runs of nodes in the version vector.
  std::size_t max_runs_of_node =
      std::size_t{1}
      << 13;  ///< Of one node, so that one that starts without end does not take all.
};

/// Containers within containers in one value; what carries values adds a few levels of its own.
inline constexpr std::uint32_t max_value_depth = 48;

/// Timestamps from here on, in the year 6429, are no timestamps; it keeps the clock far from the
/// end of its range.
inline constexpr timestamp latest_time{std::uint64_t{1} << 63};

/// Why a value is too much for one change, or nothing. O(bytes).
std::optional<std::string> too_much(const value& given, const engine_limits& limits);

/// Why no replica makes such a change, or nothing. What passes is encoded in little more than its
/// value takes, so it fits into a message of any peer. It depends on the change alone, not on this
/// node's clock or state, so that a sound replica never passes on what another one takes for
/// malformed. O(bytes).
std::optional<std::string> malformed(const change_record& record, const engine_limits& limits);

}  // namespace troupe
