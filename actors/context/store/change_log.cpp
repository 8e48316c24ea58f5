// Appending, and what there is. Reading is in change_log_read.cpp, removing in
// change_log_collect.cpp.

#include <troupe/actors/context/store/change_log.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include <troupe/actors/context/state/record_rules.hpp>
#include <troupe/actors/context/store/log_rows.hpp>
#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

change_log::change_log(SQLite::Database& database, meta_table& meta)
    : database_(database),
      meta_(meta),
      insert_(database,
              "INSERT INTO log (number, run, first, last, batch, hash) VALUES (?, ?, ?, ?, ?, ?)"),
      number_(database, "SELECT number FROM log WHERE run = ? AND last >= ? ORDER BY last LIMIT 1"),
      rows_(database,
            "SELECT number, origin, incarnation, first, last FROM log LEFT JOIN runs USING (run) "
            "WHERE number BETWEEN ? AND ? ORDER BY number"),
      batch_(database,
             "SELECT number, origin, incarnation, first, last, batch, log.hash FROM log "
             "LEFT JOIN runs USING (run) WHERE number = ?"),
      insert_run_(database,
                  "INSERT INTO runs (run, origin, incarnation, hash) VALUES (?, ?, ?, ?)"),
      run_(database,
           "SELECT run, hash, (SELECT max(last) FROM log WHERE log.run = runs.run) FROM runs "
           "WHERE origin = ? AND incarnation = ?"),
      runs_from_(database,
                 "SELECT min(run), max(run), max(incarnation) FROM runs WHERE origin = ? AND "
                 "incarnation > ? "
                 "AND incarnation <= ? AND EXISTS (SELECT 1 FROM log WHERE log.run = runs.run)") {}

result<void> change_log::load(std::uint64_t from) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    auto base = meta_.find<processed_changes>(meta_key::log_base);
    if (!base) return fail(std::move(base.error()));
    base_ = std::move(*base).value_or(processed_changes{});
    changes_ = static_cast<std::uint64_t>(
        database_.execAndGet("SELECT coalesce(max(number), 0) FROM log").getInt64());
    const auto end = meta_.find<std::uint64_t>(meta_key::log_end);
    if (!end) return fail(end.error());
    changes_ = std::max(changes_, end->value_or(0));
    last_run_ = database_.execAndGet("SELECT coalesce(max(run), 0) FROM runs").getInt64();
    SQLite::Statement rows{database_,
                           "SELECT min(number), origin, incarnation FROM log NOT INDEXED LEFT "
                           "JOIN runs USING (run) WHERE number >= ? GROUP BY run"};
    rows.bind(1, static_cast<std::int64_t>(from));
    while (rows.executeStep()) {
      const auto source = source_of(rows, {});
      if (source && find_run(*source)) continue;
      const auto number = static_cast<std::uint64_t>(rows.getColumn(0).getInt64());
      first_damaged_ = std::min(first_damaged_, number);
    }
    return {};
  });
}

// -- incarnations ---------------------------------------------------------------------------------

/// The incarnation of a row of `?, origin, incarnation`.
result<incarnation_id> change_log::source_of(const SQLite::Statement& at, const std::string& name) {
  const auto source = source_in(at);
  if (!source) return damaged_row(name, "its incarnation is unknown");
  return *source;
}

/// What the log has of an incarnation. All zero when it has nothing.
result<change_log::run> change_log::find_run(const incarnation_id& source) {
  if (const auto known = runs_.find(source); known != runs_.end()) return known->second;
  const scoped_reset after{run_};
  bind_blob(run_, 1, id_bytes(source.origin));
  run_.bind(2, static_cast<std::int64_t>(source.incarnation));
  if (!run_.executeStep()) return run{};
  const run found{run_.getColumn(0).getInt64(),
                  static_cast<std::uint64_t>(run_.getColumn(2).getInt64())};
  if (run_.getColumn(1).getInt64() != hash_of(source, found.number))
    return damaged_row("row " + std::to_string(found.number) + " of 'runs'", wrong_hash);
  return runs_[source] = found;
}

