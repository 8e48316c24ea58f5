#include <troupe/actors/context/store/checkpoint_table.hpp>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/stored_entry.hpp>

namespace troupe {

namespace {

constexpr const char* head_key = "checkpoint";

/// All of an `engine_state` except its entries, and the count and the hash of those.
struct checkpoint_head {
  processed_changes processed;
  timestamp clock;
  std::vector<equivocation> quarantine;
  std::uint64_t entries = 0;
  state_hash root;
  processed_changes stable;       ///< See `engine_state::stable`.
  std::uint64_t replay_from = 1;  ///< The first row of the log with a change that is missing here.

  static constexpr auto fields() {
    return std::tuple{required("processed", &checkpoint_head::processed),
                      required("clock", &checkpoint_head::clock),
                      required("quarantine", &checkpoint_head::quarantine),
                      required("entries", &checkpoint_head::entries),
                      required("root", &checkpoint_head::root),
                      required("stable", &checkpoint_head::stable),
                      required("replay_from", &checkpoint_head::replay_from)};
  }
};

/// Adds the entry of one row of `path, siblings, hash` to a tree.
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

}  // namespace

checkpoint_table::checkpoint_table(SQLite::Database& database, meta_table& meta)
    : database_(database),
      meta_(meta),
      upsert_(database,
              "INSERT INTO entries (path, siblings, hash) VALUES (?1, ?2, ?3)"
              " ON CONFLICT (path) DO UPDATE SET siblings = ?2, hash = ?3"),
      erase_(database, "DELETE FROM entries WHERE path = ?") {}

result<void> checkpoint_table::write_entry(const tree_entry* before, const tree_entry* after) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    if (!after) {
      const scoped_reset reset{erase_};
      const std::string key{before->path()};
      erase_.bindNoCopy(1, key);
      erase_.exec();
      return {};
    }
    const auto bytes = encode(troupe::store(after->siblings()));
    const std::string key{after->path()};
    const scoped_reset reset{upsert_};
    upsert_.bindNoCopy(1, key);
    bind_blob(upsert_, 2, bytes);
    upsert_.bind(3, row_hash(key, bytes));
    upsert_.exec();
    return {};
  });
}

result<void> checkpoint_table::write(const engine_state& state, std::uint64_t replay_from,
                                     const std::function<result<void>()>& beside) {
  auto done = transact(database_, [&]() -> result<void> {
    result<void> written;
    context_tree::diff(written_, state.tree,
                       [&](const tree_entry* before, const tree_entry* after) {
                         written = write_entry(before, after);
                         return written.has_value();
                       });
    if (!written) return written;
    const auto stable = state.stable ? *state.stable : processed_changes{};
    written = meta_.put(
        head_key, checkpoint_head{state.processed, state.clock, state.quarantine, state.tree.size(),
                                  state.tree.summary().hash, stable, replay_from});
    return written ? beside() : written;
  });
  if (!done) return done;
  written_ = state.tree;
  processed_ = state.processed;
  replay_from_ = replay_from;
  return done;
}

void checkpoint_table::load_head() {
  auto head = meta_.find<checkpoint_head>(head_key);
  if (!head || !*head) return;
  processed_ = std::move((*head)->processed);
  replay_from_ = (*head)->replay_from;
}

result<engine_state> checkpoint_table::load() {
  return without_exceptions(database_.getFilename(), [&]() -> result<engine_state> {
    auto head = meta_.find<checkpoint_head>(head_key);
    if (!head) return fail(std::move(head.error()));
    engine_state state;
    if (!*head) return state;
    auto& stored = **head;
    SQLite::Statement rows{database_, "SELECT path, siblings, hash FROM entries"};
    while (rows.executeStep())
      if (auto added = add_entry(rows, state.tree); !added) return fail(std::move(added.error()));
    if (state.tree.size() != stored.entries || state.tree.summary().hash != stored.root)
      return damaged_row("the checkpoint", "its entries do not add up to its hash");
    state.processed = std::move(stored.processed);
    state.clock = stored.clock;
    state.quarantine = std::move(stored.quarantine);
    state.stable = std::make_shared<const processed_changes>(std::move(stored.stable));
    written_ = state.tree;
    return state;
  });
}

}  // namespace troupe
