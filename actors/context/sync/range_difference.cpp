#include <troupe/actors/context/sync/range_difference.hpp>

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include <troupe/actors/context/state/tree/sibling.hpp>
#include <troupe/actors/context/sync/tree_ranges.hpp>

namespace troupe {

namespace {

/// Symbols in the first question: enough for a few differences, and to estimate more.
constexpr std::size_t first_symbols = 64;
/// Symbols for each number that differs: most differences are known with fewer.
constexpr double symbols_per_number = 1.5;

/// A range with more, most of which differ, is divided all the same: one half of it may be equal.
constexpr std::uint64_t max_sent_entries = 256;

std::size_t most_symbols(std::uint64_t entries) {
  return std::min<std::size_t>(range_difference::max_symbols, entries);
}

}  // namespace

std::uint64_t entry_number(const tree_entry& entry, std::uint64_t transfer) {
  const auto hash = entry_hash(entry.path(), entry.siblings());
  return coded_symbols::checked_number(hash.low ^ (hash.high + transfer));
}

coded_symbols code_range(const context_tree& tree, const path& from, const path& to,
                         std::uint64_t transfer, std::size_t first, std::size_t count) {
  coded_symbols coded{first, count};
  visit_range(tree, from, to, [&](const tree_entry& entry) {
    coded.add(entry_number(entry, transfer));
    return true;
  });
  return coded;
}

difference_question range_difference::question(std::uint64_t theirs, std::uint64_t ours) const {
  if (is_known_) return {0, 0, lacked_};
  const auto most = most_symbols(theirs);
  const auto surplus = theirs > ours ? theirs - ours : ours - theirs;
  const bool is_alike = ours > 0 && surplus < most;
  if (!is_of_use_ || theirs < min_entries || theirs > max_entries || !is_alike) return {};
  const auto known = symbols_.size();
  const auto wanted = std::max(wanted_, std::min(first_symbols, std::max(min_entries, theirs / 4)));
  return {known, std::min(wanted, most) - known, {}};
}

void range_difference::take(const coded_symbols& symbols, const tree_range& range,
                            const context_tree& ours, std::uint64_t transfer) {
  symbols_.append(symbols);
  const auto from = path::from_checked(range.from), to = path::from_checked(range.to);
  auto difference = symbols_;
  difference.subtract(code_range(ours, from, to, transfer, 0, symbols_.size()));
  auto numbers = difference.numbers();
  if (!numbers) {
    const auto most = most_symbols(range.count);
    const auto estimate = difference.estimate();
    const auto needed = static_cast<std::size_t>(symbols_per_number * estimate);
    wanted_ = std::max(needed, symbols_.size() + std::max<std::size_t>(16, symbols_.size() / 8));
    if (symbols_.size() < most && needed <= most) return;
    give_up();
    most_differ_ = symbols_per_number * estimate > static_cast<double>(range.count);
    wants_all_ = most_differ_ && range.count <= max_sent_entries;
    return;
  }
  const std::unordered_set<std::uint64_t> removed{numbers->removed.begin(), numbers->removed.end()};
  visit_range(ours, from, to, [&](const tree_entry& entry) {
    if (removed.contains(entry_number(entry, transfer)))
      surplus_.push_back(path::from_checked(std::string{entry.path()}));
    return true;
  });
  lacked_ = std::move(numbers->added);
  is_known_ = true;
}

void range_difference::give_up() {
  *this = {};
  is_of_use_ = false;
}

range_difference range_difference::of_part(std::uint64_t entries) const {
  range_difference part;
  if (!most_differ_) return part;
  part.give_up();
  part.most_differ_ = true;
  part.wants_all_ = entries <= max_sent_entries;
  return part;
}

}  // namespace troupe
