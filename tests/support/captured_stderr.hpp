#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>

namespace troupe::test {

/// Turns the standard error stream into a file while it lives.
class captured_stderr {
public:
  captured_stderr() {
    std::fflush(stderr);
    saved_ = ::dup(STDERR_FILENO);
    file_ = std::tmpfile();
    ::dup2(::fileno(file_), STDERR_FILENO);
  }
  ~captured_stderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    std::fclose(file_);
  }
  std::string text() const {
    std::fflush(stderr);
    std::string read(4096, '\0');
    const auto count = ::pread(::fileno(file_), read.data(), read.size(), 0);
    read.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return read;
  }

private:
  int saved_ = -1;
  std::FILE* file_ = nullptr;
};

}  // namespace troupe::test
