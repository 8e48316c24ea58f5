#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/tree/stored_entry.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// Entries of a tree as they are sent and kept on the way: one compressed frame. O(bytes).
std::string pack_entries(const std::vector<stored_entry>& entries);

/// What is in such a frame.
struct unpacked_entries {
  std::vector<stored_entry> entries;
  std::size_t bytes = 0;  ///< Not compressed.
};

/// Reads a frame. O(bytes). @param frame untrusted.
/// @returns protocol_violation when it is malformed or has more than 64 MiB, not compressed.
result<unpacked_entries> unpack_entries(std::string_view frame);

}  // namespace troupe
