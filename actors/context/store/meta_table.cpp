#include <troupe/actors/context/store/meta_table.hpp>

namespace troupe {

meta_table::meta_table(SQLite::Database& database)
    : database_(database),
      file_(database.getFilename()),
      select_(database, "SELECT bytes, hash FROM meta WHERE key = ?"),
      upsert_(database,
              "INSERT INTO meta (key, bytes, hash) VALUES (?1, ?2, ?3)"
              " ON CONFLICT (key) DO UPDATE SET bytes = ?2, hash = ?3"),
      erase_(database, "DELETE FROM meta WHERE key = ?") {}

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

result<void> meta_table::check() {
  return without_exceptions(file_, [&]() -> result<void> {
    SQLite::Statement rows{database_, "SELECT key, bytes, hash FROM meta"};
    while (rows.executeStep()) {
      const std::string key{bytes_of(rows.getColumn(0))};
      const auto column = rows.getColumn(1);
      if (rows.getColumn(2).getInt64() != row_hash(key, bytes_of(column)))
        return damaged_row("row '" + key + "'", wrong_hash);
    }
    return {};
  });
}

result<void> meta_table::erase(const std::string& key) {
  return without_exceptions(file_, [&]() -> result<void> {
    const scoped_reset after{erase_};
    erase_.bindNoCopy(1, key);
    erase_.exec();
    return {};
  });
}

}  // namespace troupe
