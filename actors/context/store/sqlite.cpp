#include <troupe/actors/context/store/sqlite.hpp>

#include <string_view>

#include <sqlite3.h>

#include <troupe/actors/context/store/disk_trouble.hpp>

namespace troupe {

namespace {

/// What to do about a failure for which the disk itself shows no reason. Empty when nobody can
/// tell.
std::string_view advice(int code) {
  switch (code) {
    case SQLITE_IOERR:
      return "its disk fails, or a quota is used up; see what the system's log says of that disk";
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "check that this user may read and write it and its directory, and open more files";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another program uses it; end that one";
    case SQLITE_NOMEM:
      return "there is no memory left for it; end other programs or raise the limit";
    default: return {};
  }
}

}  // namespace

error to_error(const SQLite::Exception& failure, const std::string& file) {
  constexpr int primary_code = 0xff;
  const auto code = failure.getErrorCode() & primary_code;
  const bool is_of_disk = code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_CANTOPEN ||
                          code == SQLITE_READONLY;
  auto trouble = is_of_disk ? disk_trouble(file) : std::string{};
  // A part of the disk that cannot be read is as lost as one that was changed. (SQLite says so of
  // bad sectors; what else fails to read may be there again later.)
  if (failure.getExtendedErrorCode() == SQLITE_IOERR_CORRUPTFS)
    return {error_code::corrupt_data,
            "'" + file + "' is damaged: its disk cannot read a part of it",
            {}};
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
      if (trouble.empty()) trouble = advice(code);
      return {error_code::storage_failure,
              "'" + file + "' cannot be used: " +
                  (trouble.empty() ? failure.what() : trouble + " (" + failure.what() + ")"),
              {}};
  }
}

}  // namespace troupe
