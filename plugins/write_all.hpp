#pragma once

#include <cerrno>
#include <string_view>

#include <unistd.h>

namespace troupe {

/// Writes all of the bytes to a blocking descriptor. @returns false with `errno` when that fails; a
/// part may be written then.
inline bool write_all(int file, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace troupe
