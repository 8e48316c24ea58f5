// Removing rows that nobody needs.

#include <algorithm>
#include <limits>
#include <utility>

#include <troupe/actors/context/store/change_log.hpp>
#include <troupe/actors/context/store/log_rows.hpp>

namespace troupe {

/// The oldest rows before `end` of which every change is in `upto`. Reads no batches: they are the
/// larger part of a row.
change_log::oldest_rows change_log::find_oldest(const processed_changes& upto, std::int64_t end,
                                                std::size_t max_rows) {
  oldest_rows found;
  constexpr std::size_t most = std::numeric_limits<std::int64_t>::max();
  SQLite::Statement rows{database_,
                         "SELECT number, origin, incarnation, last, run, runs.hash FROM log "
                         "LEFT JOIN runs USING (run) WHERE number < ? ORDER BY number LIMIT ?"};
  rows.bind(1, end);
  rows.bind(2, static_cast<std::int64_t>(std::min(max_rows, most - 1) + 1));
  for (std::size_t count = 0; rows.executeStep(); ++count) {
    const auto source = source_of(rows, {});
    if (!source || rows.getColumn(5).getInt64() != hash_of(*source, rows.getColumn(4).getInt64()))
      break;
    const auto last = static_cast<std::uint64_t>(rows.getColumn(3).getInt64());
    if (!upto.covers(dot{source->origin, source->incarnation, last})) break;
    found.has_more = count == max_rows;
    if (found.has_more) break;
    found.last = rows.getColumn(0).getInt64();
    auto& latest = found.latest[source->origin];
    latest = std::max(latest, source->incarnation);
    found.removed.raise({source->origin, source->incarnation, last});
  }
  return found;
}

/// The incarnations without rows, of these nodes up to these incarnations. Those before the ones
/// whose rows were removed are among them, because they may have ended only now.
std::vector<change_log::keyed_incarnation> change_log::without_rows(
    const std::map<node_id, std::uint64_t>& latest) {
  std::vector<keyed_incarnation> found;
  SQLite::Statement runs{database_,
                         "SELECT run, incarnation, hash FROM runs WHERE origin = ? AND "
                         "incarnation <= ? AND NOT EXISTS (SELECT 1 FROM log WHERE log.run = "
                         "runs.run)"};
  for (const auto& [origin, last] : latest) {
    const scoped_reset after{runs};
    bind_blob(runs, 1, id_bytes(origin));
    runs.bind(2, static_cast<std::int64_t>(last));
    while (runs.executeStep()) {
      const keyed_incarnation each{
          {origin, static_cast<std::uint64_t>(runs.getColumn(1).getInt64())},
          runs.getColumn(0).getInt64()};
      if (runs.getColumn(2).getInt64() == hash_of(each.source, each.run)) found.push_back(each);
    }
  }
  return found;
}

result<bool> change_log::collect(const processed_changes& upto, std::uint64_t first_kept,
                                 std::size_t max_rows) {
  bool has_more = false;
  auto base = base_;
  std::vector<keyed_incarnation> emptied;
  auto done = transact(database_, [&]() -> result<void> {
    const auto end = static_cast<std::int64_t>(std::min(first_kept, changes_));
    const auto oldest = find_oldest(upto, end, max_rows);
    has_more = oldest.has_more;
    if (oldest.last == 0) return {};
    SQLite::Statement remove_rows{database_, "DELETE FROM log WHERE number <= ?"};
    remove_rows.bind(1, oldest.last);
    remove_rows.exec();
    for (const auto& each : oldest.removed.vector().entries())
      base.raise({each.origin, each.incarnation, each.seq});
    emptied = without_rows(oldest.latest);
    for (const auto& each : emptied)
      if (upto.has_ended(each.source)) base.end(each.source);
    SQLite::Statement remove_run{database_, "DELETE FROM runs WHERE run = ?"};
    for (const auto& each : emptied) {
      if (!base.has_ended(each.source)) continue;
      const scoped_reset after{remove_run};
      remove_run.bind(1, each.run);
      remove_run.exec();
    }
    return store_base(base);
  });
  if (!done) return fail(std::move(done.error()));
  base_ = std::move(base);
  for (const auto& each : emptied) runs_.erase(each.source);
  return has_more;
}

result<bool> change_log::give_up(const processed_changes& upto, std::uint64_t first_kept) {
  bool has_removed = false;
  auto base = base_;
  auto done = transact(database_, [&]() -> result<void> {
    SQLite::Statement remove{database_, "DELETE FROM log WHERE number < ?"};
    remove.bind(1, static_cast<std::int64_t>(first_kept));
    has_removed = remove.exec() > 0;
    if (!has_removed) return {};
    base.join(upto);
    auto stored = store_base(base);
    // No number is given out again, though the last row may be gone.
    return stored ? meta_.put(meta_key::log_end, changes_) : stored;
  });
  if (!done) return fail(std::move(done.error()));
  base_ = std::move(base);
  return has_removed;
}

result<void> change_log::cut(const processed_changes& kept) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    std::vector<std::int64_t> gone;
    std::vector<std::pair<std::int64_t, shared_batch>> shortened;
    SQLite::Statement rows{database_,
                           "SELECT number, origin, incarnation, first, last, batch, log.hash FROM "
                           "log LEFT JOIN runs USING (run) ORDER BY number"};
    while (rows.executeStep()) {
      const auto number = rows.getColumn(0).getInt64();
      const auto source = source_of(rows, "log row " + std::to_string(number));
      if (!source) return fail(source.error());
      const auto first = static_cast<std::uint64_t>(rows.getColumn(3).getInt64()),
                 last = static_cast<std::uint64_t>(rows.getColumn(4).getInt64());
      if (kept.covers(dot{source->origin, source->incarnation, last})) continue;
      const auto upto = kept.at(*source);
      if (upto < first) {
        gone.push_back(number);
        continue;
      }
      const auto batch = batch_of(rows);
      if (!batch) return fail(batch.error());
      auto records = (*batch)->records();
      if (!records) return fail(std::move(records.error()));
      records->resize(upto - first + 1);
      shortened.emplace_back(number, change_batch::of(*records, change_batch::max_bytes_of_many));
    }
    SQLite::Statement remove{database_, "DELETE FROM log WHERE number = ?"};
    for (const auto number : gone) {
      const scoped_reset after{remove};
      remove.bind(1, number);
      remove.exec();
    }
    SQLite::Statement replace{database_,
                              "UPDATE log SET last = ?, batch = ?, hash = ? WHERE number = ?"};
    for (const auto& [number, batch] : shortened) {
      const scoped_reset after{replace};
      replace.bind(1, static_cast<std::int64_t>(batch->last()));
      bind_blob(replace, 2, batch->bytes());
      replace.bind(3, hash_of(number, *batch));
      replace.bind(4, number);
      replace.exec();
    }
    // No number is given out again.
    const bool is_same = gone.empty() && shortened.empty();
    return is_same ? result<void>{} : meta_.put(meta_key::log_end, changes_);
  });
}

}  // namespace troupe
