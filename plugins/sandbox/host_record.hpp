#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// A file that says which control groups this host makes, so that the next one can remove them if
/// this one is killed.
///
/// The host holds a lock on its file for as long as it lives; the kernel gives the lock up when it
/// dies, however it dies. A file that can be locked is thus that of a dead host: no process number
/// is compared, so none can be mistaken. Its first line names the file itself, by device and inode:
/// a copy of it, which nobody locks while its host lives, is not believed.
class host_record {
public:
  /// Makes the directory and a new file in it. `storage_failure` when that cannot be done.
  static result<host_record> open(const std::filesystem::path& directory);
  /// Removes the file.
  ~host_record();
  host_record(host_record&& other) noexcept = default;
  host_record& operator=(host_record&&) = delete;

  /// Writes a directory down, before it is made.
  result<void> add(const std::filesystem::path& directory);
  /// Strikes directories out that are gone, or were not made. Their room in the file is used again,
  /// so that it is not larger than what was there at once. What cannot be struck out stays, and
  /// does no harm.
  void remove(const std::vector<std::filesystem::path>& directories);

  /// Names that begin so are names of control groups of this host and of no other.
  const std::string& prefix() const noexcept { return prefix_; }

  /// Removes what dead hosts have written down below `directory`, processes first, and then their
  /// files. Of a file that does not name itself, nothing but the file is removed. Returns how many
  /// hosts; `unavailable` when a group could not be removed, whose file then stays for the next
  /// attempt.
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
