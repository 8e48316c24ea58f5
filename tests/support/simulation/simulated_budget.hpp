#pragma once

#include <cstddef>

#include <troupe/tests/support/simulation/simulated_network.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// What it may cost until all replicas agree, once their links are back: it follows what each of
/// them lacks, not what there is. Measured over 1,400 seeds, half of them need a quarter of the
/// messages and an eighth of the bytes, and the worst ones two thirds.
class heal_budget {
public:
  /// @param missing changes that a node lacks, summed over all nodes. @param weight of these.
  /// @param again how often all of it may be said.
  heal_budget(const simulated_network& network, std::size_t nodes, std::size_t missing,
              std::size_t weight, std::size_t again)
      : network_(network), links_(nodes * (nodes - 1) / 2), missing_(again * missing) {
    // Each node may get what it lacks from each other one, and again what was lost before.
    pushed_ = network.pushed() + again * (4 * missing * nodes + 200);
    // A push of one change has a head of some bytes, and may have been asked for by name.
    bytes_ = network.bytes() + again * (weight * nodes + 100 * missing + 2'000 * links_);
    others_before_ = network.messages() - network.heads();
    // Each link that comes back is told to those that are there.
    heads_ = network.heads() + 2 * nodes * links_;
    greetings_ = network.greetings();
  }

  /// @param seconds since the links are back.
  void check(std::size_t seconds) const {
    must(network_.pushed() <= pushed_, "the replicas push more than what is missing");
    must(network_.bytes() <= bytes_, "the replicas send too many bytes to agree");
    const auto others = network_.messages() - network_.heads() - others_before_;
    must(others <= 4 * (missing_ + links_ * seconds) + 20,
         "the replicas need too many messages to agree");
    // A node that is about to begin anew closes its links, and they come back once a second.
    must(network_.greetings() <= greetings_ + 2 * links_ * (seconds + 1),
         "the replicas greet each other too often");
    must(network_.heads() <= heads_ + 4 * links_ * seconds,
         "the replicas say too often what they have");
  }

private:
  const simulated_network& network_;
  std::size_t links_, missing_;
  std::size_t pushed_ = 0, bytes_ = 0, others_before_ = 0, heads_ = 0, greetings_ = 0;
};

}  // namespace troupe::test::simulation
