#pragma once

#include <cstdint>
#include <utility>

namespace troupe {

/// Bounds how many events of one second are treated one by one. All are counted. The owner says
/// when the next second begins.
class rate_window {
public:
  explicit rate_window(std::uint64_t most) : most_(most) {}

  /// Counts an event. @returns whether it is to be treated: whether it is among the first of this
  /// second.
  bool admit() noexcept {
    if (admitted_ == most_) return drop();
    ++total_;
    ++admitted_;
    return true;
  }
  /// Counts an event that is not treated in any case. @returns false.
  bool drop() noexcept {
    ++total_;
    ++dropped_;
    return false;
  }
  /// Begins the next second. @returns how many events of this one were not treated.
  std::uint64_t renew() noexcept {
    admitted_ = 0;
    return std::exchange(dropped_, 0);
  }

  /// Events since the beginning.
  std::uint64_t total() const noexcept { return total_; }

private:
  std::uint64_t most_;
  std::uint64_t admitted_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace troupe
