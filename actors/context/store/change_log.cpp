#include <troupe/actors/context/store/change_log.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

constexpr auto no_end = std::numeric_limits<std::int64_t>::max();  // of sequence numbers
/// Incarnations of a node among which the first row of a range is looked for.
constexpr std::int64_t looked_at = 64;

std::string_view id_bytes(const node_id& node) {
  return {reinterpret_cast<const char*>(node.id.bytes.data()), node.id.bytes.size()};
}

/// The key that the hash of a row covers: its columns but the batch.
std::string row_key(std::string_view origin, std::initializer_list<std::uint64_t> numbers) {
  std::string key{origin};
  for (const auto number : numbers)
    for (int shift = 0; shift < 64; shift += 8) key += static_cast<char>(number >> shift);
  return key;
}

std::int64_t hash_of(const incarnation_id& id, std::int64_t run) {
  return row_hash(row_key(id_bytes(id.origin), {id.incarnation}), std::to_string(run));
}

std::int64_t hash_of(std::int64_t number, const change_batch& batch) {
  const auto& [origin, incarnation] = batch.source();
  return row_hash(row_key(id_bytes(origin), {incarnation, static_cast<std::uint64_t>(number),
                                             batch.first(), batch.last()}),
                  batch.bytes());
}

/// Joins batches of one incarnation that follow each other and are small.
result<std::vector<shared_batch>> joined(std::vector<shared_batch> batches) {
  const auto is_small = [](const shared_batch& each) {
    return each->bytes().size() < change_batch::compress_above;
  };
  std::vector<shared_batch> made;
  for (auto at = batches.begin(); at != batches.end();) {
    auto last = (*at)->first() - 1;
    const auto end = std::find_if_not(at, batches.end(), [&](const shared_batch& each) {
      const bool follows = each->source() == (*at)->source() && each->first() <= last + 1;
      last = each->last();
      return follows && is_small(each);
    });
    if (end - at < 2) {
      made.push_back(std::move(*at++));
      continue;
    }
    std::vector<change_record> records;
    for (; at != end; ++at) {
      auto more = (*at)->records();
      if (!more) return fail(std::move(more.error()));
      for (auto& each : *more)
        if (records.empty() || each.dot.seq > records.back().dot.seq)
          records.push_back(std::move(each));
    }
    std::ranges::move(make_batches(records), std::back_inserter(made));
  }
  return made;
}

}  // namespace

change_log::change_log(SQLite::Database& database)
    : database_(database),
      insert_(database,
              "INSERT INTO log (number, run, first, last, batch, hash) VALUES (?, ?, ?, ?, ?, ?)"),
      number_(database, "SELECT number FROM log WHERE run = ? AND last >= ? ORDER BY last LIMIT 1"),
      rows_(database,
            "SELECT number, origin, incarnation, first, last FROM log LEFT JOIN runs USING (run) "
            "WHERE number >= ? ORDER BY number"),
      batch_(database,
             "SELECT number, origin, incarnation, first, last, batch, log.hash FROM log "
             "LEFT JOIN runs USING (run) WHERE number = ?"),
      insert_run_(database,
                  "INSERT INTO runs (run, origin, incarnation, hash) VALUES (?, ?, ?, ?)"),
      run_(database,
           "SELECT run, hash, (SELECT max(last) FROM log WHERE log.run = runs.run) FROM runs "
           "WHERE origin = ? AND incarnation = ?"),
      runs_from_(database,
                 "SELECT run, incarnation FROM runs WHERE origin = ? AND incarnation BETWEEN ? AND "
                 "? ORDER BY incarnation LIMIT ?") {}

