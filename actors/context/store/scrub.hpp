#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <troupe/actors/context/store/change_log.hpp>
#include <troupe/actors/context/store/checkpoint_table.hpp>

namespace troupe {

/// What a step of a scrub has done.
struct scrub_step {
  bool is_done = false;           ///< All rows were read. The next step begins anew.
  std::uint64_t mended = 0;       ///< Damaged rows that are right again, or were not needed.
  bool has_given_up_log = false;  ///< Rows of the log went: its base has grown.
  /// A damaged row of the log has changes that no checkpoint holds. It is not needed any more once
  /// one is written.
  bool needs_checkpoint = false;
};

/// Reads all rows of a store, a few at a time, and mends those that are damaged while what they
/// held is still in memory. A disk may change what it holds. At the next start, when it is needed,
/// it is too late.
class scrub {
public:
  /// Reads the next rows of the log, or the blocks of the next entries, at most `max_rows`, at
  /// least 1; those of the last block may be more. The checkpoint must have been loaded or written.
  /// @returns corrupt_data when pages of the file are damaged.
  result<scrub_step> step(checkpoint_table& checkpoints, change_log& log, std::size_t max_rows);

private:
  result<scrub_step> read_entries(checkpoint_table& checkpoints, std::size_t max_rows);
  result<scrub_step> read_log(checkpoint_table& checkpoints, change_log& log, std::size_t max_rows);

  bool is_in_log_ = false;
  /// A row may have got any number.
  static constexpr auto first_block = std::numeric_limits<std::int64_t>::min();
  std::int64_t next_block_ = first_block;
  std::int64_t next_row_ = 1;
};

}  // namespace troupe
