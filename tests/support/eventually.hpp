#pragma once

#include <chrono>
#include <thread>

namespace troupe::test {

/// Waits until the condition holds. False when it does not in time.
template <class Condition>
bool eventually(Condition condition,
                std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  using namespace std::chrono_literals;
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

}  // namespace troupe::test
