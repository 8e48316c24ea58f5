#pragma once

#include <chrono>
#include <thread>

namespace troupe::test {

/// Waits until the condition holds. False when it does not within ten seconds.
template <class Condition>
bool eventually(Condition condition) {
  using namespace std::chrono_literals;
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

}  // namespace troupe::test