result<void> change_log::load(std::uint64_t from) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    changes_ = static_cast<std::uint64_t>(
        database_.execAndGet("SELECT coalesce(max(number), 0) FROM log").getInt64());
    last_run_ = database_.execAndGet("SELECT coalesce(max(run), 0) FROM runs").getInt64();
    SQLite::Statement rows{database_,
                           "SELECT min(number), origin, incarnation FROM log LEFT JOIN runs "
                           "USING (run) WHERE number >= ? GROUP BY run"};
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
  incarnation_id source{{}, static_cast<std::uint64_t>(at.getColumn(2).getInt64())};
  const auto column = at.getColumn(1);
  const auto origin = bytes_of(column);
  if (origin.size() != source.origin.id.bytes.size())
    return damaged_row(name, "its incarnation is unknown");
  std::memcpy(source.origin.id.bytes.data(), origin.data(), origin.size());
  return source;
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
    return find_run(source).map([](const run& found) { return found.last; });
  });
}

result<std::uint64_t> change_log::last_incarnation(const node_id& node) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::uint64_t> {
    SQLite::Statement latest{database_,
                             "SELECT coalesce(max(incarnation), 0) FROM runs WHERE origin = ?"};
    bind_blob(latest, 1, id_bytes(node));
    latest.executeStep();
    return static_cast<std::uint64_t>(latest.getColumn(0).getInt64());
  });
}

// -- appending ------------------------------------------------------------------------------------

/// Checks the changes of a batch up to `last` against the ones that the log has.
result<void> change_log::check_same(const change_batch& batch, std::uint64_t last) {
  const auto& [origin, incarnation] = batch.source();
  const std::vector<log_range> wanted{
      {{origin, incarnation, batch.first()}, {origin, incarnation, last}}};
  const auto known = read_rows(wanted, std::numeric_limits<std::size_t>::max());
  if (!known) return fail(known.error());
  if (known->size() == 1 && *known->front() == batch) return {};
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

result<void> change_log::append_one(const change_batch& batch) {
  const auto& source = batch.source();
  auto known = find_run(source);
  if (!known) return fail(std::move(known.error()));
  const auto last = known->last;
  if (batch.first() > last + 1)
    return fail(error_code::internal,
                "change " + to_string(dot{source.origin, source.incarnation, batch.first()}) +
                    " was to be logged after change " + std::to_string(last) +
                    " of its incarnation");
  if (batch.first() <= last)
    if (auto same = check_same(batch, std::min(last, batch.last())); !same) return same;
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

// -- reading --------------------------------------------------------------------------------------

/// The batch of a row of `number, origin, incarnation, first, last, batch, hash`, checked.
result<shared_batch> change_log::batch_of(const SQLite::Statement& at) {
  const auto number = at.getColumn(0).getInt64();
  const auto name = "log row " + std::to_string(number);
  const auto source = source_of(at, name);
  if (!source) return fail(source.error());
  const auto column = at.getColumn(5);
  auto batch = change_batch::read(std::string{bytes_of(column)});
  const auto first = static_cast<std::uint64_t>(at.getColumn(3).getInt64()),
             last = static_cast<std::uint64_t>(at.getColumn(4).getInt64());
  const bool is_sound = batch && at.getColumn(6).getInt64() == hash_of(number, **batch);
  if (!is_sound) return damaged_row(name, wrong_hash);
  if ((*batch)->source() != *source || (*batch)->first() != first || (*batch)->last() != last)
    return damaged_row(name, "it holds other changes than it says");
  return batch;
}

/// The number of the row that holds this change of a run, or of the first one behind it.
std::optional<std::int64_t> change_log::number_of(std::int64_t run, std::uint64_t seq) {
  const scoped_reset after{number_};
  number_.bind(1, run);
  number_.bind(2, static_cast<std::int64_t>(std::min<std::uint64_t>(seq, no_end)));
  if (!number_.executeStep()) return std::nullopt;
  return number_.getColumn(0).getInt64();
}

/// The number of the row with which reading a range has to begin. Incarnations follow each other in
/// the log, unless a disk was set back: among the first ones of a range the order may be another.
std::optional<std::int64_t> change_log::first_row_of(const log_range& range) {
  const scoped_reset after{runs_from_};
  bind_blob(runs_from_, 1, id_bytes(range.first.origin));
  runs_from_.bind(2, static_cast<std::int64_t>(range.first.incarnation));
  runs_from_.bind(3, static_cast<std::int64_t>(range.last.incarnation));
  runs_from_.bind(4, looked_at);
  std::optional<std::int64_t> first;
  while (runs_from_.executeStep()) {
    const auto incarnation = static_cast<std::uint64_t>(runs_from_.getColumn(1).getInt64());
    const auto number = number_of(runs_from_.getColumn(0).getInt64(),
                                  incarnation == range.first.incarnation ? range.first.seq : 1);
    if (number && (!first || *number < *first)) first = number;
  }
  return first;
}

result<std::vector<shared_batch>> change_log::read_rows(std::span<const log_range> wanted,
                                                        std::size_t max_bytes) {
  std::vector<shared_batch> batches;
  std::multimap<node_id, log_range> open;
  auto from = no_end;
  for (const auto& each : wanted) {
    const auto number = first_row_of(each);
    if (!number) continue;
    open.emplace(each.first.origin, each);
    from = std::min(from, *number);
  }
  const scoped_reset after{rows_};
  rows_.bind(1, from);
  for (std::size_t bytes = 0; !open.empty() && rows_.executeStep();) {
    const auto source =
        source_of(rows_, "log row " + std::to_string(rows_.getColumn(0).getInt64()));
    if (!source) return fail(source.error());
    const auto first = static_cast<std::uint64_t>(rows_.getColumn(3).getInt64()),
               last = static_cast<std::uint64_t>(rows_.getColumn(4).getInt64());
    const auto [begin, end] = open.equal_range(source->origin);
    const auto range = std::find_if(
        begin, end, [&](const auto& each) { return each.second.overlaps(*source, first, last); });
    if (range == end) continue;
    const scoped_reset after_batch{batch_};
    batch_.bind(1, rows_.getColumn(0).getInt64());
    if (!batch_.executeStep()) continue;
    auto batch = batch_of(batch_);
    if (!batch) return fail(std::move(batch.error()));
    bytes += (*batch)->bytes().size();
    if (!batches.empty() && bytes > max_bytes) break;
    batches.push_back(std::move(*batch));
    const auto& end_of_range = range->second.last;
    if (source->incarnation == end_of_range.incarnation && last >= end_of_range.seq)
      open.erase(range);
  }
  return batches;
}

result<std::vector<shared_batch>> change_log::read(std::span<const log_range> wanted,
                                                   std::size_t max_bytes) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::vector<shared_batch>> {
    auto rows = read_rows(wanted, max_bytes);
    if (!rows) return rows;
    return joined(std::move(*rows));
  });
}

