#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/tests/support/simulation/simulated_clocks.hpp>
#include <troupe/tests/support/simulation/simulated_network.hpp>
#include <troupe/tests/support/simulation/simulated_node.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>
#include <troupe/tests/support/simulation/simulation_scenario.hpp>

namespace troupe::test::simulation {

/// Links to nodes and pushes forged changes. Checks how the nodes handle them.
class hostile_peer {
public:
  hostile_peer(const scenario& plan, const simulated_clocks& clocks,
               const simulated_network::node_list& nodes, simulated_network& network, oracle& truth,
               std::mt19937& random)
      : plan_(plan),
        clocks_(clocks),
        nodes_(nodes),
        network_(network),
        truth_(truth),
        random_(random) {}

  /// Attacks a node that is up.
  void attack(unsigned i) {
    auto& self = *nodes_[i];
    const auto& engine = self.manager().engine();
    const auto link = network_.open_hostile_link(i);
    self.peer_up(link, hostile, clocks_.at(i));
    network_.say(link, i,
                 sync_hello{plan_.settings.cluster,
                            hostile,
                            1,
                            {},
                            {},
                            strategies_hash(last_writer_wins{}),
                            {},
                            {}});
    std::uint64_t pushes = 0;
    const auto push = [&](const change_record& record) {
      network_.say(link, i, push_batch{{encode_record(record)}}.to_message(++pushes));
    };
    const auto own = engine.own_incarnation();
    const auto where = plan_.some_path(random_);
    const auto before = engine.root_hash();

    // Overwrites what this node writes next. In an incarnation of its own, as that is declined from
    // then on.
    const dot next{own.origin, own.incarnation,
                   engine.vector().at(own.origin, own.incarnation) + 1 + random_() % 3};
    push(test::put({hostile, ++forged_, 1}, where.text(), "claim", {next}));
    must(engine.root_hash() == before, "a claim of what this node has not done is taken");

    // In the name of an earlier incarnation of this node, of a time to come. It is a change like
    // another, but for its time.
    auto late = test::put({own.origin, (std::uint64_t{1} << 40) + ++forged_, 1}, where.text(),
                          static_cast<int>(forged_));
    late.timestamp = {(std::uint64_t{1} << 63) - 1};
    truth_.wrote(late);
    push(late);

    // Malformed, in the name of a node that lives, this one included.
    const auto root = engine.root_hash();
    const auto victim = plan_.some_node(random_);
    auto malformed =
        test::put({nodes_[victim]->id(), nodes_[victim]->disk.incarnation(), 1 + random_() % 50},
                  where.text(), "malformed");
    switch (random_() % 4) {
      case 0: malformed.timestamp = {std::uint64_t{1} << 63}; break;
      case 1: malformed.observed = {malformed.dot}; break;
      case 2: malformed.observed = {{node(3), 1, 2}, {node(2), 1, 1}}; break;
      case 3: malformed.operation = operation::erase; break;
    }
    push(malformed);
    must(engine.root_hash() == root, "a malformed change is taken");
    must(!network_.is_open(link) || plan_.tight(),
         "a peer that pushes a malformed change keeps its link");
    if (network_.drop(link)) self.peer_down(link);
    must(std::ranges::all_of(engine.declined(),
                             [](const incarnation_id& each) { return each.origin == hostile; }),
         "changes of an honest node are declined");
  }

private:
  inline static const node_id hostile = node(77);

  const scenario& plan_;
  const simulated_clocks& clocks_;
  const simulated_network::node_list& nodes_;
  simulated_network& network_;
  oracle& truth_;
  std::mt19937& random_;
  std::uint64_t forged_ = 0;
};

}  // namespace troupe::test::simulation
