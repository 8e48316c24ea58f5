#include <troupe/actors/context/store/sqlite.hpp>

#include <sqlite3.h>

namespace troupe {

namespace {

error to_error(sqlite3* database) {
  const int code = database ? sqlite3_errcode(database) & 0xff : SQLITE_NOMEM;
  const std::string file = database && sqlite3_db_filename(database, "main")
                               ? sqlite3_db_filename(database, "main")
                               : "";
  const std::string why = database ? sqlite3_errmsg(database) : "out of memory";
  switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return {error_code::corrupt_data, "'" + file + "' is damaged: " + why, {}};
    case SQLITE_FULL:
      return {error_code::storage_failure,
              "'" + file + "' cannot grow: its disk is full or its size limit is reached",
              {}};
    default: return {error_code::storage_failure, "'" + file + "' cannot be used: " + why, {}};
  }
}

}  // namespace

// -- statement ------------------------------------------------------------------------------------

void sqlite_statement::finalizer::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

sqlite_statement& sqlite_statement::bind(int parameter, std::int64_t number) {
  sqlite3_bind_int64(statement_.get(), parameter, number);
  return *this;
}

sqlite_statement& sqlite_statement::bind_blob(int parameter, std::string_view bytes) {
  // A null pointer would bind NULL, which is not the empty blob.
  sqlite3_bind_blob64(statement_.get(), parameter, bytes.data() ? bytes.data() : "", bytes.size(),
                      SQLITE_STATIC);
  return *this;
}

sqlite_statement& sqlite_statement::bind_text(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data() ? text.data() : "", text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

result<bool> sqlite_statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  auto failure = to_error(sqlite3_db_handle(statement_.get()));
  reset();
  return fail(std::move(failure));
}

result<void> sqlite_statement::run() {
  auto stepped = step();
  if (!stepped) return fail(std::move(stepped.error()));
  reset();
  return {};
}

void sqlite_statement::reset() noexcept { sqlite3_reset(statement_.get()); }

std::int64_t sqlite_statement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view sqlite_statement::blob(int column) const noexcept {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return bytes ? std::string_view{bytes, static_cast<std::size_t>(
                                             sqlite3_column_bytes(statement_.get(), column))}
               : std::string_view{};
}

// -- database -------------------------------------------------------------------------------------

// The second form lets statements be finalised after their database.
void sqlite_database::closer::operator()(sqlite3* database) const noexcept {
  sqlite3_close_v2(database);
}

result<sqlite_database> sqlite_database::open(const std::string& file) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  sqlite_database database;
  database.database_.reset(handle);
  if (code != SQLITE_OK) return fail(to_error(handle));
  return database;
}

result<void> sqlite_database::execute(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return fail(to_error(database_.get()));
  return {};
}

result<sqlite_statement> sqlite_database::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) return fail(to_error(database_.get()));
  sqlite_statement statement;
  statement.statement_.reset(handle);
  return statement;
}

result<std::int64_t> sqlite_database::number(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(std::move(statement.error()));
  if (auto row = statement->step(); !row) return fail(std::move(row.error()));
  return statement->integer(0);
}

result<std::string> sqlite_database::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(std::move(statement.error()));
  if (auto row = statement->step(); !row) return fail(std::move(row.error()));
  return std::string{statement->blob(0)};
}

void sqlite_database::roll_back() noexcept {
  // Some failures have rolled back already; then there is nothing left to do.
  sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace troupe
