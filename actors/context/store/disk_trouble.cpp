#include <troupe/actors/context/store/disk_trouble.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include <sys/resource.h>
#include <sys/statvfs.h>

namespace troupe {

namespace {

/// SQLite needs about as much to begin: an index of the write-ahead file, and a frame in that.
constexpr std::uint64_t least_bytes = std::uint64_t{64} << 10;

/// What keeps a file or its write-ahead file from growing, unless that is the disk.
std::string limit_reached(const std::string& file) {
  rlimit most{};
  if (::getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur == RLIM_INFINITY) return {};
  for (const auto& each : {file, file + "-wal"}) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(each, missing);
    if (!missing && size + least_bytes > most.rlim_cur)
      return "no file of this process may be larger than " + std::to_string(most.rlim_cur) +
             " bytes; raise that limit: 'ulimit -f', or LimitFSIZE of its service";
  }
  return {};
}

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
  return limit_reached(file);
}

}  // namespace troupe
