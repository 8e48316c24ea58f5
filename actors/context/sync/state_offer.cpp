#include <troupe/actors/context/sync/state_offer.hpp>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/actors/context/sync/packed_entries.hpp>
#include <troupe/actors/context/sync/tree_ranges.hpp>

namespace troupe {

/// Fills an answer until its bytes are used up.
class state_offer::answer_writer {
public:
  answer_writer(const context_tree& tree, sync_state& into) : tree_(tree), into_(into) {}

  void add(const path& from, const path& to, bool peer_has_nothing) {
    const auto range = range_in(tree_, from, to);
    if (range.count == 0 || bytes_ >= max_entry_bytes)
      into_.parts.push_back(range);
    else if (peer_has_nothing || range.count <= few_entries)
      add_entries(from, to);
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
  /// The entries of a range as far as they fit. What does not is a part to ask for again.
  void add_entries(const path& from, const path& to) {
    std::optional<path> rest;
    visit_range(tree_, from, to, [&](const tree_entry& entry) {
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
    into_.whole.push_back(range_in(tree_, from, rest ? *rest : to));
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
};

sync_state state_offer::greeting(std::uint64_t ask) const {
  sync_state offer;
  offer.transfer = transfer_;
  offer.ask = ask;
  offer.processed.bytes = encode(state_->processed);
  offer.parts.push_back(range_in(state_->tree, path{}, path{}));
  return offer;
}

result<sync_state> state_offer::answer(const sync_range& asked) const {
  if (asked.wanted.size() > max_wanted)
    return fail(error_code::protocol_violation,
                "sync.range asks for " + std::to_string(asked.wanted.size()) + " ranges; at most " +
                    std::to_string(max_wanted) + " are accepted");
  sync_state answer;
  answer.transfer = transfer_;
  answer.ask = asked.ask;
  answer_writer writer{state_->tree, answer};
  for (const auto& each : asked.wanted) {
    if (!is_range(each))
      return fail(error_code::protocol_violation, "sync.range asks for what is no range of paths");
    writer.add(path::from_checked(each.from), path::from_checked(each.to), each.count == 0);
  }
  if (auto finished = writer.finish(); !finished) return fail(std::move(finished.error()));
  return answer;
}

}  // namespace troupe
