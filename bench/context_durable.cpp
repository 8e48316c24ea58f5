// Durable writes of the context beside a loop that appends the same bytes to SQLite.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/bench/scratch_directory.hpp>
#include <troupe/bench/suites.hpp>

namespace troupe::bench {

namespace {

constexpr std::size_t batch = 1000;
constexpr std::uint64_t start_ms = 1'700'000'000'000;

result<change_record> next_write(context_engine& engine, std::size_t number) {
  const auto name = std::to_string(number % 20'000);
  return engine.write(operation::put, path{"/app/users/" + name + "/name"},
                      value{"payload-" + std::to_string(number) + "-of-32-bytes"}, "bench", {},
                      start_ms + number / 100);
}

/// An engine and its log, as a replica uses them.
class our_store {
public:
  explicit our_store(context_store store) : store_(std::move(store)) {}

  result<double> append(std::size_t count) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t done = 0; done < count; done += batch) {
      std::vector<change_record> records;
      records.reserve(batch);
      for (std::size_t i = 0; i < batch; ++i) {
        auto record = next_write(engine_, ++writes_);
        if (!record) return fail(record.error());
        records.push_back(std::move(*record));
      }
      if (auto appended = store_.append(make_batches(records)); !appended)
        return fail(appended.error());
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    const auto& own = engine_.own_incarnation();
    if (store_.last_logged(own) != writes_)
      return fail(error_code::corrupt_data, "the log does not hold every write");
    return static_cast<double>(count) / passed.count();
  }

private:
  context_engine engine_{node_id{uuid{{1, 2, 3}}}, 1};
  context_store store_;
  std::size_t writes_ = 0;
};

/// A table that the same changes are appended to, one row each, with the same durability.
class bare_table {
public:
  explicit bare_table(const std::string& file)
      : database_(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
    database_.exec("PRAGMA journal_mode = WAL");
    database_.exec("PRAGMA synchronous = FULL");
    database_.exec("CREATE TABLE log (id INTEGER PRIMARY KEY, record BLOB NOT NULL)");
    context_engine engine{node_id{uuid{{1, 2, 3}}}, 1};
    for (std::size_t i = 1; i <= batch; ++i)
      records_.push_back(change_batch::of(std::vector{*next_write(engine, i)})->bytes());
  }

  result<double> append(std::size_t count) {
    SQLite::Statement insert{database_, "INSERT INTO log (record) VALUES (?)"};
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t done = 0; done < count; done += batch) {
      SQLite::Transaction transaction{database_};
      for (const auto& each : records_) {
        insert.bindNoCopy(1, each.data(), static_cast<int>(each.size()));
        insert.exec();
        insert.reset();
      }
      transaction.commit();
      rows_ += batch;
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (database_.execAndGet("SELECT max(id) FROM log").getInt64() !=
        static_cast<std::int64_t>(rows_))
      return fail(error_code::corrupt_data, "the table does not hold every row");
    return static_cast<double>(count) / passed.count();
  }

private:
  SQLite::Database database_;
  std::vector<std::string> records_;
  std::size_t rows_ = 0;
};

}  // namespace

result<void> measure_durable(harness& with) {
  const scratch_directory where;
  if (where.path().empty()) return fail(error_code::storage_failure, "no directory can be made");
  auto opened = context_store::open((where.path() / "ours").string(),
                                    {cluster_id{uuid{{9}}}, node_id{uuid{{1, 2, 3}}}});
  if (!opened) return fail(opened.error());
  our_store ours{std::move(*opened)};
  bare_table beside{(where.path() / "bare.db").string()};
  const auto writes = with.operations(80'000) / batch * batch;
  return with.compare({.suite = "context",
                       .name = "durable writes, committed by 1,000",
                       .unit = "writes/s",
                       .ours = {"engine and store", [&] { return ours.append(writes); }},
                       .beside = {"bare SQLite", [&] { return beside.append(writes); }},
                       .target = 0.7});
}

}  // namespace troupe::bench
