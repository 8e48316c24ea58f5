#include <troupe/actors/context/store/directory_lock.hpp>

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace troupe {

namespace {

tl::unexpected<error> failure(const std::string& what, int number) {
  return fail(error_code::storage_failure, what + ": " + std::generic_category().message(number));
}

}  // namespace

result<directory_lock> directory_lock::take(const std::string& directory, const std::string& name) {
  const auto file = directory + "/" + name;
  directory_lock lock{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (lock.file_ < 0) return failure("'" + file + "' cannot be opened", errno);
  if (::flock(lock.file_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure("'" + file + "' cannot be locked", errno);
    char holder[24] = {};
    const auto length = ::pread(lock.file_, holder, sizeof holder - 1, 0);
    return fail(error_code::already_exists, "'" + directory + "' is in use by process " +
                                                (length > 0 ? holder : "(unknown)") +
                                                "; stop that process or choose another directory");
  }
  const auto own = std::to_string(::getpid());
  // For people only. What counts is the lock, not the content of the file.
  if (::ftruncate(lock.file_, 0) != 0 || ::pwrite(lock.file_, own.data(), own.size(), 0) < 0)
    return failure("'" + file + "' cannot be written", errno);
  return lock;
}

bool directory_lock::is_taken(const std::string& directory, const std::string& name) {
  const directory_lock probe{
      ::open((directory + "/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  return probe.file_ >= 0 && ::flock(probe.file_, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

directory_lock::~directory_lock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace troupe
