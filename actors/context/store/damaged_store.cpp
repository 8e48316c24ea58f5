#include <troupe/actors/context/store/damaged_store.hpp>

#include <algorithm>

#include <sqlite3.h>

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

damaged_store::entries damaged_store::read_entries() {
  entries found;
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
  if (reached_the_end) return found;
  ++found.damaged;
  read([&] {
    SQLite::Statement rows{*database_,
                           "SELECT path, siblings, hash FROM entries ORDER BY path DESC"};
    while (rows.executeStep() && bytes_of(rows.getColumn(0)) > last) take(rows);
  });
  return found;
}

result<void> damaged_store::read_log(std::int64_t from, bool has_all, const row_taker& take,
                                     const std::function<void(std::int64_t)>& damaged) {
  auto next = from;
  // Where a part was cut off, the numbers do not say what is there.
  const bool was_cut = find<std::uint64_t>(meta_key::log_end).message.has_value();
  auto before = has_all && from == 1 ? std::optional{std::int64_t{0}} : std::nullopt;
  for (auto step = std::int64_t{1};; step *= 2) {
    result<void> done;
    const auto began = next;
    const bool reached_the_end = read([&] {
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
    });
    if (reached_the_end || !done) return done;
    // A damaged page: looks for the rows behind it in growing steps.
    if (next != began) step = 1;
    damaged(next);
    before.reset();
    if (next > last_number() - step) return {};
    next += step;
  }
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

std::int64_t damaged_store::last_number() {
  std::int64_t last = 0;
  read([&] { last = database_->execAndGet("SELECT max(number) FROM log").getInt64(); });
  return last;
}

}  // namespace troupe
