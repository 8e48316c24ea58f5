#pragma once

#include <optional>
#include <string>
#include <vector>

#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/actors/context/store/wal_check.hpp>

namespace troupe {

/// Something that was wrong with a store and has been dealt with.
struct store_note {
  std::string event;  ///< The stable id of its log line.
  std::string text;   ///< What was wrong, what became of it, and what to do.
};

/// What was wrong with the write-ahead file of a store.
struct wal_state {
  std::optional<wal_damage> damage;  ///< That is left.
  std::vector<store_note> notes;
};

/// Looks at the write-ahead file before the store is opened. When it is damaged, keeps a copy and
/// puts single wrong bits right. The caller holds the lock. @returns storage_failure.
result<wal_state> guard_wal(const store_files& files);

}  // namespace troupe
