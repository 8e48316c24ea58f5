#pragma once

#include <optional>
#include <string>
#include <tuple>

#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

/// The keys of the table `meta`.
namespace meta_key {
inline constexpr const char* identity = "identity";                  ///< `store_identity`
inline constexpr const char* incarnation = "incarnation";            ///< The latest one, a number.
inline constexpr const char* log_base = "log_base";                  ///< What the log may lack.
inline constexpr const char* checkpoint = "checkpoint";              ///< `checkpoint_head`
inline constexpr const char* clock_correction = "clock_correction";  ///< `clock_mark`
inline constexpr const char* clock_since = "clock_since";  ///< See `engine_state::clock_since`.
inline constexpr const char* log_end = "log_end";    ///< The number of a last row that was cut off.
inline constexpr const char* salvaged = "salvaged";  ///< See `checkpoint_table::is_salvaged`.
}  // namespace meta_key

/// The next start corrects the clock.
struct clock_mark {
  static constexpr auto fields() { return std::tuple<>{}; }
};

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

  /// Reads all rows. Fails with corrupt_data when one is damaged.
  result<void> check();
  /// Removes the message, if there is one.
  result<void> erase(const std::string& key);

private:
  result<std::string> read(const std::string& key);
  result<void> write(const std::string& key, const std::string& bytes);

  SQLite::Database& database_;
  std::string file_;
  SQLite::Statement select_, upsert_, erase_;
};

}  // namespace troupe
