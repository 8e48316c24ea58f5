#include <troupe/actors/context/store/damaged_store.hpp>

#include <algorithm>
#include <limits>

#include <sqlite3.h>

#include <troupe/actors/context/store/block_table.hpp>
#include <troupe/actors/context/store/checkpoint_rows.hpp>
#include <troupe/actors/context/store/log_rows.hpp>
#include <troupe/actors/context/store/schema.hpp>

namespace troupe {

damaged_store::damaged_store(const std::string& file) {
  without_damage([&] {
    database_.emplace(file, SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX);
    // The damaged files stay as they are.
    sqlite3_db_config(database_->getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  });
}

/// Whether `body` came to its end. False when a damaged page stopped it.
bool damaged_store::read(const std::function<void()>& body) {
  return database_ && without_damage(body);
}

bool damaged_store::without_damage(const std::function<void()>& body) {
  try {
    body();
    return true;
  } catch (const SQLite::Exception& failure) {
    if (to_error(failure, {}).code != error_code::corrupt_data) throw;
    return false;
  }
}

result<void> damaged_store::check_format() {
  result<void> checked;
  read([&] { checked = troupe::check_format(*database_); });
  return checked;
}

bool damaged_store::has_table(const char* name) {
  bool is_there = false;
  read([&] { is_there = database_->tableExists(name); });
  return is_there;
}

/// Reads the rows of a table from a number on. @param read_rest reads them from `next` on, and
/// moves that behind each. Where a page is damaged, `damaged` gets the number at which it stopped,
/// and it begins again behind, in steps that grow by this factor.
void damaged_store::read_past_damage(const std::string& table, std::int64_t next,
                                     std::int64_t growth,
                                     const std::function<void(std::int64_t& next)>& read_rest,
                                     const std::function<void(std::int64_t)>& damaged) {
  for (auto step = std::int64_t{1};; step *= growth) {
    const auto began = next;
    if (read([&] { read_rest(next); })) return;
    if (next != began) step = 1;
    damaged(next);
    std::int64_t last = 0;
    read([&] { last = database_->execAndGet("SELECT max(number) FROM " + table).getInt64(); });
    if (next > last - step) return;
    next += step;
  }
}

damaged_store::entries damaged_store::read_entries() {
  entries found;
  if (has_table("entries")) read_old_rows(found);
  if (!has_table("blocks")) return found;
  constexpr auto last_of_all = std::numeric_limits<std::int64_t>::max();
  const auto read_rest = [&](std::int64_t& next) {
    SQLite::Statement rows{*database_,
                           "SELECT number, first, entries, hash FROM blocks WHERE number >= ? "
                           "ORDER BY number"};
    rows.bind(1, next);
    while (rows.executeStep()) {
      // Rows may be in the wrong place: it goes on forward.
      next = std::max(next, std::min(rows.getColumn(0).getInt64(), last_of_all - 1) + 1);
      if (!block_table::add_row(rows, found.tree)) ++found.damaged;
    }
  };
  read_past_damage("blocks", 1, 1, read_rest, [&](std::int64_t) { ++found.damaged; });
  return found;
}

/// The entries of a store of format 5, from both ends.
void damaged_store::read_old_rows(entries& found) {
  std::string last;
  const auto take = [&](const SQLite::Statement& row) {
    if (!add_entry(row, found.tree)) ++found.damaged;
  };
  const bool reached_the_end = read([&] {
    SQLite::Statement rows{*database_, "SELECT path, siblings, hash FROM entries ORDER BY path"};
    while (rows.executeStep()) {
      take(rows);
      last = std::string{bytes_of(rows.getColumn(0))};
    }
  });
  if (reached_the_end) return;
  ++found.damaged;
  read([&] {
    SQLite::Statement rows{*database_,
                           "SELECT path, siblings, hash FROM entries ORDER BY path DESC"};
    while (rows.executeStep() && bytes_of(rows.getColumn(0)) > last) take(rows);
  });
}

result<void> damaged_store::read_log(std::int64_t from, bool has_all, const row_taker& take,
                                     const std::function<void(std::int64_t)>& damaged) {
  // Where a part was cut off, the numbers do not say what is there.
  const bool was_cut = find<std::uint64_t>(meta_key::log_end).message.has_value();
  auto before = has_all && from == 1 ? std::optional{std::int64_t{0}} : std::nullopt;
  result<void> done;
  const auto read_rest = [&](std::int64_t& next) {
    SQLite::Statement rows{*database_,
                           "SELECT number, batch, hash FROM log NOT INDEXED WHERE number >= ? "
                           "ORDER BY number"};
    rows.bind(1, next);
    while (done && rows.executeStep()) {
      const auto number = rows.getColumn(0).getInt64();
      const auto column = rows.getColumn(1);
      const auto batch = change_batch::read(std::string{bytes_of(column)});
      const bool is_sound = number >= next && batch && (*batch)->records() &&
                            rows.getColumn(2).getInt64() == hash_of(number, **batch);
      const auto changes = is_sound ? static_cast<std::int64_t>((*batch)->size()) : 0;
      if (is_sound && before && !was_cut && number - *before > changes) damaged(*before + 1);
      if (is_sound)
        done = take(*batch);
      else
        damaged(number);
      before = is_sound ? std::optional{number} : std::nullopt;
      next = std::max(next, number + 1);
    }
  };
  // The numbers count changes, of which a row has many.
  read_past_damage("log", from, 2, read_rest, [&](std::int64_t number) {
    damaged(number);
    before.reset();
  });
  return done;
}

std::vector<dot> damaged_store::indexed() {
  std::vector<dot> found;
  read([&] {
    SQLite::Statement runs{*database_,
                           "SELECT run, origin, incarnation, hash, (SELECT max(last) FROM log "
                           "INDEXED BY log_by_run WHERE log.run = runs.run) FROM runs"};
    while (runs.executeStep()) {
      const auto source = source_in(runs);
      const bool is_sound =
          source && runs.getColumn(3).getInt64() == hash_of(*source, runs.getColumn(0).getInt64());
      const auto last = static_cast<std::uint64_t>(runs.getColumn(4).getInt64());
      if (is_sound && last > 0) found.push_back({source->origin, source->incarnation, last});
    }
  });
  return found;
}

}  // namespace troupe
