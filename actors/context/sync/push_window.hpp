#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace troupe {

/// The pushes of one session that the peer has not acknowledged: bounds what is under way to it.
/// Pushes are numbered from 1. Pure.
class push_window {
public:
  /// Room for this many bytes and pushes. One push always fits.
  push_window(std::size_t max_bytes, std::size_t max_pushes) noexcept
      : max_bytes_(max_bytes), max_pushes_(max_pushes) {}

  bool has_room() const noexcept {
    return empty() || (bytes_ < max_bytes_ && under_way_.size() < max_pushes_);
  }
  /// Adds a push. @returns its number.
  std::uint64_t add(std::size_t bytes);
  /// The peer acknowledges this push and all before it. False when there was no such push.
  bool acknowledge(std::uint64_t push) noexcept;
  /// Forgets the unacknowledged pushes.
  void presume_lost() noexcept;

  bool empty() const noexcept { return under_way_.empty(); }
  std::size_t bytes() const noexcept { return bytes_; }
  /// The oldest unacknowledged push. Not for an empty window.
  std::uint64_t oldest() const noexcept { return under_way_.front().number; }
  /// The latest push; 0 before the first.
  std::uint64_t latest() const noexcept { return latest_; }
  /// The latest acknowledged push; 0 before the first.
  std::uint64_t acknowledged() const noexcept { return acknowledged_; }

private:
  struct push {
    std::uint64_t number;
    std::size_t bytes;
  };

  std::size_t max_bytes_, max_pushes_;
  std::deque<push> under_way_;
  std::size_t bytes_ = 0;
  std::uint64_t latest_ = 0, acknowledged_ = 0;
};

}  // namespace troupe
