#pragma once

#include <atomic>
#include <cstdint>

namespace troupe {

/// Guards a function that one thread calls and another may cancel at any moment. Neither waits: no
/// call begins once the gate is closed, and a call that has begun goes on.
class call_gate {
public:
  /// @returns whether a call may begin; call `end` after it. For one thread at a time.
  bool begin() noexcept {
    auto expected = state::open;
    return state_.compare_exchange_strong(expected, state::calling);
  }
  void end() noexcept {
    auto expected = state::calling;
    state_.compare_exchange_strong(expected, state::open);
  }
  /// Closes the gate for ever. From any thread.
  void close() noexcept { state_ = state::closed; }
  bool closed() const noexcept { return state_ == state::closed; }

private:
  enum class state : std::uint8_t { open, calling, closed };
  std::atomic<state> state_ = state::open;
};

}  // namespace troupe
