#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace troupe::test {

/// A new empty directory with a short path, removed with all that is in it.
class temporary_directory {
public:
  temporary_directory() {
    std::string made = (std::filesystem::temp_directory_path() / "troupe-XXXXXX").native();
    if (mkdtemp(made.data()) == nullptr)
      throw std::runtime_error{"cannot make a directory like " + made};
    path_ = made;
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

}  // namespace troupe::test
