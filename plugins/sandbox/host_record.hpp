#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// A file with the control groups that this host makes. The next host removes them if this one is
/// killed.
///
/// The host locks its file for as long as it lives, and the kernel releases the lock when it dies,
/// however it dies. So a file that can be locked belongs to a dead host; process numbers, which are
/// reused, are not compared. The first line names the file itself by device and inode, because a
/// copy could be locked while its host lives: copies are ignored.
class host_record {
public:
  /// Makes the directory and a new file in it. `storage_failure` when that cannot be done.
  static result<host_record> open(const std::filesystem::path& directory);
  /// Removes the file.
  ~host_record();
  host_record(host_record&& other) noexcept = default;
  host_record& operator=(host_record&&) = delete;

  /// Records a directory, before it is made.
  result<void> add(const std::filesystem::path& directory);
  /// Deletes the lines of directories that are gone, or were not made. Their room in the file is
  /// used again, so the file grows with the largest number of directories at one time only. A line
  /// that cannot be deleted does no harm.
  void remove(const std::vector<std::filesystem::path>& directories);

  /// The prefix of the names of this host's control groups, and of no other host's.
  const std::string& prefix() const noexcept { return prefix_; }

  /// Removes the recorded groups of dead hosts, their processes first, and then the records below
  /// `directory`. For a record that does not name itself, only the record is removed. Returns the
  /// number of hosts. `unavailable` when a group could not be removed; its record stays for the
  /// next attempt.
  static result<std::size_t> remove_leftovers(const std::filesystem::path& directory);

private:
  host_record(std::filesystem::path file, std::string prefix, unique_fd fd, std::string text)
      : file_{std::move(file)},
        prefix_{std::move(prefix)},
        fd_{std::move(fd)},
        text_{std::move(text)} {}

  std::filesystem::path file_;
  std::string prefix_;
  unique_fd fd_;
  std::string text_;  ///< Of the file: a line that names it, one for each directory, and empty
                      ///< lines where one was.
};

}  // namespace troupe
