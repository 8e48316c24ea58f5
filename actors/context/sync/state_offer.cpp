#include <troupe/actors/context/sync/state_offer.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/actors/context/sync/packed_entries.hpp>
#include <troupe/actors/context/sync/range_difference.hpp>
#include <troupe/actors/context/sync/tree_ranges.hpp>

namespace troupe {

/// Fills an answer until its bytes are used up.
class state_offer::answer_writer {
public:
  answer_writer(const context_tree& tree, sync_state& into) : tree_(tree), into_(into) {}

  void add(const tree_range& wanted, const difference_question& asked) {
    const auto from = path::from_checked(wanted.from), to = path::from_checked(wanted.to);
    const auto range = range_in(tree_, from, to);
    const bool is_coded = is_asked(asked) && range.count <= range_difference::max_entries;
    const bool is_too_much =
        bytes_ >= max_entry_bytes ||
        (is_coded && (numbered_ >= max_numbered_entries || symbols_ >= max_coded_symbols));
    if (range.count == 0 || is_too_much)
      into_.parts.push_back(range);
    else if (is_coded && wanted.count > 0)
      add_difference(from, to, range, asked);
    else if (wanted.count == 0 || range.count <= few_entries)
      add_entries(from, to, into_.whole, all);
    else
      add_parts(from, to, range.count);
  }

  result<void> finish() {
    if (entries_.empty()) return {};
    into_.entries.bytes = pack_entries(entries_);
    if (into_.entries.bytes.size() <= max_answer_bytes) return {};
    return fail(error_code::limit_exceeded,
                "the values that compete for '" + entries_.back().path +
                    "' do not fit into one message; write to it, so that one is left");
  }

private:
  using chooser = std::function<bool(const tree_entry&)>;
  static bool all(const tree_entry&) { return true; }

  void add_difference(const path& from, const path& to, const tree_range& range,
                      const difference_question& asked) {
    numbered_ += range.count;
    symbols_ += asked.count;
    if (asked.numbers.empty()) {
      const auto coded = code_range(tree_, from, to, into_.transfer, asked.first, asked.count);
      into_.coded.push_back({range, coded.sums(), coded.counts()});
      return;
    }
    const std::unordered_set<std::uint64_t> numbers{asked.numbers.begin(), asked.numbers.end()};
    add_entries(from, to, into_.picked, [&](const tree_entry& entry) {
      return numbers.contains(entry_number(entry, into_.transfer));
    });
  }

  /// The chosen entries of a range as far as they fit. What does not is a part to ask for again.
  void add_entries(const path& from, const path& to, std::vector<tree_range>& ranges,
                   const chooser& chosen) {
    std::optional<path> rest;
    visit_range(tree_, from, to, [&](const tree_entry& entry) {
      if (!chosen(entry)) return true;
      if (bytes_ >= max_entry_bytes) {
        rest = path::from_checked(std::string{entry.path()});
        return false;
      }
      std::size_t bytes = entry.path().size();
      for (const auto& each : entry.siblings())
        bytes +=
            each.value_bytes.size() + each.counts.size() + each.principal.size() + sizeof(sibling);
      if (bytes_ > 0 && bytes > max_entry_bytes) {  // it may fill a message of its own
        rest = path::from_checked(std::string{entry.path()});
        return false;
      }
      entries_.push_back({std::string{entry.path()}, store(entry.siblings())});
      bytes_ += bytes;
      return true;
    });
    if (rest && rest->text() == from.text())
      return into_.parts.push_back(range_in(tree_, from, to));
    ranges.push_back(range_in(tree_, from, rest ? *rest : to));
    if (rest) into_.parts.push_back(range_in(tree_, *rest, to));
  }

  void add_parts(const path& from, const path& to, std::uint64_t count) {
    const auto before = tree_.range(path{}, from).count;
    auto begin = from;
    for (std::uint64_t i = 1; i < split_into; ++i) {
      auto end = tree_.path_at(before + count * i / split_into);
      into_.parts.push_back(range_in(tree_, begin, end));
      begin = std::move(end);
    }
    into_.parts.push_back(range_in(tree_, begin, to));
  }

  const context_tree& tree_;
  sync_state& into_;
  std::vector<stored_entry> entries_;
  std::size_t bytes_ = 0;
  std::uint64_t numbered_ = 0;  ///< Entries whose numbers were computed.
  std::uint64_t symbols_ = 0;   ///< In the answer.
};

/// Why nobody who keeps the rules asks so, or nothing.
std::optional<std::string> state_offer::malformed(const sync_range& asked) {
  if (asked.wanted.size() > max_wanted)
    return "for " + std::to_string(asked.wanted.size()) + " ranges; at most " +
           std::to_string(max_wanted) + " are accepted";
  if (!std::ranges::all_of(asked.wanted, is_range)) return "for what is no range of paths";
  if (!asked.differences.empty() && asked.differences.size() != asked.wanted.size())
    return "in " + std::to_string(asked.differences.size()) + " ways for " +
           std::to_string(asked.wanted.size()) + " ranges";
  constexpr auto most = range_difference::max_symbols;
  for (const auto& each : asked.differences)
    if (each.first > most || each.count > most - each.first || each.numbers.size() > most)
      return "for more than " + std::to_string(most) + " symbols or entries of a range";
  return std::nullopt;
}

sync_state state_offer::greeting(std::uint64_t ask) const {
  sync_state offer;
  offer.transfer = transfer_;
  offer.ask = ask;
  offer.processed.bytes = encode(state_->processed);
  offer.parts.push_back(range_in(state_->tree, path{}, path{}));
  return offer;
}

result<sync_state> state_offer::answer(const sync_range& asked) const {
  if (const auto why = malformed(asked))
    return fail(error_code::protocol_violation, "sync.range asks " + *why);
  sync_state answer;
  answer.transfer = transfer_;
  answer.ask = asked.ask;
  answer_writer writer{state_->tree, answer};
  for (std::size_t i = 0; i < asked.wanted.size(); ++i)
    writer.add(asked.wanted[i],
               asked.differences.empty() ? difference_question{} : asked.differences[i]);
  if (auto finished = writer.finish(); !finished) return fail(std::move(finished.error()));
  return answer;
}

}  // namespace troupe