/// Adds a new incarnation to `runs`.
change_log::run change_log::add_run(const incarnation_id& source) {
  const run added{++last_run_, 0};
  const scoped_reset after{insert_run_};
  insert_run_.bind(1, added.number);
  bind_blob(insert_run_, 2, id_bytes(source.origin));
  insert_run_.bind(3, static_cast<std::int64_t>(source.incarnation));
  insert_run_.bind(4, hash_of(source, added.number));
  insert_run_.exec();
  return added;
}

result<std::uint64_t> change_log::last_of(const incarnation_id& source) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::uint64_t> {
    return find_run(source).map(
        [&](const run& found) { return std::max(found.last, base_.at(source)); });
  });
}

result<processed_changes> change_log::all() {
  return without_exceptions(database_.getFilename(), [&]() -> result<processed_changes> {
    auto found = base_;
    SQLite::Statement runs{database_,
                           "SELECT run, origin, incarnation, (SELECT max(last) FROM log WHERE "
                           "log.run = runs.run) FROM runs ORDER BY origin, incarnation"};
    while (runs.executeStep()) {
      const auto source =
          source_of(runs, "row " + std::to_string(runs.getColumn(0).getInt64()) + " of 'runs'");
      if (!source) return fail(source.error());
      const auto last = static_cast<std::uint64_t>(runs.getColumn(3).getInt64());
      const dot end{source->origin, source->incarnation, last};
      if (last > 0 && !found.covers(end)) found.raise(end);
    }
    return found;
  });
}

result<void> change_log::check_runs() {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    SQLite::Statement runs{database_, "SELECT run, origin, incarnation, hash FROM runs"};
    while (runs.executeStep()) {
      const auto run = runs.getColumn(0).getInt64();
      const auto source = source_in(runs);
      if (!source || runs.getColumn(3).getInt64() != hash_of(*source, run))
        return damaged_row("row " + std::to_string(run) + " of 'runs'", wrong_hash);
    }
    const auto count = [&](const char* sql) { return database_.execAndGet(sql).getInt64(); };
    if (count("SELECT count(*) FROM log INDEXED BY log_by_run") ==
        count("SELECT count(*) FROM log NOT INDEXED"))
      return {};
    return damaged_row("the index of 'log'", "it has another number of rows");
  });
}

result<std::uint64_t> change_log::last_incarnation(const node_id& node) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::uint64_t> {
    // A peer that lies may have made up one that leaves no numbers for those that follow.
    constexpr auto end = end_of_incarnations / 2;
    SQLite::Statement latest{database_,
                             "SELECT coalesce(max(incarnation), 0) FROM runs WHERE origin = ? AND "
                             "incarnation < ?"};
    bind_blob(latest, 1, id_bytes(node));
    latest.bind(2, static_cast<std::int64_t>(end));
    latest.executeStep();
    auto last = static_cast<std::uint64_t>(latest.getColumn(0).getInt64());
    if (base_.forgotten_of(node) < end) last = std::max(last, base_.forgotten_of(node));
    const auto base = base_.latest();
    for (const auto& each : base.of(node))
      if (each.incarnation < end) last = std::max(last, each.incarnation);
    return last;
  });
}

result<void> change_log::store_base(const processed_changes& base) {
  return meta_.put(meta_key::log_base, base);
}

// -- appending ------------------------------------------------------------------------------------

/// Checks the changes of a batch up to `last` against the ones that rows have.
result<void> change_log::check_same(const change_batch& batch, std::uint64_t last) {
  const auto& [origin, incarnation] = batch.source();
  const std::vector<log_range> wanted{
      {{origin, incarnation, batch.first()}, {origin, incarnation, last}}};
  const auto known = read_rows(wanted, std::numeric_limits<std::size_t>::max());
  if (!known) return fail(known.error());
  if (known->empty() || (known->size() == 1 && *known->front() == batch)) return {};
  const auto records = batch.records();
  if (!records) return fail(records.error());
  for (const auto& each : *known) {
    const auto there = each->records();
    if (!there) return fail(there.error());
    for (const auto& record : *there) {
      const bool is_checked = record.dot.seq >= batch.first() && record.dot.seq <= last;
      if (is_checked && record != (*records)[record.dot.seq - batch.first()])
        return fail(error_code::corrupt_data,
                    "another change " + to_string(record.dot) + " is in the log already");
    }
  }
  return {};
}