result<void> change_log::replay(processed_changes done,
                                const std::function<result<void>(change_record&&)>& take) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    const auto from = first_beyond(done);
    if (!from) return fail(from.error());
    SQLite::Statement rows{database_,
                           "SELECT number, origin, incarnation, first, last, batch, log.hash FROM "
                           "log LEFT JOIN runs USING (run) WHERE number >= ? ORDER BY number"};
    rows.bind(1, static_cast<std::int64_t>(*from));
    while (rows.executeStep()) {
      const auto batch = batch_of(rows);
      if (!batch) return fail(batch.error());
      const auto& source = (*batch)->source();
      const dot end{source.origin, source.incarnation, (*batch)->last()};
      if (done.covers(end)) continue;
      auto records = (*batch)->records();
      if (!records)
        return damaged_row("log row " + std::to_string(rows.getColumn(0).getInt64()),
                           records.error().message);
      for (auto& each : *records)
        if (!done.covers(each.dot))
          if (auto taken = take(std::move(each)); !taken) return taken;
      done.raise(end);
    }
    return {};
  });
}

// -- beside a checkpoint --------------------------------------------------------------------------

std::uint64_t change_log::records_beyond(const processed_changes& checkpointed) const {
  std::uint64_t count = 0;
  for (const auto& [source, known] : runs_)
    if (!checkpointed.covers(dot{source.origin, source.incarnation, known.last}))
      count += known.last - checkpointed.at(source);
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
