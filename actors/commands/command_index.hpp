#pragma once

#include <cstdint>

namespace troupe {

/// Names one registration of a command in the tables of all steps.
///
/// Slots are dense and reused after a command is removed. Serials are never used twice. A table
/// keeps the serial beside its entry, so an index that outlives its command, such as that of a
/// running execution, finds nothing instead of another command's state.
struct command_index {
  std::uint32_t slot = 0;
  std::uint64_t serial = 0;  ///< From 1. 0 names no command.

  friend bool operator==(const command_index&, const command_index&) = default;
};

}  // namespace troupe