/// The last change of the incarnation of a batch that is there before the batch. Of an incarnation
/// whose end the base has forgotten, all changes before the batch are there.
std::uint64_t change_log::last_before(const change_batch& batch, const run& known) const noexcept {
  const auto& source = batch.source();
  const auto last = std::max(known.last, base_.at(source));
  return base_.has_forgotten(source) ? std::max(last, batch.first() - 1) : last;
}

result<void> change_log::append_one(const change_batch& batch) {
  const auto& source = batch.source();
  auto known = find_run(source);
  if (!known) return fail(std::move(known.error()));
  const auto last = last_before(batch, *known);
  if (batch.first() > last + 1)
    return fail(error_code::internal,
                "change " + to_string(dot{source.origin, source.incarnation, batch.first()}) +
                    " was to be logged after change " + std::to_string(last) +
                    " of its incarnation");
  if (batch.first() <= known->last)
    if (auto same = check_same(batch, std::min(known->last, batch.last())); !same) return same;
  if (batch.last() <= last) return {};
  if (known->number == 0) known = add_run(source);
  changes_ += batch.last() - last;
  known->last = batch.last();
  runs_[source] = *known;
  const auto number = static_cast<std::int64_t>(changes_);
  const scoped_reset after{insert_};
  insert_.bind(1, number);
  insert_.bind(2, known->number);
  insert_.bind(3, static_cast<std::int64_t>(batch.first()));
  insert_.bind(4, static_cast<std::int64_t>(batch.last()));
  bind_blob(insert_, 5, batch.bytes());
  insert_.bind(6, hash_of(number, batch));
  insert_.exec();
  return {};
}

result<void> change_log::append(std::span<const shared_batch> batches) {
  const auto changes_before = changes_;
  const auto last_run_before = last_run_;
  std::map<incarnation_id, std::optional<run>> before;
  for (const auto& each : batches) {
    const auto known = runs_.find(each->source());
    before.emplace(each->source(),
                   known == runs_.end() ? std::nullopt : std::optional{known->second});
  }
  auto done = transact(database_, [&]() -> result<void> {
    for (const auto& each : batches)
      if (auto added = append_one(*each); !added) return added;
    return {};
  });
  if (done) return done;
  changes_ = changes_before;
  last_run_ = last_run_before;
  for (const auto& [source, was] : before)
    if (was)
      runs_[source] = *was;
    else
      runs_.erase(source);
  return done;
}

// -- beside a checkpoint --------------------------------------------------------------------------

std::uint64_t change_log::records_beyond(const processed_changes& checkpointed) const {
  std::uint64_t count = 0;
  for (const auto& [source, known] : runs_) {
    const auto safe = std::max(checkpointed.at(source), base_.at(source));
    if (!checkpointed.covers(dot{source.origin, source.incarnation, known.last}))
      count += known.last - std::min(safe, known.last);
  }
  return count;
}

result<std::uint64_t> change_log::first_beyond(const processed_changes& checkpointed) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::uint64_t> {
    auto first = std::min(changes_ + 1, first_damaged_);
    for (const auto& [source, known] : runs_) {
      if (checkpointed.covers(dot{source.origin, source.incarnation, known.last})) continue;
      if (const auto number = number_of(known.number, checkpointed.at(source) + 1))
        first = std::min(first, static_cast<std::uint64_t>(*number));
    }
    return first;
  });
}

void change_log::forget_before(const processed_changes& checkpointed) {
  std::erase_if(runs_, [&](const auto& each) {
    const auto& [source, known] = each;
    return checkpointed.covers(dot{source.origin, source.incarnation, known.last});
  });
}

}  // namespace troupe
