#include <troupe/runtime/cli/output_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <troupe/plugins/unique_fd.hpp>
#include <troupe/plugins/write_all.hpp>

namespace troupe::cli {

namespace {

/// The mode of a new file.
mode_t usual_mode() {
  const auto mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

/// Closes the file. A failure to write may show only here.
bool closes(unique_fd& file) { return close(file.release()) == 0; }

// These return false and leave the reason in `errno`.

bool write_there(const std::filesystem::path& file, std::string_view content) {
  unique_fd target{open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  return target && write_all(target.get(), content) && closes(target);
}

bool replace(const std::filesystem::path& file, mode_t mode, std::string_view content) {
  std::string beside = file.native() + ".XXXXXX";
  unique_fd made{mkostemp(beside.data(), O_CLOEXEC)};
  if (!made) return false;
  const bool put = write_all(made.get(), content) && fchmod(made.get(), mode) == 0 &&
                   fsync(made.get()) == 0 && closes(made) &&
                   rename(beside.c_str(), file.c_str()) == 0;
  const int why = errno;
  if (!put) unlink(beside.c_str());
  errno = why;
  return put;
}

bool write_file(const std::filesystem::path& file, std::string_view content) {
  struct stat there {};
  if (stat(file.c_str(), &there) == 0) {
    if (!S_ISREG(there.st_mode)) return write_there(file, content);
    if (access(file.c_str(), W_OK) != 0) return false;
    std::error_code problem;
    const auto place = std::filesystem::canonical(file, problem);
    if (problem) return errno = problem.value(), false;
    return replace(place, there.st_mode & 07777, content);
  }
  if (errno != ENOENT) return false;
  struct stat link {};
  if (lstat(file.c_str(), &link) == 0)
    return write_there(file, content);  // a link to a file that does not exist
  return replace(file, usual_mode(), content);
}

}  // namespace

result<void> write_output_file(const std::filesystem::path& file, std::string_view content) {
  if (write_file(file, content)) return {};
  return fail(error_code::storage_failure,
              "the file " + file.native() + " cannot be written: " + std::strerror(errno));
}

}  // namespace troupe::cli
