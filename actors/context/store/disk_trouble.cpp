#include <troupe/actors/context/store/disk_trouble.hpp>

#include <cstdint>
#include <filesystem>

#include <sys/statvfs.h>

namespace troupe {

namespace {

/// SQLite needs about as much to begin: an index of the write-ahead file, and a frame in that.
constexpr std::uint64_t least_bytes = std::uint64_t{64} << 10;

}  // namespace

std::string disk_trouble(const std::string& file) {
  struct statvfs disk {};
  const auto directory = std::filesystem::path{file}.parent_path();
  if (::statvfs(directory.empty() ? "." : directory.c_str(), &disk) != 0) return {};
  if ((disk.f_flag & ST_RDONLY) != 0)
    return "its disk is mounted read-only; mount it for writing, or use another data directory";
  if (std::uint64_t{disk.f_bavail} * disk.f_frsize < least_bytes)
    return "its disk is full; free some room";
  if (disk.f_files > 0 && disk.f_favail == 0)
    return "its disk has no room for one more file; remove some";
  return {};
}

}  // namespace troupe
