#include <troupe/actors/context/store/block_table.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>

#include <troupe/actors/context/store/entry_block.hpp>
#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/actors/context/sync/tree_ranges.hpp>

namespace troupe {

namespace {

/// What the hash of a row is over, besides the entries.
std::string key_of(std::int64_t number, std::string_view first) {
  return std::to_string(number) + ' ' + std::string{first};
}

/// The paths from the first block on up to but without the last one.
struct block_range {
  path from, to;  ///< As in `tree_range`.
};

block_range range_of(const block_table::layout& blocks, block_table::layout::const_iterator first,
                     block_table::layout::const_iterator last) {
  return {first == blocks.begin() ? path{} : path::from_checked(first->first),
          last == blocks.end() ? path{} : path::from_checked(last->first)};
}

std::size_t bytes_in(const context_tree& tree, const block_range& range) {
  std::size_t bytes = 0;
  visit_range(tree, range.from, range.to, [&](const tree_entry& entry) {
    bytes += entry_block_writer::bytes_of(entry);
    return true;
  });
  return bytes;
}

}  // namespace

// -- reading --------------------------------------------------------------------------------------

result<std::size_t> block_table::add_row(const SQLite::Statement& row, context_tree& tree) {
  const auto number = row.getColumn(0).getInt64();
  const std::string first{bytes_of(row.getColumn(1))};
  const auto column = row.getColumn(2);
  const auto block = bytes_of(column);
  const auto damaged = [&](const std::string& how) {
    return damaged_row("block " + std::to_string(number) + " (entries from '" + first + "' on)",
                       how);
  };
  if (row.getColumn(3).getInt64() != row_hash(key_of(number, first), block))
    return damaged(wrong_hash);
  std::size_t entries = 0;
  const auto read = read_entry_block(block, [&](const path& where, auto siblings) {
    tree.put(where, siblings);
    ++entries;
  });
  if (!read) return damaged(read.error().message);
  return entries;
}

result<block_table::layout> block_table::load(context_tree& into) {
  layout blocks;
  std::map<std::int64_t, std::size_t> entries;
  SQLite::Statement rows{database_, "SELECT number, first, entries, hash FROM blocks"};
  while (rows.executeStep()) {
    const auto added = add_row(rows, into);
    if (!added) return fail(added.error());
    const auto number = rows.getColumn(0).getInt64();
    if (number < 1 || number == std::numeric_limits<std::int64_t>::max())
      return damaged_row("block " + std::to_string(number), "no row has this number");
    blocks.emplace(bytes_of(rows.getColumn(1)), number);
    entries.emplace(number, *added);
  }
  for (auto at = blocks.begin(); at != blocks.end(); ++at) {
    const auto [from, to] = range_of(blocks, at, std::next(at));
    if (sum_of(into, from, to).count != entries[at->second] || blocks.size() != entries.size())
      return damaged_row("block " + std::to_string(at->second), "it overlaps with another one");
  }
  return blocks;
}

void block_table::use(layout now) {
  layout_ = std::move(now);
  for (const auto& [first, number] : layout_) last_number_ = std::max(last_number_, number);
}

// -- writing --------------------------------------------------------------------------------------

/// The block into which a path falls. @param blocks not empty.
block_table::layout::iterator block_table::block_of(layout& blocks, std::string_view where) const {
  const auto behind = blocks.upper_bound(where);
  return behind == blocks.begin() ? behind : std::prev(behind);
}

block_table::layout block_table::write(const context_tree& before, const context_tree& after) {
  auto blocks = layout_;
  if (blocks.empty()) {
    clear();
    if (!after.empty())
      write_run(after, blocks, blocks.end(), blocks.end(), bytes_in(after, {path{}, path{}}));
    return blocks;
  }
  std::vector<layout::iterator> changed;
  context_tree::diff(before, after, [&](const tree_entry* gone, const tree_entry* come) {
    const auto at = block_of(blocks, (come ? come : gone)->path());
    if (changed.empty() || changed.back() != at) changed.push_back(at);
    return true;
  });
  for (auto next = changed.begin(); next != changed.end();) {
    const auto first = *next++;
    auto last = std::next(first);
    auto bytes = bytes_in(after, range_of(blocks, first, last));
    while (last != blocks.end() &&
           (bytes < least_bytes || (next != changed.end() && *next == last))) {
      if (next != changed.end() && *next == last) ++next;
      const auto added = last++;
      bytes += bytes_in(after, range_of(blocks, added, last));
    }
    write_run(after, blocks, first, last, bytes);
  }
  return blocks;
}

/// Writes blocks that follow each other anew, divided into parts of equal size. @param first the
/// first of them, or the end when there are no blocks: then it writes all entries.
void block_table::write_run(const context_tree& tree, layout& blocks, layout::iterator first,
                            layout::iterator last, std::size_t bytes) {
  const auto range = first == blocks.end() ? block_range{} : range_of(blocks, first, last);
  std::vector<std::int64_t> numbers;
  for (auto at = first; at != last; at = blocks.erase(at)) numbers.push_back(at->second);
  const auto parts = std::max<std::size_t>((bytes + most_bytes - 1) / most_bytes, 1);
  entry_block_writer writer;
  std::string begins_at;
  std::size_t done = 0, part = 1;
  auto free_number = numbers.begin();
  const auto finish = [&] {
    const auto number = free_number != numbers.end() ? *free_number++ : ++last_number_;
    write_row(number, begins_at, writer.finish());
    blocks.emplace(begins_at, number);
  };
  visit_range(tree, range.from, range.to, [&](const tree_entry& entry) {
    if (writer.is_empty()) begins_at = entry.path();
    writer.add(entry);
    done += entry_block_writer::bytes_of(entry);
    if (done * parts < bytes * part) return true;
    finish();
    part = done * parts / bytes + 1;
    return true;
  });
  if (!writer.is_empty()) finish();
  for (; free_number != numbers.end(); ++free_number) erase_row(*free_number);
}

void block_table::write_row(std::int64_t number, std::string_view first, std::string_view block) {
  if (!upsert_)
    upsert_.emplace(database_,
                    "INSERT INTO blocks (number, first, entries, hash) VALUES (?1, ?2, ?3, ?4)"
                    " ON CONFLICT (number) DO UPDATE SET first = ?2, entries = ?3, hash = ?4");
  const scoped_reset reset{*upsert_};
  const std::string text{first};
  upsert_->bind(1, number);
  upsert_->bindNoCopy(2, text);
  bind_blob(*upsert_, 3, block);
  upsert_->bind(4, row_hash(key_of(number, first), block));
  upsert_->exec();
}

void block_table::erase_row(std::int64_t number) {
  if (!erase_) erase_.emplace(database_, "DELETE FROM blocks WHERE number = ?");
  const scoped_reset reset{*erase_};
  erase_->bind(1, number);
  erase_->exec();
}

void block_table::clear() { database_.exec("DELETE FROM blocks"); }

// -- checking -------------------------------------------------------------------------------------

std::map<std::int64_t, block_table::layout::const_iterator> block_table::by_number() const {
  std::map<std::int64_t, layout::const_iterator> rows;
  for (auto at = layout_.cbegin(); at != layout_.cend(); ++at) rows.emplace(at->second, at);
  return rows;
}

result<block_table::checked_rows> block_table::check_rows(const context_tree& tree,
                                                          std::int64_t from, std::size_t most) {
  const auto expected = by_number();
  checked_rows checked{.next = from, .wrong = {}};
  SQLite::Statement rows{database_,
                         "SELECT number, first, entries, hash FROM blocks WHERE number >= ? ORDER "
                         "BY number"};
  rows.bind(1, from);
  for (std::size_t entries = 0; entries < most && !checked.is_end;) {
    checked.is_end = !rows.executeStep();
    if (checked.is_end) break;
    const auto number = rows.getColumn(0).getInt64();
    if (number < checked.next)
      return damaged_row("block " + std::to_string(number), "it is in the wrong place");
    context_tree alone;
    entries += add_row(rows, alone).value_or(0) + 1;
    const auto known = expected.find(number);
    const auto is_right = [&] {
      const auto at = known->second;
      const auto [begin, end] = range_of(layout_, at, std::next(at));
      return sum_of(tree, begin, end) == sum_of(alone, path{}, path{}) &&
             bytes_of(rows.getColumn(1)) == at->first;
    };
    if (known == expected.end() || !is_right()) checked.wrong.push_back(number);
    checked.is_end = number == std::numeric_limits<std::int64_t>::max();
    if (!checked.is_end) checked.next = number + 1;
  }
  return checked;
}

void block_table::rewrite(const context_tree& tree, const std::vector<std::int64_t>& rows) {
  const auto expected = by_number();
  for (const auto number : rows) {
    const auto known = expected.find(number);
    if (known == expected.end()) {
      erase_row(number);
      continue;
    }
    const auto at = known->second;
    const auto [from, to] = range_of(layout_, at, std::next(at));
    entry_block_writer writer;
    visit_range(tree, from, to, [&](const tree_entry& entry) {
      writer.add(entry);
      return true;
    });
    write_row(number, at->first, writer.finish());
  }
}

std::vector<std::int64_t> block_table::missing() {
  std::vector<std::int64_t> numbers;
  for (const auto& [first, number] : layout_) numbers.push_back(number);
  std::ranges::sort(numbers);
  std::vector<std::int64_t> there;
  SQLite::Statement rows{database_, "SELECT number FROM blocks ORDER BY number"};
  while (rows.executeStep()) there.push_back(rows.getColumn(0).getInt64());
  std::vector<std::int64_t> gone;
  std::ranges::set_difference(numbers, there, std::back_inserter(gone));
  return gone;
}

}  // namespace troupe
