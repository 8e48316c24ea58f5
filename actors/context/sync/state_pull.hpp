#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/range_difference.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The whole state of a peer on its way to this node, which its log cannot help. (Range-based set
/// reconciliation: Meyer, 2023.)
///
/// It begins with a copy of a tree that is like the peer's, this node's own, and makes it equal,
/// range by range: ranges with equal hashes are not sent, and of others, where they are much alike,
/// the entries that differ (`range_difference`). Each answer is checked against what was
/// announced: what the entries of a range add up to, and what the parts of a range add up to. So
/// the peer gives what it has offered at the beginning, or the transfer ends. When it is over
/// before its end, what has come is of use to the next one: give that `tree`.
///
/// Bounded by `max_open` ranges, `max_offers`, and `max_bytes` of entries. Pure.
class state_pull {
public:
  /// Ranges that are known to differ and are not equal yet.
  static constexpr std::size_t max_open = std::size_t{1} << 16;
  /// States that the peer offers, because it has let go of the one before.
  static constexpr unsigned max_offers = 16;

  /// @param own the tree of this node. @param transfer greater than earlier ones.
  /// @param max_bytes of entries, not compressed, in all.
  /// @param kept what has come in an earlier transfer, to begin with instead of `own`. Not trusted.
  state_pull(context_tree own, std::uint64_t transfer, engine_limits limits,
             std::uint64_t max_bytes, std::optional<context_tree> kept = std::nullopt);

  /// The question under way. Sending it again does no harm. The last one says that all is there.
  const sync_range& question() const noexcept { return question_; }
  /// Takes an answer; one to an earlier question is ignored. True when there is a new question.
  /// @returns protocol_violation or limit_exceeded: the peer breaks the rules, nothing more of it
  ///          is of use.
  result<bool> take(const sync_state& answer);
  /// Whether the whole state is there.
  bool is_done() const noexcept { return question_.done; }
  /// The state, once it is there. Its clock is zero and its quarantine empty.
  engine_state state() const { return {tree_, processed_, {}, {}}; }

  /// What has come so far, in the place of what it began with.
  const context_tree& tree() const noexcept { return tree_; }
  /// Entries that have come.
  std::uint64_t received() const noexcept { return received_; }

private:
  /// A range that differs.
  struct open_range {
    tree_range theirs;  ///< As the peer has it.
    range_difference difference;
  };
  using entry_iterator = std::vector<struct stored_entry>::const_iterator;

  result<void> take_offer(const sync_state& offer);
  result<void> take_ranges(const sync_state& answer);
  result<void> check_tiles(const sync_state& answer) const;
  result<void> take_symbols(const coded_range& coded);
  result<void> take_entries(const sync_state& answer);
  result<void> put(entry_iterator first, entry_iterator last, context_tree& into) const;
  result<void> replace(const tree_range& range, entry_iterator first, entry_iterator last);
  result<void> mend(const tree_range& range, entry_iterator first, entry_iterator last);
  open_range* asked(const std::string& from);
  tree_range range_of(const open_range& range) const;
  bool asks_difference(const open_range& range) const;
  result<void> compare(const tree_range& theirs, range_difference known = {});
  range_difference known_of(const tree_range& part) const;
  result<void> open(open_range range);
  result<void> check_unchecked() const;
  void ask_next();

  context_tree own_, tree_;
  engine_limits limits_;
  std::uint64_t max_bytes_;
  processed_changes processed_;
  std::vector<open_range> open_;   ///< Those that are not in the question.
  std::vector<open_range> asked_;  ///< Those in the question, in tree order.
  sync_range question_;
  unsigned offers_ = 0;
  bool has_unchecked_;  ///< Entries that were not compared with what the peer has processed.
  std::uint64_t received_ = 0, bytes_ = 0;
};

}  // namespace troupe
