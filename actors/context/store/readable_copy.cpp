#include <troupe/actors/context/store/readable_copy.hpp>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <troupe/actors/context/store/disk_trouble.hpp>
#include <troupe/plugins/unique_fd.hpp>
#include <troupe/plugins/write_all.hpp>

namespace troupe {

namespace {

constexpr std::size_t read_at_once = std::size_t{64} << 10, sector = 512;  // bytes

/// Reads at a place, sector by sector where it has to be. What cannot be read becomes zeros, and is
/// counted. @returns how many bytes there are, 0 at the end of the file; or less, see `errno`.
ssize_t read_around(int file, char* into, std::size_t size, off_t at, std::uint64_t& zeros) {
  const auto got = ::pread(file, into, size, at);
  if (got >= 0 || (errno != EIO && errno != EINTR)) return got;
  if (errno == EINTR) return read_around(file, into, size, at, zeros);
  if (size > sector) return read_around(file, into, sector, at, zeros);
  std::fill_n(into, size, '\0');
  zeros += size;
  return static_cast<ssize_t>(size);
}

}  // namespace

result<std::uint64_t> copy_readable(const std::string& from, const std::string& to) {
  const auto refused = [&](const std::string& what) {
    const auto why = std::generic_category().message(errno);
    const auto trouble = disk_trouble(to);
    return fail(error_code::storage_failure, what + ": " + (trouble.empty() ? why : trouble));
  };
  const auto unread = "'" + from + "' cannot be copied",
             unwritten = "'" + to + "' cannot be written";
  const unique_fd source{::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  struct stat about {};
  if (source.get() < 0 || ::fstat(source.get(), &about) != 0) return refused(unread);
  ::unlink(to.c_str());
  const unique_fd copy{
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (copy.get() < 0) return refused(unwritten);
  std::vector<char> buffer(read_at_once);
  std::uint64_t zeros = 0;
  for (off_t at = 0; at < about.st_size;) {
    const auto left = static_cast<std::size_t>(about.st_size - at);
    const auto got =
        read_around(source.get(), buffer.data(), std::min(buffer.size(), left), at, zeros);
    if (got < 0) return refused(unread);
    if (got == 0) break;
    if (!write_all(copy.get(), std::string_view{buffer.data(), static_cast<std::size_t>(got)}))
      return refused(unwritten);
    at += got;
  }
  if (::fsync(copy.get()) != 0) return refused(unwritten);
  return zeros;
}

}  // namespace troupe
