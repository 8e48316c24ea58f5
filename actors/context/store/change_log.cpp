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
      rows_(database, "SELECT number, run, last FROM log WHERE number >= ? ORDER BY number"),
      batch_(database, "SELECT number, run, first, last, batch, hash FROM log WHERE number = ?"),
      insert_run_(database,
                  "INSERT INTO runs (run, origin, incarnation, hash) VALUES (?, ?, ?, ?)") {}

result<void> change_log::load() {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    SQLite::Statement rows{database_,
                           "SELECT run, origin, incarnation, hash, "
                           "(SELECT max(last) FROM log WHERE log.run = runs.run) FROM runs"};
    while (rows.executeStep()) {
      const std::int64_t run = rows.getColumn(0).getInt64();
      const auto name = "row " + std::to_string(run) + " of 'runs'";
      incarnation_id id{{}, static_cast<std::uint64_t>(rows.getColumn(2).getInt64())};
      const auto column = rows.getColumn(1);
      const auto origin = bytes_of(column);
      if (origin.size() != id.origin.id.bytes.size())
        return damaged_row(name, "its origin is not an id");
      std::memcpy(id.origin.id.bytes.data(), origin.data(), origin.size());
      if (rows.getColumn(3).getInt64() != hash_of(id, run)) return damaged_row(name, wrong_hash);
      runs_[id] = run;
      incarnations_[run] = id;
      vector_.raise(id.origin, id.incarnation,
                    static_cast<std::uint64_t>(rows.getColumn(4).getInt64()));
    }
    changes_ = static_cast<std::uint64_t>(
        database_.execAndGet("SELECT coalesce(max(number), 0) FROM log").getInt64());
    return {};
  });
}

// -- appending ------------------------------------------------------------------------------------

/// The key of an incarnation in `runs`, where it is added when it is new.
std::int64_t change_log::run_of(const incarnation_id& id) {
  if (const auto known = runs_.find(id); known != runs_.end()) return known->second;
  const auto run = static_cast<std::int64_t>(runs_.size()) + 1;
  const scoped_reset after{insert_run_};
  insert_run_.bind(1, run);
  bind_blob(insert_run_, 2, id_bytes(id.origin));
  insert_run_.bind(3, static_cast<std::int64_t>(id.incarnation));
  insert_run_.bind(4, hash_of(id, run));
  insert_run_.exec();
  incarnations_[run] = id;
  return runs_[id] = run;
}

