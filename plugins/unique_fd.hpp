#pragma once

#include <utility>

#include <unistd.h>

namespace troupe {

/// Owns one file descriptor and closes it. Moves, never copies; -1 means none.
class unique_fd {
public:
  unique_fd() noexcept = default;
  /// Takes `fd` over.
  explicit unique_fd(int fd) noexcept : fd_{fd} {}
  unique_fd(unique_fd&& other) noexcept : fd_{other.release()} {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Gives the descriptor away, unclosed.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes what is owned and takes `fd` over. A failing `close` has still closed the descriptor on
  /// Linux.
  void reset(int fd = -1) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
  }

private:
  int fd_ = -1;
};

}  // namespace troupe
