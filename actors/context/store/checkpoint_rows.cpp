#include <troupe/actors/context/store/checkpoint_rows.hpp>

#include <memory>
#include <string>
#include <utility>

#include <troupe/actors/context/state/tree/stored_entry.hpp>
#include <troupe/actors/context/store/row_check.hpp>

namespace troupe {

checkpoint_head head_of(const engine_state& state, std::uint64_t replay_from) {
  return {state.processed,
          state.clock,
          state.quarantine,
          state.tree.size(),
          state.tree.summary().hash,
          state.stable ? *state.stable : processed_changes{},
          replay_from};
}

bool belong_together(const checkpoint_head& head, const context_tree& entries) {
  return entries.size() == head.entries && entries.summary().hash == head.root;
}

engine_state state_of(checkpoint_head head, context_tree entries) {
  return {std::move(entries), std::move(head.processed), head.clock, std::move(head.quarantine),
          std::make_shared<const processed_changes>(std::move(head.stable))};
}

result<void> add_entry(const SQLite::Statement& row, context_tree& tree) {
  const auto column = row.getColumn(1);
  const auto bytes = bytes_of(column);
  const std::string key{bytes_of(row.getColumn(0))};
  const auto damaged = [&](const std::string& how) {
    return damaged_row("entry '" + key + "'", how);
  };
  if (row.getColumn(2).getInt64() != row_hash(key, bytes)) return damaged(wrong_hash);
  const auto where = path::parse(key);
  if (!where) return damaged(where.error().message);
  auto stored = decode<std::vector<stored_sibling>>(bytes, stored_data_limits());
  if (!stored) return damaged(stored.error().message);
  const auto siblings = siblings_of(*stored);
  if (!siblings) return damaged(siblings.error().message);
  tree.put(*where, *siblings);
  return {};
}

}  // namespace troupe
