#include <troupe/actors/context/store/change_log.hpp>

#include <algorithm>
#include <cstring>

#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

std::string_view id_bytes(const node_id& node) {
  return {reinterpret_cast<const char*>(node.id.bytes.data()), node.id.bytes.size()};
}

/// The key that the hash of a log row covers.
std::string log_key(const dot& id) {
  std::string key{id_bytes(id.origin)};
  for (const auto number : {id.incarnation, id.seq})
    for (int shift = 0; shift < 64; shift += 8) key += static_cast<char>(number >> shift);
  return key;
}

std::int64_t hash_of(const incarnation_id& id, std::int64_t row) {
  return row_hash(log_key({id.origin, id.incarnation, 0}), std::to_string(row));
}

}  // namespace

change_log::change_log(SQLite::Database& database)
    : database_(database),
      insert_(database, "INSERT INTO log (run, seq, record, hash) VALUES (?, ?, ?, ?)"),
      select_(database,
              "SELECT seq, record, hash FROM log WHERE run = ? AND seq >= ? ORDER BY seq"),
      insert_incarnation_(
          database, "INSERT INTO runs (run, origin, incarnation, hash) VALUES (?, ?, ?, ?)") {}

result<void> change_log::load() {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    SQLite::Statement rows{database_,
                           "SELECT run, origin, incarnation, hash, "
                           "(SELECT max(seq) FROM log WHERE log.run = runs.run) FROM runs"};
    while (rows.executeStep()) {
      const std::int64_t row = rows.getColumn(0).getInt64();
      const auto name = "row " + std::to_string(row) + " of 'runs'";
      incarnation_id id{{}, static_cast<std::uint64_t>(rows.getColumn(2).getInt64())};
      const auto column = rows.getColumn(1);
      const auto origin = bytes_of(column);
      if (origin.size() != id.origin.id.bytes.size())
        return damaged_row(name, "its origin is not an id");
      std::memcpy(id.origin.id.bytes.data(), origin.data(), origin.size());
      if (rows.getColumn(3).getInt64() != hash_of(id, row)) return damaged_row(name, wrong_hash);
      rows_[id] = row;
      vector_.raise(id.origin, id.incarnation,
                    static_cast<std::uint64_t>(rows.getColumn(4).getInt64()));
    }
    return {};
  });
}

// -- appending ------------------------------------------------------------------------------------

/// The key of an incarnation in `runs`, where it is added when it is new.
std::int64_t change_log::row_of(const incarnation_id& id) {
  if (const auto known = rows_.find(id); known != rows_.end()) return known->second;
  const auto row = static_cast<std::int64_t>(rows_.size()) + 1;
  const scoped_reset after{insert_incarnation_};
  insert_incarnation_.bind(1, row);
  bind_blob(insert_incarnation_, 2, id_bytes(id.origin));
  insert_incarnation_.bind(3, static_cast<std::int64_t>(id.incarnation));
  insert_incarnation_.bind(4, hash_of(id, row));
  insert_incarnation_.exec();
  return rows_[id] = row;
}

result<void> change_log::check_same(const encoded_record& record) {
  const auto known = read_rows({record.dot.origin, record.dot.incarnation}, record.dot.seq, 0);
  if (!known) return fail(known.error());
  if (!known->empty() && known->front().dot == record.dot && known->front().bytes != record.bytes)
    return fail(error_code::corrupt_data,
                "another change " + to_string(record.dot) + " is in the log already");
  return {};
}

result<void> change_log::append_one(const encoded_record& record, version_vector& vector) {
  const auto& [origin, incarnation, seq] = record.dot;
  const auto last = vector.at(origin, incarnation);
  if (seq <= last) return check_same(record);
  if (seq != last + 1)
    return fail(error_code::internal, "change " + to_string(record.dot) +
                                          " was to be logged after change " + std::to_string(last) +
                                          " of its incarnation");
  const auto row = row_of({origin, incarnation});
  const scoped_reset after{insert_};
  insert_.bind(1, row);
  insert_.bind(2, static_cast<std::int64_t>(seq));
  bind_blob(insert_, 3, record.bytes);
  insert_.bind(4, row_hash(log_key(record.dot), record.bytes));
  insert_.exec();
  vector.raise(origin, incarnation, seq);
  return {};
}

result<void> change_log::append(std::span<const encoded_record> records) {
  const auto known = static_cast<std::int64_t>(rows_.size());
  auto vector = vector_;
  auto done = transact(database_, [&]() -> result<void> {
    for (const auto& each : records)
      if (auto added = append_one(each, vector); !added) return added;
    return {};
  });
  if (done)
    vector_ = std::move(vector);
  else
    std::erase_if(rows_, [&](const auto& each) { return each.second > known; });
  return done;
}

// -- reading --------------------------------------------------------------------------------------

result<std::vector<encoded_record>> change_log::read_rows(const incarnation_id& id,
                                                          std::uint64_t first,
                                                          std::size_t max_bytes) {
  std::vector<encoded_record> records;
  const auto known = rows_.find(id);
  if (known == rows_.end()) return records;
  const scoped_reset after{select_};
  select_.bind(1, known->second);
  select_.bind(2, static_cast<std::int64_t>(first));
  for (std::size_t bytes = 0; select_.executeStep();) {
    const auto column = select_.getColumn(1);
    const auto stored = bytes_of(column);
    bytes += stored.size();
    if (bytes > max_bytes && !records.empty()) break;
    const dot change{id.origin, id.incarnation,
                     static_cast<std::uint64_t>(select_.getColumn(0).getInt64())};
    if (select_.getColumn(2).getInt64() != row_hash(log_key(change), stored))
      return damaged_row("log row " + to_string(change), wrong_hash);
    records.push_back({change, std::string{stored}});
  }
  return records;
}

result<std::vector<encoded_record>> change_log::read(const incarnation_id& id, std::uint64_t first,
                                                     std::size_t max_bytes) {
  return without_exceptions(database_.getFilename(),
                            [&] { return read_rows(id, first, max_bytes); });
}

result<void> change_log::replay(const version_vector& from,
                                const std::function<result<void>(change_record&&)>& take) {
  constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
  for (const auto& [id, row] : rows_) {
    for (auto next = from.at(id.origin, id.incarnation) + 1;;) {
      const auto records = read(id, next, chunk_bytes);
      if (!records) return fail(records.error());
      if (records->empty()) break;
      for (const auto& each : *records) {
        const auto name = [&] { return "log row " + to_string(each.dot); };
        auto record = decode<change_record>(each.bytes, stored_data_limits());
        if (!record) return damaged_row(name(), record.error().message);
        if (record->dot != each.dot) return damaged_row(name(), "it holds another change");
        if (auto taken = take(std::move(*record)); !taken) return taken;
      }
      next = records->back().dot.seq + 1;
    }
  }
  return {};
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
  for (const auto& [id, row] : rows_)
    if (id.origin == node) last = std::max(last, id.incarnation);
  return last;
}

}  // namespace troupe
