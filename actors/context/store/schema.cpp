#include <troupe/actors/context/store/schema.hpp>

#include <string>

#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

namespace {

constexpr std::int64_t application_id = 0x54525043;  // "TRPC"
constexpr std::int64_t schema_version = 4;
constexpr std::int64_t oldest_version = 4;

constexpr const char* settings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -16384;"
    "PRAGMA wal_autocheckpoint = 4000;"
    "PRAGMA journal_size_limit = 1048576;";

constexpr const char* tables =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, bytes BLOB NOT NULL, hash INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE runs (run INTEGER PRIMARY KEY, origin BLOB NOT NULL, incarnation INTEGER NOT "
    "NULL, hash INTEGER NOT "
    "NULL,"
    "  UNIQUE (origin, incarnation));"
    "CREATE TABLE log (number INTEGER PRIMARY KEY, run INTEGER NOT NULL, first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL, batch BLOB NOT NULL, hash INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX log_by_run ON log (run, last);"
    "CREATE TABLE entries (path TEXT PRIMARY KEY, siblings BLOB NOT NULL, hash INTEGER NOT NULL) "
    "WITHOUT ROWID;";

result<void> create_tables(SQLite::Database& database, const store_identity& fresh) {
  return transact(database, [&]() -> result<void> {
    database.exec(tables);
    database.exec("PRAGMA application_id = " + std::to_string(application_id));
    database.exec("PRAGMA user_version = " + std::to_string(schema_version));
    return meta_table{database}.put("identity", fresh);
  });
}

result<std::chrono::milliseconds> check_pages(SQLite::Database& database) {
  const auto began = std::chrono::steady_clock::now();
  const auto found = database.execAndGet("PRAGMA quick_check(1)").getString();
  if (found != "ok")
    return fail(error_code::corrupt_data, "the context store is damaged: " + found);
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               began);
}

}  // namespace

result<std::chrono::milliseconds> prepare_schema(SQLite::Database& database,
                                                 const store_identity& fresh) {
  return without_exceptions(database.getFilename(), [&]() -> result<std::chrono::milliseconds> {
    const auto number = [&](const char* sql) { return database.execAndGet(sql).getInt64(); };
    const auto owner = number("PRAGMA application_id");
    const bool is_empty = number("SELECT count(*) FROM sqlite_schema") == 0;
    if (!is_empty && owner != application_id)
      return fail(error_code::corrupt_data,
                  "'context.db' is a database of another program; choose another data directory");
    const auto version = number("PRAGMA user_version");
    if (version > schema_version)
      return fail(error_code::version_mismatch,
                  "the context store has format " + std::to_string(version) +
                      "; this build reads up to " + std::to_string(schema_version));
    if (!is_empty && version < oldest_version)
      return fail(error_code::version_mismatch,
                  "the context store has format " + std::to_string(version) +
                      ", which no release wrote; this build reads formats from " +
                      std::to_string(oldest_version) + " on; use a new data directory");
    // The first page says so from its first write on, and the next line writes it.
    if (is_empty) database.exec("PRAGMA auto_vacuum = INCREMENTAL");
    if (database.execAndGet("PRAGMA journal_mode = WAL").getString() != "wal")
      return fail(error_code::storage_failure,
                  "the file system cannot hold a write-ahead log; use a local disk");
    database.exec(settings);
    if (!is_empty) return check_pages(database);
    if (auto created = create_tables(database, fresh); !created)
      return fail(std::move(created.error()));
    return std::chrono::milliseconds{0};
  });
}

}  // namespace troupe
