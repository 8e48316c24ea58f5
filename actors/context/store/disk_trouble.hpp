#pragma once

#include <string>

namespace troupe {

/// Why nothing can be written where this file is, and what to do about it: its disk is mounted
/// read-only, is full, or has no room for one more file, or this process may not let it or its
/// write-ahead file grow. Empty when it is none of these.
std::string disk_trouble(const std::string& file);

}  // namespace troupe
