#include <troupe/actors/context/store/schema.hpp>

#include <string>

#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

namespace {

constexpr std::int64_t application_id = 0x54525043;  // "TRPC"
constexpr std::int64_t schema_version = 6;
constexpr std::int64_t oldest_version = 5;

constexpr const char* settings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -16384;"
    "PRAGMA wal_autocheckpoint = 4000;"
    "PRAGMA journal_size_limit = 1048576;";

constexpr const char* blocks =
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, first TEXT NOT NULL, entries BLOB NOT NULL,"
    "  hash INTEGER NOT NULL);";

constexpr const char* tables =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, bytes BLOB NOT NULL, hash INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE runs (run INTEGER PRIMARY KEY, origin BLOB NOT NULL, incarnation INTEGER NOT "
    "NULL, hash INTEGER NOT "
    "NULL,"
    "  UNIQUE (origin, incarnation));"
    "CREATE TABLE log (number INTEGER PRIMARY KEY, run INTEGER NOT NULL, first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL, batch BLOB NOT NULL, hash INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX log_by_run ON log (run, last);";

void set_version(SQLite::Database& database) {
  database.exec("PRAGMA user_version = " + std::to_string(schema_version));
}

result<void> create_tables(SQLite::Database& database, const store_identity& fresh) {
  return transact(database, [&]() -> result<void> {
    database.exec(tables);
    database.exec(blocks);
    database.exec("PRAGMA application_id = " + std::to_string(application_id));
    set_version(database);
    return meta_table{database}.put(meta_key::identity, fresh);
  });
}

}  // namespace

result<void> check_format(SQLite::Database& database) {
  const auto number = [&](const char* sql) { return database.execAndGet(sql).getInt64(); };
  const auto file = "'" + database.getFilename() + "'";
  const auto is_ours = number("PRAGMA application_id") == application_id;
  const auto version = number("PRAGMA user_version");
  const bool has_our_tables =
      number(
          "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN "
          "('meta', 'runs', 'log', 'blocks', 'entries')") >= 4;
  // No build is so much newer, and no other program has such tables: a bit of the header is wrong.
  constexpr std::int64_t versions_to_come = 1000;
  if (has_our_tables && (!is_ours || version > schema_version + versions_to_come || version < 0))
    return fail(error_code::corrupt_data, file + " is damaged: its header is wrong");
  if (!is_ours)
    return fail(error_code::invalid_argument,
                file + " is a database of another program; choose another data directory");
  if (version > schema_version)
    return fail(error_code::version_mismatch,
                file + " has format " + std::to_string(version) + "; this build reads up to " +
                    std::to_string(schema_version) + "; use the newer build that wrote it");
  if (version < oldest_version)
    return fail(error_code::version_mismatch,
                file + " has format " + std::to_string(version) +
                    ", which no release wrote; this build reads formats from " +
                    std::to_string(oldest_version) + " on; use a new data directory");
  return {};
}

result<void> empty_wal(SQLite::Database& database) {
  return without_exceptions(database.getFilename(), [&]() -> result<void> {
    SQLite::Statement done{database, "PRAGMA wal_checkpoint(TRUNCATE)"};
    const bool is_whole = done.executeStep() && done.getColumn(0).getInt() == 0;
    if (is_whole) return {};
    return fail(error_code::storage_failure,
                "'" + database.getFilename() + "' cannot be written without its write-ahead file");
  });
}

result<void> prepare_schema(SQLite::Database& database, const store_identity& fresh) {
  return without_exceptions(database.getFilename(), [&]() -> result<void> {
    const bool is_empty = database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt64() == 0;
    if (!is_empty)
      if (auto format = check_format(database); !format) return format;
    // The first page says so from its first write on, and the next line writes it.
    if (is_empty) database.exec("PRAGMA auto_vacuum = INCREMENTAL");
    if (database.execAndGet("PRAGMA journal_mode = WAL").getString() != "wal")
      return fail(error_code::storage_failure,
                  "the file system cannot hold a write-ahead log; use a local disk");
    database.exec(settings);
    if (!is_empty) return {};
    if (auto created = create_tables(database, fresh); !created) return created;
    // A directory that loses its write-ahead file still has a store.
    return empty_wal(database);
  });
}

void upgrade_schema(SQLite::Database& database) {
  database.exec("DROP TABLE entries");
  database.exec(blocks);
  set_version(database);
}

result<void> check_pages(SQLite::Database& database) {
  return without_exceptions(database.getFilename(), [&]() -> result<void> {
    const auto found = database.execAndGet("PRAGMA quick_check(1)").getString();
    if (found == "ok") return {};
    return fail(error_code::corrupt_data, "the context store is damaged: " + found);
  });
}

}  // namespace troupe
