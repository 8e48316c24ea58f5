#include <troupe/actors/context/store/free_pages.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

namespace troupe {

namespace {

constexpr std::int64_t kept_pages = 8;            // that hold nothing
constexpr std::int64_t max_pages_of_call = 1000;  // that are given back

/// Writes the write-ahead log into the file and empties it: nothing else may come that does.
void shrink_log(SQLite::Database& database) {
  SQLite::Statement shrink{database, "PRAGMA wal_checkpoint(TRUNCATE)"};
  while (shrink.executeStep()) continue;
}

}  // namespace

result<bool> give_back_free_pages(SQLite::Database& database) {
  return without_exceptions(database.getFilename(), [&]() -> result<bool> {
    const auto count = [&] { return database.execAndGet("PRAGMA freelist_count").getInt64(); };
    const auto before = count();
    if (before <= kept_pages) {
      shrink_log(database);
      return false;
    }
    const auto wanted = std::min(before - kept_pages, max_pages_of_call);
    // Each step gives back one page.
    SQLite::Statement give_back{database,
                                "PRAGMA incremental_vacuum(" + std::to_string(wanted) + ")"};
    while (give_back.executeStep()) continue;
    // A file that was not made for it keeps all of them.
    const auto after = count();
    const bool has_more = after < before && after > kept_pages;
    if (!has_more) shrink_log(database);
    return has_more;
  });
}

}  // namespace troupe
