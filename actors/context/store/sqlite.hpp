#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>

#include <troupe/messages/error.hpp>

namespace troupe {

// SQLiteCpp throws; the store returns results. The functions here convert between the two. A
// public member of a table catches what SQLiteCpp throws with `without_exceptions`; its private
// helpers may throw.

/// The error for a failure of SQLite: corrupt_data when the file is damaged or no database,
/// storage_failure otherwise.
/// @param file is named in the message.
error to_error(const SQLite::Exception& failure, const std::string& file);

/// Calls `body`, which returns a `result`, and returns its result or the error that an exception of
/// SQLiteCpp becomes.
template <class Body>
std::invoke_result_t<Body> without_exceptions(const std::string& file, Body&& body) {
  try {
    return body();
  } catch (const SQLite::Exception& failure) {
    return fail(to_error(failure, file));
  }
}

/// Runs `body`, which returns `result<void>`, as one transaction. Commits when `body` succeeds,
/// rolls everything back otherwise. After the commit the changes survive a power cut.
template <class Body>
result<void> transact(SQLite::Database& database, Body&& body) {
  return without_exceptions(database.getFilename(), [&]() -> result<void> {
    SQLite::Transaction transaction{database, SQLite::TransactionBehavior::IMMEDIATE};
    result<void> done = body();
    if (done) transaction.commit();
    return done;
  });
}

/// Resets a statement at the end of a scope. A statement that failed, or has rows left, accepts no
/// parameters before it is reset.
class scoped_reset {
public:
  explicit scoped_reset(SQLite::Statement& statement) noexcept : statement_(statement) {}
  scoped_reset(const scoped_reset&) = delete;
  scoped_reset& operator=(const scoped_reset&) = delete;
  ~scoped_reset() { statement_.tryReset(); }

private:
  SQLite::Statement& statement_;
};

/// Binds bytes without a copy: they must live until the statement is reset.
inline void bind_blob(SQLite::Statement& statement, int parameter, std::string_view bytes) {
  statement.bindNoCopy(parameter, bytes.data(), static_cast<int>(bytes.size()));
}

/// The bytes of a text or blob. Valid until the statement is stepped or reset.
inline std::string_view bytes_of(const SQLite::Column& column) {
  const auto* bytes = static_cast<const char*>(column.getBlob());
  return bytes ? std::string_view{bytes, static_cast<std::size_t>(column.getBytes())}
               : std::string_view{};
}

}  // namespace troupe
