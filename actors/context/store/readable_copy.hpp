#pragma once

#include <cstdint>
#include <string>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Copies a file of a disk that may not be able to read all of it: the sectors that it cannot read
/// are zeros in the copy. The copy has mode 0600, and is on its disk when this returns; a file in
/// its place is replaced. O(bytes).
/// @returns how many bytes are zeros for that reason; storage_failure, which names the file.
result<std::uint64_t> copy_readable(const std::string& from, const std::string& to);

}  // namespace troupe
