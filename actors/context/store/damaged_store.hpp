#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>

namespace troupe {

/// A message of the table `meta` of a damaged database.
template <class T>
struct found_message {
  std::optional<T> message;  ///< If it is there and can be read.
  bool is_damaged = false;   ///< It may be there.
};

/// Reads what can be read of the database of a damaged context store, and changes nothing. Where
/// pages are damaged, it goes on behind them. What else fails throws SQLite::Exception.
class damaged_store {
public:
  explicit damaged_store(const std::string& file);

  template <class T>
  found_message<T> find(const char* key) {
    found_message<T> found{.message = {}, .is_damaged = true};
    read([&] {
      auto there = meta_table{*database_}.find<T>(key);
      found.is_damaged = !there;
      if (there) found.message = std::move(*there);
    });
    return found;
  }
  /// Fails with version_mismatch when a newer build wrote it.
  result<void> check_format();

  struct entries {
    context_tree tree;
    std::uint64_t damaged = 0;  ///< Rows, and places where pages cannot be read.
  };
  /// The entries of the checkpoint. O(entries).
  entries read_entries();

  using row_taker = std::function<result<void>(const shared_batch& batch)>;
  /// Passes the rows of the log from a number on, in order. `damaged` gets the number of each that
  /// cannot be read, and that of the first one of those that lie on damaged pages or are not there:
  /// a number counts the changes up to its row. O(rows).
  /// @param has_all whether no row was ever removed. @returns the first failure of `take`.
  result<void> read_log(std::int64_t from, bool has_all, const row_taker& take,
                        const std::function<void(std::int64_t)>& damaged);

  /// The last change that the index of the log says to be there of each incarnation whose row can
  /// be read. The index lies on other pages than the rows.
  std::vector<dot> indexed();

private:
  bool read(const std::function<void()>& body);
  static bool without_damage(const std::function<void()>& body);
  bool has_table(const char* name);
  void read_past_damage(const std::string& table, std::int64_t next, std::int64_t growth,
                        const std::function<void(std::int64_t& next)>& read_rest,
                        const std::function<void(std::int64_t)>& damaged);
  void read_old_rows(entries& found);

  std::optional<SQLite::Database> database_;  ///< Nothing when its first page cannot be read.
};

}  // namespace troupe
