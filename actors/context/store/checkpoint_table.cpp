#include <troupe/actors/context/store/checkpoint_table.hpp>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/store/checkpoint_rows.hpp>
#include <troupe/actors/context/store/schema.hpp>

namespace troupe {

checkpoint_table::checkpoint_table(SQLite::Database& database, meta_table& meta)
    : database_(database),
      meta_(meta),
      blocks_(database),
      has_old_rows_(database.tableExists("entries")) {}

/// Makes these the entries, in place of those of the checkpoint that was last written or loaded.
block_table::layout checkpoint_table::write_entries(const context_tree& entries) {
  if (has_old_rows_) upgrade_schema(database_);
  return blocks_.write(latest_.tree, entries);
}

result<void> checkpoint_table::write(const engine_state& state, std::uint64_t replay_from,
                                     const std::function<result<void>()>& beside) {
  block_table::layout blocks;
  auto done = transact(database_, [&]() -> result<void> {
    auto written = is_salvaged_ ? drop_salvaged() : result<void>{};
    if (!written) return written;
    blocks = write_entries(state.tree);
    written = meta_.put(meta_key::checkpoint, head_of(state, replay_from));
    return written ? beside() : written;
  });
  if (!done) return done;
  blocks_.use(std::move(blocks));
  is_salvaged_ = false;
  has_old_rows_ = false;
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
    if (auto read = read_entries(tree); !read) return fail(std::move(read.error()));
    if (!belong_together(**head, tree))
      return damaged_row("the checkpoint", "its entries do not add up to its hash");
    has_entries_ = true;
    latest_ = state_of(std::move(**head), std::move(tree));
    if (const auto replaced = replace_old_rows();
        !replaced && replaced.error().code == error_code::corrupt_data)
      return fail(replaced.error());
    return latest_;
  });
}

/// Adds all entries to a tree.
result<void> checkpoint_table::read_entries(context_tree& into) {
  if (has_old_rows_) {
    SQLite::Statement rows{database_, "SELECT path, siblings, hash FROM entries"};
    while (rows.executeStep())
      if (auto added = add_entry(rows, into); !added) return added;
    return {};
  }
  auto blocks = blocks_.load(into);
  if (!blocks) return fail(std::move(blocks.error()));
  blocks_.use(std::move(*blocks));
  return {};
}

/// What was loaded of format 5 is written as blocks.
result<void> checkpoint_table::replace_old_rows() {
  if (!has_old_rows_) return {};
  block_table::layout blocks;
  auto done = transact(database_, [&]() -> result<void> {
    blocks = write_entries(latest_.tree);
    return {};
  });
  if (!done) return done;
  blocks_.use(std::move(blocks));
  has_old_rows_ = false;
  return done;
}

result<checkpoint_table::checked_rows> checkpoint_table::check_rows(std::int64_t from,
                                                                    std::size_t most) {
  if (has_old_rows_) return checked_rows{.next = from, .mended = 0, .is_end = true};
  auto checked = without_exceptions(database_.getFilename(),
                                    [&] { return blocks_.check_rows(latest_.tree, from, most); });
  if (!checked) return fail(std::move(checked.error()));
  const auto mended = rewrite(checked->wrong);
  if (!mended) return fail(mended.error());
  return checked_rows{checked->next, *mended, checked->is_end};
}

result<std::size_t> checkpoint_table::add_missing_rows() {
  if (has_old_rows_) return 0;
  const auto missing =
      without_exceptions(database_.getFilename(),
                         [&]() -> result<std::vector<std::int64_t>> { return blocks_.missing(); });
  return missing ? rewrite(*missing) : fail(missing.error());
}

/// Makes these rows what the latest checkpoint says. @returns how many there are.
result<std::size_t> checkpoint_table::rewrite(const std::vector<std::int64_t>& rows) {
  if (rows.empty()) return 0;
  auto done = transact(database_, [&]() -> result<void> {
    blocks_.rewrite(latest_.tree, rows);
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return rows.size();
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
    if (auto read = read_entries(found.tree); !read) return fail(std::move(read.error()));
    return found;
  });
}

result<void> checkpoint_table::write_salvaged(const context_tree& entries,
                                              const salvage_mark& mark) {
  return transact(database_, [&] {
    write_entries(entries);
    return meta_.put(meta_key::salvaged, mark);
  });
}

result<void> checkpoint_table::set_aside(const context_tree* entries,
                                         const version_vector& overruled_by,
                                         const std::function<result<void>()>& beside) {
  return transact(database_, [&]() -> result<void> {
    if (entries) write_entries(*entries);
    auto marked = meta_.put(meta_key::salvaged, salvage_mark{true, overruled_by});
    if (marked) marked = meta_.erase(meta_key::checkpoint);
    return marked ? beside() : marked;
  });
}

/// What was salvaged is not needed any more.
result<void> checkpoint_table::drop_salvaged() {
  if (!has_old_rows_) blocks_.clear();
  blocks_.use({});
  return meta_.erase(meta_key::salvaged);
}

}  // namespace troupe
