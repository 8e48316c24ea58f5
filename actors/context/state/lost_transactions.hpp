#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Transactions of which members have a part and none will get the rest: it was lost with the disk
/// of their origin. A value below `/_sys/transactions` says so, and what has come of one counts
/// nowhere then. There is one value for each for ever, also where the rest was found.
///
/// A replica may have all of it nevertheless: one that was apart with the origin, and of which no
/// other one knew. It is overruled then, see `context_engine::overruled_by`.
struct lost_transactions {
  static constexpr std::string_view directory = "/_sys/transactions";

  /// Where the value of a transaction is. @param last its last change.
  static path place_of(const dot& last);
  /// The last change of the transaction whose place this is, if it is one, written as `place_of`
  /// does.
  static std::optional<dot> last_at(const path& where);

  /// The value of a transaction whose rest is looked for. @param now_ms wall time, for people.
  static value sought(std::uint64_t now_ms);
  /// The value of one that is lost. @param first the number of its first change.
  static value lost(std::uint64_t first, std::uint64_t now_ms);

  /// Whether this is such a value.
  static bool says_lost(const value& said);

  /// Whether a state has one of these values, or one of what is sought. O(log n).
  static bool has_any(const context_tree& tree);
  /// Whether a state has a value of a transaction of this node. O(log n).
  static bool has_any_of(const context_tree& tree, const node_id& origin);
  /// Whether a state says that the transaction is lost which ends with this change. O(log n).
  static bool has(const context_tree& tree, const dot& last);
  /// The changes of one: up to `last`, from that number on.
  struct span {
    dot last;
    std::uint64_t first = 0;
    bool has(const dot& id) const noexcept;
  };
  /// The lost transactions of a state, sorted. O(those, and those that are sought).
  static std::vector<span> all(const context_tree& tree);
  /// The one of which a change is, or null. O(log n).
  static const span* find(const std::vector<span>& all, const dot& id);
  /// The changes with which a state says so of one.
  static std::vector<dot> said_by(const context_tree& tree, const dot& last);
};

}  // namespace troupe
