#pragma once

#include <optional>
#include <string>

#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

/// The table `meta` of a context store: one encoded message for each of a few keys, such as the
/// identity and the head of the checkpoint.
class meta_table {
public:
  /// The table must exist. @throws SQLite::Exception
  /// @param database must outlive this.
  explicit meta_table(SQLite::Database& database);
  meta_table(const meta_table&) = delete;
  meta_table& operator=(const meta_table&) = delete;

  /// The message with this key; nothing when there is none. Fails with corrupt_data when the row is
  /// damaged.
  template <class T>
  result<std::optional<T>> find(const std::string& key) {
    const auto bytes = read(key);
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) return std::nullopt;
    auto message = decode<T>(*bytes, stored_data_limits());
    if (!message) return damaged_row("row '" + key + "'", message.error().message);
    return std::move(*message);
  }

  /// Adds the message or replaces it.
  template <class T>
  result<void> put(const std::string& key, const T& message) {
    return write(key, encode(message));
  }

private:
  result<std::string> read(const std::string& key);
  result<void> write(const std::string& key, const std::string& bytes);

  std::string file_;
  SQLite::Statement select_, upsert_;
};

}  // namespace troupe
