#pragma once

#include <atomic>
#include <cstdint>

namespace troupe {

/// Whether one thread may call a function that another may take away at any moment. Nobody waits at
/// it: once it is closed no call begins, while one that has begun goes on.
class call_gate {
public:
  /// Whether a call begins; `end` follows it then. For one thread at a time.
  bool begin() noexcept {
    auto expected = state::open;
    return state_.compare_exchange_strong(expected, state::calling);
  }
  void end() noexcept {
    auto expected = state::calling;
    state_.compare_exchange_strong(expected, state::open);
  }
  /// From any thread, for good.
  void close() noexcept { state_ = state::closed; }
  bool closed() const noexcept { return state_ == state::closed; }

private:
  enum class state : std::uint8_t { open, calling, closed };
  std::atomic<state> state_ = state::open;
};

}  // namespace troupe
