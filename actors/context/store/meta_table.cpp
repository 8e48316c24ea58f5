#include <troupe/actors/context/store/meta_table.hpp>

namespace troupe {

meta_table::meta_table(SQLite::Database& database)
    : file_(database.getFilename()),
      select_(database, "SELECT bytes, hash FROM meta WHERE key = ?"),
      upsert_(database,
              "INSERT INTO meta (key, bytes, hash) VALUES (?1, ?2, ?3)"
              " ON CONFLICT (key) DO UPDATE SET bytes = ?2, hash = ?3") {}

/// The bytes with this key; empty when there are none.
result<std::string> meta_table::read(const std::string& key) {
  return without_exceptions(file_, [&]() -> result<std::string> {
    const scoped_reset after{select_};
    select_.bindNoCopy(1, key);
    if (!select_.executeStep()) return std::string{};
    std::string bytes{bytes_of(select_.getColumn(0))};
    if (select_.getColumn(1).getInt64() != row_hash(key, bytes))
      return damaged_row("row '" + key + "'", wrong_hash);
    return bytes;
  });
}

result<void> meta_table::write(const std::string& key, const std::string& bytes) {
  return without_exceptions(file_, [&]() -> result<void> {
    const scoped_reset after{upsert_};
    upsert_.bindNoCopy(1, key);
    bind_blob(upsert_, 2, bytes);
    upsert_.bind(3, row_hash(key, bytes));
    upsert_.exec();
    return {};
  });
}

}  // namespace troupe
