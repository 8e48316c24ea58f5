#pragma once

#include <sys/types.h>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Watches that files are still where they were. Who deletes or replaces a file leaves its writers
/// with one that has no name: they notice nothing, and what they write is gone at their end.
class file_presence {
public:
  /// Watches a file from its first `check` on at which it is there.
  void watch(std::string file) { files_.push_back({std::move(file)}); }
  /// Fails with storage_failure when a file is gone or another one is in its place. Costs one
  /// system call for each file.
  result<void> check();

private:
  struct watched {
    std::string name;
    bool is_known = false;
    dev_t device = 0;
    ino_t number = 0;
  };

  std::vector<watched> files_;
};

}  // namespace troupe
