// A library for LD_PRELOAD that plays a disk which turns bad under the files that are open on it. A
// mount cannot be made read-only while it has files open for writing: only a kernel does that, when
// a disk fails. The environment says where:
//
//   FAULTY_DISK         the directory whose files are on the disk
//   FAULTY_DISK_SWITCH  a file elsewhere. While it says `read-only`, everything that would write
//                       there fails with EROFS. While it says `fails`, everything that would make
//                       written bytes durable fails with EIO; the bytes themselves are taken. While
//                       it says `slow`, that takes half a second. While it says `unreadable N I`,
//                       the file of inode I cannot be read at byte N: EIO.
//
// What SQLite and Troupe call is played, not the whole of POSIX: shared memory that is mapped goes
// on, as it does on a real disk until the kernel writes it back.

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace {

enum class kind { sound, read_only, fails, slow, unreadable };
struct state {
  ::kind kind = kind::sound;
  off_t at = 0;  ///< Of what is unreadable.
  ino_t file = 0;
};

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

state present() {
  const char* place = std::getenv("FAULTY_DISK_SWITCH");
  if (place == nullptr) return {};
  static auto* const open_next = next<int(const char*, int, ...)>("open");
  const int file = open_next(place, O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  char said[64] = {};
  static auto* const read_next = next<ssize_t(int, void*, size_t)>("read");
  const auto got = read_next(file, said, sizeof said - 1);
  ::close(file);
  const std::string_view text{said, got > 0 ? static_cast<std::size_t>(got) : 0};
  constexpr std::string_view unreadable = "unreadable ";
  if (text == "read-only") return {kind::read_only};
  if (text == "fails") return {kind::fails};
  if (text == "slow") return {kind::slow};
  if (text.substr(0, unreadable.size()) != unreadable) return {};
  char* rest = nullptr;
  const auto at = std::strtoll(said + unreadable.size(), &rest, 10);
  return {kind::unreadable, static_cast<off_t>(at), std::strtoull(rest, nullptr, 10)};
}

bool is_on_disk(std::string_view path) {
  const char* disk = std::getenv("FAULTY_DISK");
  return disk != nullptr && path.substr(0, std::strlen(disk)) == disk;
}

std::string path_of(int file) {
  char path[4096];
  const auto link = "/proc/self/fd/" + std::to_string(file);
  const auto length = ::readlink(link.c_str(), path, sizeof path);
  return {path, length > 0 ? static_cast<std::size_t>(length) : 0};
}

bool is_on_disk(int file) { return is_on_disk(path_of(file)); }

bool is_unreadable(int file, size_t size, off_t at) {
  const int before = errno;
  const auto now = is_on_disk(file) ? present() : state{};
  struct stat there {};
  const bool has = now.kind == kind::unreadable && ::fstat(file, &there) == 0 &&
                   there.st_ino == now.file && at <= now.at &&
                   now.at < at + static_cast<off_t>(size);
  errno = has ? EIO : before;
  return has;
}

/// Whether what would write there is refused. Leaves `errno` alone when it is not.
template <class Place>
bool refuses(Place place) {
  const int before = errno;
  if (is_on_disk(place) && present().kind == kind::read_only) {
    errno = EROFS;
    return true;
  }
  errno = before;
  return false;
}

bool loses(int file) {
  constexpr useconds_t slow_microseconds = 500'000;
  const int before = errno;
  const auto now = is_on_disk(file) ? present() : state{};
  if (now.kind == kind::fails) {
    errno = EIO;
    return true;
  }
  if (now.kind == kind::slow) ::usleep(slow_microseconds);
  errno = before;
  return false;
}

bool would_write(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

int opened(const char* name, const char* path, int flags, mode_t mode) {
  if (would_write(flags) && refuses(std::string_view{path})) return -1;
  return next<int(const char*, int, ...)>(name)(path, flags, mode);
}

mode_t mode_of(int flags, std::va_list rest) {
  return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : 0;
}

void mark_read_only(const char* path, unsigned long& flags) {
  if (is_on_disk(path) && present().kind == kind::read_only) flags |= ST_RDONLY;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const auto mode = mode_of(flags, rest);
  va_end(rest);
  return opened("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const auto mode = mode_of(flags, rest);
  va_end(rest);
  return opened("open64", path, flags, mode);
}

ssize_t write(int file, const void* bytes, size_t size) {
  if (refuses(file)) return -1;
  static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
  return real(file, bytes, size);
}

ssize_t read(int file, void* into, size_t size) {
  if (is_unreadable(file, size, ::lseek(file, 0, SEEK_CUR))) return -1;
  return next<ssize_t(int, void*, size_t)>("read")(file, into, size);
}

ssize_t pread(int file, void* into, size_t size, off_t at) {
  if (is_unreadable(file, size, at)) return -1;
  return next<ssize_t(int, void*, size_t, off_t)>("pread")(file, into, size, at);
}

ssize_t pread64(int file, void* into, size_t size, off64_t at) {
  if (is_unreadable(file, size, at)) return -1;
  return next<ssize_t(int, void*, size_t, off64_t)>("pread64")(file, into, size, at);
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) {
  if (refuses(file)) return -1;
  return next<ssize_t(int, const void*, size_t, off_t)>("pwrite")(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
  if (refuses(file)) return -1;
  return next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64")(file, bytes, size, at);
}

int ftruncate(int file, off_t size) {
  return refuses(file) ? -1 : next<int(int, off_t)>("ftruncate")(file, size);
}

int ftruncate64(int file, off64_t size) {
  return refuses(file) ? -1 : next<int(int, off64_t)>("ftruncate64")(file, size);
}

int unlink(const char* path) {
  return refuses(std::string_view{path}) ? -1 : next<int(const char*)>("unlink")(path);
}

int rename(const char* from, const char* to) {
  if (refuses(std::string_view{to})) return -1;
  return next<int(const char*, const char*)>("rename")(from, to);
}

int mkdir(const char* path, mode_t mode) {
  return refuses(std::string_view{path}) ? -1 : next<int(const char*, mode_t)>("mkdir")(path, mode);
}

int fsync(int file) { return loses(file) ? -1 : next<int(int)>("fsync")(file); }

int fdatasync(int file) { return loses(file) ? -1 : next<int(int)>("fdatasync")(file); }

int statvfs(const char* path, struct statvfs* disk) {
  const int done = next<int(const char*, struct statvfs*)>("statvfs")(path, disk);
  if (done == 0) mark_read_only(path, disk->f_flag);
  return done;
}

int statvfs64(const char* path, struct statvfs64* disk) {
  const int done = next<int(const char*, struct statvfs64*)>("statvfs64")(path, disk);
  if (done == 0) mark_read_only(path, disk->f_flag);
  return done;
}

}  // extern "C"
