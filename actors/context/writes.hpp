#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/assert.hpp>
#include <troupe/messages/context.hpp>

namespace troupe {

/// The version that a path must have.
struct expected_version {
  class path path;
  value_version version;
};

/// A write of this node on behalf of a principal: one change per entry, all in one group commit.
struct write_values {
  std::vector<context_entry> entries;
  operation what = operation::put;
  enum durability durability = durability::durable;
  std::string principal;
  trace_id trace;
  /// How long to wait for the disk of this node, and then for other members, from the beginning.
  /// After that, whether they have the changes is unknown.
  std::uint64_t disk_within_ms = 50'000, members_within_ms = 5000;
  bool only_check = false;      ///< Write nothing. Answer whether the entries would be accepted.
  bool skip_unchanged = false;  ///< Skip entries that hold this very value already.
  /// Write nothing unless all these paths, written here or not, have these versions.
  std::vector<expected_version> expected;
};

/// The answer to `write_values`.
struct values_written {
  std::vector<change_id> ids;
  std::uint64_t unchanged = 0;  ///< Entries that were skipped.

  /// The change that a write of one value became.
  const change_id& only() const {
    TROUPE_ASSERT(ids.size() == 1, "a write of one value becomes one change");
    return ids.front();
  }
};

}  // namespace troupe
