#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

/// The table `blocks`: the entries of a tree, in rows of many neighbours each. See
/// `entry_block.hpp`. A change writes the block anew into which it falls. Blocks that grow are
/// divided, small ones are joined with the next one, as the nodes of a B-tree.
///
/// Every member may throw SQLite::Exception. A member that changes rows is called in a transaction
/// of the caller. The caller gives the layout that it returns to `use` after the commit.
class block_table {
public:
  /// About how many bytes of entries a block has at most, not compressed. What is damaged in a
  /// block takes the whole block along, and a change costs as much.
  static constexpr std::size_t most_bytes = std::size_t{32} << 10;
  /// A block with fewer bytes is joined with the next one when it is written.
  static constexpr std::size_t least_bytes = most_bytes / 4;

  /// The table must exist when it is read or written. @param database must outlive this.
  explicit block_table(SQLite::Database& database) : database_(database) {}
  block_table(const block_table&) = delete;
  block_table& operator=(const block_table&) = delete;

  struct path_less {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept {
      return compare_paths(a, b) < 0;
    }
  };
  /// The numbers of the rows by the first paths of their blocks. A block has the entries up to the
  /// next one.
  using layout = std::map<std::string, std::int64_t, path_less>;
  void use(layout now);

  /// Adds the entries of all rows to a tree. @returns corrupt_data, which names the row.
  result<layout> load(context_tree& into);
  /// Makes the rows, which are those of `before`, those of `after`. O(changed blocks + blocks).
  layout write(const context_tree& before, const context_tree& after);
  /// Removes all rows.
  void clear();

  /// The outcome of `check_rows`.
  struct checked_rows {
    std::int64_t next = 0;            ///< Where to go on.
    std::vector<std::int64_t> wrong;  ///< The rows that are not what the tree says.
    bool is_end = false;
  };
  /// Compares rows with the tree that they are of. @param from the number where to begin.
  /// @param most entries; those of the last row may be more. @returns corrupt_data when the numbers
  /// do not go up: then pages are in the wrong place.
  result<checked_rows> check_rows(const context_tree& tree, std::int64_t from, std::size_t most);
  /// Makes these rows what they are to be: other ones, or none.
  void rewrite(const context_tree& tree, const std::vector<std::int64_t>& rows);
  /// The rows that are not there. O(blocks).
  std::vector<std::int64_t> missing();

  /// Adds the entries of a row of `number, first, entries, hash` to a tree. @returns how many, or
  /// corrupt_data, which names the row; the tree has not changed then.
  static result<std::size_t> add_row(const SQLite::Statement& row, context_tree& tree);

private:
  layout::iterator block_of(layout& blocks, std::string_view where) const;
  void write_run(const context_tree& tree, layout& blocks, layout::iterator first,
                 layout::iterator last, std::size_t bytes);
  void write_row(std::int64_t number, std::string_view first, std::string_view block);
  void erase_row(std::int64_t number);
  std::map<std::int64_t, layout::const_iterator> by_number() const;

  SQLite::Database& database_;
  std::optional<SQLite::Statement> upsert_, erase_;  ///< Once they were needed.
  layout layout_;
  std::int64_t last_number_ = 0;  ///< No row has a greater one.
};

}  // namespace troupe
