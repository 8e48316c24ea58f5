#pragma once

#include <string>
#include <utility>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Makes sure that one data directory serves one node at a time: an exclusive lock on a file in it,
/// which the operating system lets go when the process ends, however it ends. The file names the
/// process that holds it, for people.
class directory_lock {
public:
  /// @param name of the lock file; made with mode 0600.
  /// @returns already_exists, naming the process that holds it, or storage_failure.
  static result<directory_lock> take(const std::string& directory, const std::string& name);

  /// Whether somebody holds the lock now. Not for deciding whether to `take` it, which may fail all
  /// the same.
  static bool is_taken(const std::string& directory, const std::string& name);

  directory_lock(directory_lock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  directory_lock& operator=(directory_lock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~directory_lock();

private:
  explicit directory_lock(int file) noexcept : file_(file) {}

  int file_;
};

}  // namespace troupe