/// Checks the changes of a batch up to `last` against the ones that the log has.
result<void> change_log::check_same(const change_batch& batch, std::uint64_t last) {
  const auto& [origin, incarnation] = batch.source();
  const std::vector<dot_range> wanted{{origin, incarnation, batch.first(), last}};
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

result<void> change_log::append_one(const change_batch& batch, version_vector& vector,
                                    std::uint64_t& changes) {
  const auto& [origin, incarnation] = batch.source();
  const auto last = vector.at(origin, incarnation);
  if (batch.first() > last + 1)
    return fail(error_code::internal, "change " +
                                          to_string(dot{origin, incarnation, batch.first()}) +
                                          " was to be logged after change " + std::to_string(last) +
                                          " of its incarnation");
  if (batch.first() <= last)
    if (auto same = check_same(batch, std::min(last, batch.last())); !same) return same;
  if (batch.last() <= last) return {};
  changes += batch.last() - last;
  const auto number = static_cast<std::int64_t>(changes);
  const scoped_reset after{insert_};
  insert_.bind(1, number);
  insert_.bind(2, run_of(batch.source()));
  insert_.bind(3, static_cast<std::int64_t>(batch.first()));
  insert_.bind(4, static_cast<std::int64_t>(batch.last()));
  bind_blob(insert_, 5, batch.bytes());
  insert_.bind(6, hash_of(number, batch));
  insert_.exec();
  vector.raise(origin, incarnation, batch.last());
  return {};
}

result<void> change_log::append(std::span<const shared_batch> batches) {
  const auto known = static_cast<std::int64_t>(runs_.size());
  auto vector = vector_;
  auto changes = changes_;
  auto done = transact(database_, [&]() -> result<void> {
    for (const auto& each : batches)
      if (auto added = append_one(*each, vector, changes); !added) return added;
    return {};
  });
  if (done) {
    vector_ = std::move(vector);
    changes_ = changes;
  } else {
    std::erase_if(runs_, [&](const auto& each) { return each.second > known; });
    std::erase_if(incarnations_, [&](const auto& each) { return each.first > known; });
  }
  return done;
}

// -- reading --------------------------------------------------------------------------------------

/// The batch of a row of `number, run, first, last, batch, hash`, checked.
result<shared_batch> change_log::batch_of(const SQLite::Statement& at) const {
  const auto number = at.getColumn(0).getInt64();
  const auto name = "log row " + std::to_string(number);
  const auto source = incarnations_.find(at.getColumn(1).getInt64());
  if (source == incarnations_.end()) return damaged_row(name, "its incarnation is unknown");
  const auto column = at.getColumn(4);
  auto batch = change_batch::read(std::string{bytes_of(column)});
  const auto first = static_cast<std::uint64_t>(at.getColumn(2).getInt64()),
             last = static_cast<std::uint64_t>(at.getColumn(3).getInt64());
  const bool is_sound = batch && at.getColumn(5).getInt64() == hash_of(number, **batch);
  if (!is_sound) return damaged_row(name, wrong_hash);
  if ((*batch)->source() != source->second || (*batch)->first() != first ||
      (*batch)->last() != last)
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

result<std::vector<shared_batch>> change_log::read_rows(std::span<const dot_range> wanted,
                                                        std::size_t max_bytes) {
  std::vector<shared_batch> batches;
  std::map<std::int64_t, dot_range> open;  // by run
  auto from = no_end;
  for (const auto& each : wanted) {
    const auto known = runs_.find({each.origin, each.incarnation});
    if (known == runs_.end()) continue;
    const auto number = number_of(known->second, each.first);
    if (!number) continue;
    open.emplace(known->second, each);
    from = std::min(from, *number);
  }
  const scoped_reset after{rows_};
  rows_.bind(1, from);
  for (std::size_t bytes = 0; !open.empty() && rows_.executeStep();) {
    const auto range = open.find(rows_.getColumn(1).getInt64());
    const auto last = static_cast<std::uint64_t>(rows_.getColumn(2).getInt64());
    if (range == open.end() || last < range->second.first) continue;
    const scoped_reset after_batch{batch_};
    batch_.bind(1, rows_.getColumn(0).getInt64());
    if (!batch_.executeStep()) continue;
    auto batch = batch_of(batch_);
    if (!batch) return fail(std::move(batch.error()));
    bytes += (*batch)->bytes().size();
    if (!batches.empty() && bytes > max_bytes) break;
    if ((*batch)->first() <= range->second.last) batches.push_back(std::move(*batch));
    if (last >= range->second.last) open.erase(range);
  }
  return batches;
}

result<std::vector<shared_batch>> change_log::read(std::span<const dot_range> wanted,
                                                   std::size_t max_bytes) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::vector<shared_batch>> {
    auto rows = read_rows(wanted, max_bytes);
    if (!rows) return rows;
    return joined(std::move(*rows));
  });
}

result<void> change_log::replay(const version_vector& from,
                                const std::function<result<void>(change_record&&)>& take) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    SQLite::Statement rows{database_,
                           "SELECT number, run, first, last, batch, hash FROM log "
                           "WHERE number >= ? ORDER BY number"};
    auto number = no_end;
    for (const auto& [id, run] : runs_)
      if (const auto first = number_of(run, from.at(id.origin, id.incarnation) + 1))
        number = std::min(number, *first);
    rows.bind(1, number);
    auto done = from;
    while (rows.executeStep()) {
      const auto batch = batch_of(rows);
      if (!batch) return fail(batch.error());
      const auto& [origin, incarnation] = (*batch)->source();
      const auto last = done.at(origin, incarnation);
      if ((*batch)->last() <= last) continue;
      auto records = (*batch)->records();
      if (!records)
        return damaged_row("log row " + std::to_string(rows.getColumn(0).getInt64()),
                           records.error().message);
      for (auto& each : *records)
        if (each.dot.seq > last)
          if (auto taken = take(std::move(each)); !taken) return taken;
      done.raise(origin, incarnation, (*batch)->last());
    }
    return {};
  });
}

std::uint64_t change_log::records_beyond(const version_vector& vector) const {
  std::uint64_t count = 0;
  for (const auto& each : vector_.entries()) {
    const auto held = vector.at(each.origin, each.incarnation);
    if (each.seq > held) count += each.seq - held;
  }
  return count;
}

std::uint64_t change_log::last_incarnation(const node_id& node) const {
  std::uint64_t last = 0;
  for (const auto& [id, run] : runs_)
    if (id.origin == node) last = std::max(last, id.incarnation);
  return last;
}

}  // namespace troupe
