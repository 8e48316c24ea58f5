#pragma once

#include <cstdint>

#include <troupe/tests/support/simulation/simulation_scenario.hpp>

namespace troupe::test::simulation {

/// The time of all nodes, and the wall time of each, which the scenario skews.
class simulated_clocks {
public:
  explicit simulated_clocks(const scenario& plan) : plan_(plan) {}

  void pass(std::uint64_t ms) { now_ += ms; }
  event_time at(unsigned node) const {
    return {
        noon + static_cast<std::uint64_t>(static_cast<std::int64_t>(now_) + plan_.skew_ms[node]),
        now_};
  }

private:
  const scenario& plan_;
  std::uint64_t now_ = 0;
};

}  // namespace troupe::test::simulation
