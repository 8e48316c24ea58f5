#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/actors/context/sync/coded_symbols.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Whether a range is asked for in this way.
inline bool is_asked(const difference_question& question) noexcept {
  return question.count > 0 || !question.numbers.empty();
}

/// The number of an entry in one transfer: two entries that differ have different ones, but for one
/// pair in 2^40. What is found by numbers is compared by hash before it counts.
std::uint64_t entry_number(const tree_entry& entry, std::uint64_t transfer);

/// Symbols of the numbers of all entries in a range. O(entries * log of the last symbol).
coded_symbols code_range(const context_tree& tree, const path& from, const path& to,
                         std::uint64_t transfer, std::size_t first, std::size_t count);

/// In which entries a range of this node differs from the peer's, found with as many symbols as
/// they take. Where too many entries differ, the first symbols tell: then the range is better
/// divided, and where most of them differ, sent as it is. Pure.
class range_difference {
public:
  /// A range with more entries is divided first: its numbers are computed in one step.
  static constexpr std::uint64_t max_entries = std::uint64_t{1} << 16;
  /// A range with fewer is sent as it is.
  static constexpr std::uint64_t min_entries = 16;
  /// For one range.
  static constexpr std::size_t max_symbols = 4096;

  /// What to ask the peer. Nothing, see `is_asked`, when the range is to be sent or divided.
  /// @param theirs, ours how many entries the range has.
  difference_question question(std::uint64_t theirs, std::uint64_t ours) const;

  /// The symbols that were asked for. @param range as the peer has it. @param ours this node's
  /// tree.
  void take(const coded_symbols& symbols, const tree_range& range, const context_tree& ours,
            std::uint64_t transfer);
  /// Symbols are of no use: the range is to be divided.
  void give_up();
  /// What is known of a part of the range: where most entries of the whole differ, those of the
  /// part are not compared one by one. @param entries of the part, as the peer has it.
  range_difference of_part(std::uint64_t entries) const;

  /// Whether it is known in what the range differs.
  bool is_known() const noexcept { return is_known_; }
  /// Then, whether the peer has entries that this node lacks.
  bool lacks_some() const noexcept { return !lacked_.empty(); }
  /// Whether the range is to be asked for as if this node had nothing there.
  bool wants_all() const noexcept { return wants_all_; }
  /// The entries of this node that the peer does not have, in tree order.
  const std::vector<path>& surplus() const noexcept { return surplus_; }

private:
  coded_symbols symbols_{0, 0};  ///< Of the peer.
  std::size_t wanted_ = 0;       ///< About as many symbols are needed; 0 at the beginning.
  bool is_of_use_ = true, most_differ_ = false, wants_all_ = false, is_known_ = false;
  std::vector<std::uint64_t> lacked_;  ///< Numbers of entries of the peer.
  std::vector<path> surplus_;
};

}  // namespace troupe
