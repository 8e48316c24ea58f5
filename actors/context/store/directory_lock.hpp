#pragma once

#include <string>
#include <utility>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Keeps a data directory for one node at a time: an exclusive lock on a file in it. The operating
/// system releases the lock when the process ends, also when it is killed. The file contains the
/// number of the process, for people.
class directory_lock {
public:
  /// @param name The lock file in `directory`; a new one has mode 0600.
  /// @returns already_exists, which names the process that has the lock, or storage_failure.
  static result<directory_lock> take(const std::string& directory, const std::string& name);

  /// No lock.
  directory_lock() noexcept : file_(-1) {}

  /// Whether a process has the lock now. `take` may still fail afterwards.
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
