#pragma once

#include <cstdint>

namespace troupe {

/// Where the state of one registered command lives in the steps' tables, and which registration it
/// is.
///
/// Slots are dense and reused after a command is removed; serials are never used twice. A table
/// keeps the serial beside its entry, so an index that outlived its command (that of an execution
/// still under way, say) finds nothing instead of another command's state.
struct command_index {
  std::uint32_t slot = 0;
  std::uint64_t serial = 0;  ///< From 1; 0 names no command.

  friend bool operator==(const command_index&, const command_index&) = default;
};

}  // namespace troupe
