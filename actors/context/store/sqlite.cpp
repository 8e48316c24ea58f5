#include <troupe/actors/context/store/sqlite.hpp>

#include <sqlite3.h>

#include <troupe/actors/context/store/disk_trouble.hpp>

namespace troupe {

error to_error(const SQLite::Exception& failure, const std::string& file) {
  constexpr int primary_code = 0xff;
  const auto code = failure.getErrorCode() & primary_code;
  const bool is_of_disk = code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_CANTOPEN ||
                          code == SQLITE_READONLY;
  const auto trouble = is_of_disk ? disk_trouble(file) : std::string{};
  switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {error_code::corrupt_data, "'" + file + "' is damaged: " + failure.what(), {}};
    case SQLITE_FULL:
      return {error_code::storage_failure,
              "'" + file + "' cannot grow: " +
                  (trouble.empty() ? "its disk is full or its size limit is reached" : trouble),
              {}};
    default:
      return {error_code::storage_failure,
              "'" + file + "' cannot be used: " +
                  (trouble.empty() ? failure.what() : trouble + " (" + failure.what() + ")"),
              {}};
  }
}

}  // namespace troupe
