#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/messages/context.hpp>

namespace troupe {

/// Incarnations of nodes are numbered below this. They grow with time and reach half of it in the
/// year 6429.
inline constexpr std::uint64_t end_of_incarnations = std::uint64_t{1} << 60;

/// Bounds of one replica. They must be equal on all nodes: a change that one node accepts may wait
/// forever at a node with lower bounds.
struct engine_limits {
  std::size_t max_value_bytes = std::size_t{1} << 20;  ///< Canonical bytes of one value.
  std::size_t max_principal_bytes = 256;
  /// Live writes of one path. At least twice the number of nodes: see `context_engine::apply`.
  std::size_t max_siblings = 254;
  /// Live writes of one path and one node. Usually a node has one, and an increment.
  std::size_t max_siblings_of_node = 16;
  /// Changes that one put or erasure overwrites: all siblings of its path, and its changes in
  /// quarantine.
  std::size_t max_observed = 1024;
  /// Parts of counters (see counter.hpp) in one change, and at a path that takes increments: as
  /// many siblings as there may be, with `single_counts` each, fit twice.
  std::size_t max_counted = std::size_t{1} << 16;
  std::size_t max_taken_over = std::size_t{1} << 15;
  /// Earlier incarnations that an increment lists one by one, however long ago they have ended.
  std::size_t single_counts = 64;
  /// Changes that one erasure of a subtree overwrites, and bytes of their paths. A larger subtree
  /// is erased by several, in one transaction.
  std::size_t max_below = 4096;
  std::size_t max_below_bytes = std::size_t{256} << 10;
  /// Changes of one transaction, and their `change_record::weight`.
  std::size_t max_transaction = std::size_t{1} << 20;
  std::uint64_t max_transaction_weight = std::uint64_t{256} << 20;
  /// Weight of the transactions that have begun to arrive.
  std::uint64_t max_open_weight = std::uint64_t{512} << 20;
  /// Dots that were given to two changes, and the weight of these changes.
  std::size_t max_quarantine = 1024;
  std::uint64_t max_quarantine_weight = std::uint64_t{16} << 20;
  /// Changes that wait for others.
  std::size_t max_buffered_records = 4096;
  std::size_t max_buffered_bytes = std::size_t{16} << 20;
  std::size_t max_incarnations = std::size_t{1} << 16;  ///< In the version vector.
  /// Beyond that, for members: others may have made up what fills the vector. This node itself is
  /// never refused for what others fill.
  std::size_t max_incarnations_of_members = std::size_t{1} << 13;
  constexpr std::size_t most_incarnations() const noexcept {
    return max_incarnations + max_incarnations_of_members;
  }
  /// Of one node, so that a node that restarts without end does not use up the bound of all.
  std::size_t max_incarnations_of_node = std::size_t{1} << 13;
};

/// Nesting of containers in one value. Messages that carry values add a few levels.
inline constexpr std::uint32_t max_value_depth = 48;

/// Timestamps from here on (the year 6429) are malformed. Keeps the clock far from the end of its
/// range.
inline constexpr timestamp latest_time{std::uint64_t{1} << 63};

/// Below this path only this principal writes.
inline constexpr std::string_view reserved_path = "/_sys";
/// Each member writes a value below it, see `members`.
inline constexpr std::string_view members_directory = "/_sys/members";
inline constexpr std::string_view system_principal = "system";

/// Whether readers of `top` and what is below it do not see this path: what the system keeps there
/// is shown to those who ask for it.
inline bool is_hidden(std::string_view path, std::string_view top) noexcept {
  return is_within(reserved_path, path) && !is_within(reserved_path, top);
}

/// Names a change for people.
std::string describe(const change_record& record);

/// Why a value is too large for one change, or nothing. O(bytes).
std::optional<std::string> too_much(const value& given, const engine_limits& limits);

/// Why no replica makes such a change, or nothing. A change that passes is little larger than its
/// value, so it fits into a message. The answer depends on the change alone, not on this node's
/// clock or state, so a sound replica never forwards what another one calls malformed. O(bytes).
std::optional<std::string> malformed(const change_record& record, const engine_limits& limits);

}  // namespace troupe
