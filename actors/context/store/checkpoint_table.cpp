#include <troupe/actors/context/store/checkpoint_table.hpp>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/stored_entry.hpp>
#include <troupe/actors/context/store/checkpoint_rows.hpp>

namespace troupe {

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

/// Makes these the rows, where the checkpoint that was last written or loaded has others.
result<void> checkpoint_table::write_entries(const context_tree& entries) {
  result<void> written;
  context_tree::diff(latest_.tree, entries, [&](const tree_entry* before, const tree_entry* after) {
    written = write_entry(before, after);
    return written.has_value();
  });
  return written;
}

result<void> checkpoint_table::write(const engine_state& state, std::uint64_t replay_from,
                                     const std::function<result<void>()>& beside) {
  auto done = transact(database_, [&]() -> result<void> {
    auto written = is_salvaged_ ? drop_salvaged() : result<void>{};
    if (written) written = write_entries(state.tree);
    if (!written) return written;
    written = meta_.put(meta_key::checkpoint, head_of(state, replay_from));
    return written ? beside() : written;
  });
  if (!done) return done;
  is_salvaged_ = false;
  has_entries_ = true;
  latest_ = state;
  replay_from_ = replay_from;
  return done;
}

void checkpoint_table::load_head() {
  auto head = meta_.find<checkpoint_head>(meta_key::checkpoint);
  if (!head || !*head) return;
  latest_.processed = std::move((*head)->processed);
  replay_from_ = (*head)->replay_from;
}

result<engine_state> checkpoint_table::load() {
  return without_exceptions(database_.getFilename(), [&]() -> result<engine_state> {
    auto head = meta_.find<checkpoint_head>(meta_key::checkpoint);
    if (!head) return fail(std::move(head.error()));
    if (!*head) {
      has_entries_ = !is_salvaged_;
      return engine_state{};
    }
    context_tree tree;
    SQLite::Statement rows{database_, "SELECT path, siblings, hash FROM entries"};
    while (rows.executeStep())
      if (auto added = add_entry(rows, tree); !added) return fail(std::move(added.error()));
    if (!belong_together(**head, tree))
      return damaged_row("the checkpoint", "its entries do not add up to its hash");
    has_entries_ = true;
    latest_ = state_of(std::move(**head), std::move(tree));
    return latest_;
  });
}

result<checkpoint_table::checked_rows> checkpoint_table::check_rows(const std::string& from,
                                                                    std::size_t most) {
  checked_rows checked{.next = from};
  std::vector<std::string> wrong;
  std::size_t count = 0;
  auto done = without_exceptions(database_.getFilename(), [&]() -> result<void> {
    SQLite::Statement rows{database_,
                           "SELECT path, siblings, hash FROM entries WHERE path >= ? ORDER BY path "
                           "LIMIT ?"};
    rows.bindNoCopy(1, from);
    rows.bind(2, static_cast<std::int64_t>(most));
    while (rows.executeStep()) {
      ++count;
      const auto column = rows.getColumn(0);
      const std::string key{bytes_of(column)};
      checked.next = key + '\0';
      context_tree alone;
      const auto where = path::parse(key);
      const auto entry = where ? latest_.tree.find(*where) : std::nullopt;
      const bool is_right = entry && add_entry(rows, alone) &&
                            alone.summary().hash == entry_hash(key, entry->siblings());
      if (!is_right) wrong.push_back(key);
    }
    return {};
  });
  if (done && !wrong.empty()) done = transact(database_, [&] { return rewrite(wrong); });
  if (!done) return fail(std::move(done.error()));
  checked.mended = wrong.size();
  checked.is_end = count < most;
  return checked;
}

/// Makes these rows what the latest checkpoint says: another one, or none.
result<void> checkpoint_table::rewrite(const std::vector<std::string>& keys) {
  for (const auto& key : keys) {
    const scoped_reset reset{erase_};
    erase_.bindNoCopy(1, key);
    erase_.exec();
    const auto where = path::parse(key);
    const auto entry = where ? latest_.tree.find(*where) : std::nullopt;
    if (!entry) continue;
    if (auto written = write_entry(nullptr, &*entry); !written) return written;
  }
  return {};
}

result<std::size_t> checkpoint_table::add_missing_rows() {
  const auto there = without_exceptions(database_.getFilename(), [&]() -> result<std::size_t> {
    return static_cast<std::size_t>(
        database_.execAndGet("SELECT count(*) FROM entries").getInt64());
  });
  if (!there || *there == latest_.tree.size())
    return there.map([](std::size_t) { return std::size_t{0}; });
  std::size_t added = 0;
  auto done = transact(database_, [&]() -> result<void> {
    SQLite::Statement there{database_, "SELECT 1 FROM entries WHERE path = ?"};
    result<void> written;
    latest_.tree.visit_subtree(path{}, [&](const tree_entry& entry) {
      const std::string key{entry.path()};
      const scoped_reset reset{there};
      there.bindNoCopy(1, key);
      if (there.executeStep()) return true;
      written = write_entry(nullptr, &entry);
      ++added;
      return written.has_value();
    });
    return written;
  });
  if (!done) return fail(std::move(done.error()));
  return added;
}

result<void> checkpoint_table::forget_clock() {
  auto head = meta_.find<checkpoint_head>(meta_key::checkpoint);
  if (!head) return fail(std::move(head.error()));
  if (!*head) return {};
  (*head)->clock = {};
  return meta_.put(meta_key::checkpoint, **head);
}

result<bool> checkpoint_table::is_salvaged() {
  const auto marked = meta_.find<salvage_mark>(meta_key::salvaged);
  if (!marked) return fail(marked.error());
  is_salvaged_ = marked->has_value();
  return is_salvaged_;
}

result<checkpoint_table::salvaged_entries> checkpoint_table::load_salvaged() {
  return without_exceptions(database_.getFilename(), [&]() -> result<salvaged_entries> {
    const auto mark = meta_.find<salvage_mark>(meta_key::salvaged);
    if (!mark) return fail(mark.error());
    salvaged_entries found{.knows_base = *mark && (*mark)->knows_base};
    if (*mark) found.overruled_by = (*mark)->overruled_by;
    SQLite::Statement rows{database_, "SELECT path, siblings, hash FROM entries"};
    while (rows.executeStep())
      if (auto added = add_entry(rows, found.tree); !added) return fail(std::move(added.error()));
    return found;
  });
}

result<void> checkpoint_table::write_salvaged(const context_tree& entries,
                                              const salvage_mark& mark) {
  return transact(database_, [&]() -> result<void> {
    result<void> written;
    context_tree::diff({}, entries, [&](const tree_entry*, const tree_entry* entry) {
      written = write_entry(nullptr, entry);
      return written.has_value();
    });
    return written ? meta_.put(meta_key::salvaged, mark) : written;
  });
}

result<void> checkpoint_table::set_aside(const context_tree* entries,
                                         const version_vector& overruled_by,
                                         const std::function<result<void>()>& beside) {
  return transact(database_, [&]() -> result<void> {
    auto marked = entries ? write_entries(*entries) : result<void>{};
    if (marked) marked = meta_.put(meta_key::salvaged, salvage_mark{true, overruled_by});
    if (marked) marked = meta_.erase(meta_key::checkpoint);
    return marked ? beside() : marked;
  });
}

/// What was salvaged is not needed any more.
result<void> checkpoint_table::drop_salvaged() {
  database_.exec("DELETE FROM entries");
  return meta_.erase(meta_key::salvaged);
}

}  // namespace troupe
