#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/push_batch.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The tables `log` and `runs` of a context store: every change, by incarnation and sequence
/// number. The changes of an incarnation have no gaps. Grows by one row for each change; nothing is
/// removed.
class change_log {
public:
  /// The tables must exist. Call `load` before anything else. @throws SQLite::Exception
  /// @param database must outlive this.
  explicit change_log(SQLite::Database& database);
  change_log(const change_log&) = delete;
  change_log& operator=(const change_log&) = delete;

  /// Reads which changes there are. O(incarnations * log rows).
  result<void> load();

  /// Appends all records, or none, in one transaction. Each must be the next of its incarnation; a
  /// record that is in the log already is skipped when its bytes are the same.
  /// @returns internal when a record is not the next; corrupt_data when another change is in the
  ///          log in its place; storage_failure.
  result<void> append(std::span<const encoded_record> records);

  /// The changes of one incarnation from `first` on, in order: as many as fit in `max_bytes`, and
  /// at least one if there is one.
  result<std::vector<encoded_record>> read(const incarnation_id& id, std::uint64_t first,
                                           std::size_t max_bytes);

  /// Passes every change that is not in `from` to `take`, those of one incarnation in order.
  /// @returns the first failure of reading or of `take`.
  result<void> replay(const version_vector& from,
                      const std::function<result<void>(change_record&&)>& take);

  /// What the log holds: all of `1..seq` of each incarnation.
  const version_vector& vector() const noexcept { return vector_; }
  /// How many changes the log holds that are not in `vector`.
  std::uint64_t records_beyond(const version_vector& vector) const;
  /// The highest incarnation of a node of which the log has changes; 0 when there is none.
  std::uint64_t last_incarnation(const node_id& node) const;

private:
  result<void> append_one(const encoded_record& record, version_vector& vector);
  std::int64_t row_of(const incarnation_id& id);
  result<void> check_same(const encoded_record& record);
  result<std::vector<encoded_record>> read_rows(const incarnation_id& id, std::uint64_t first,
                                                std::size_t max_bytes);

  SQLite::Database& database_;
  SQLite::Statement insert_, select_, insert_incarnation_;
  std::map<incarnation_id, std::int64_t> rows_;  ///< The key of each incarnation in `runs`.
  version_vector vector_;
};

}  // namespace troupe
