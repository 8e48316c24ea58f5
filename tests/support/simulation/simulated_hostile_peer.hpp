#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

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
  inline static const node_id id = node(77);

  hostile_peer(const scenario& plan, const simulated_clocks& clocks,
               const simulated_network::node_list& nodes, simulated_network& network, oracle& truth,
               std::mt19937& random)
      : plan_(plan),
        clocks_(clocks),
        nodes_(nodes),
        network_(network),
        truth_(truth),
        random_(random) {}

  /// How many of its changes may wait for ever.
  std::size_t claims() const { return 2 * forged_; }

  /// The nodes that it has made up, of which transactions have begun.
  const std::vector<node_id>& strangers() const { return strangers_; }

  /// Attacks a node that is up.
  void attack(unsigned i) {
    auto& self = *nodes_[i];
    const auto& engine = self.manager().engine();
    const auto link = network_.open_hostile_link(i);
    self.peer_up(link, id, clocks_.at(i));
    network_.say(
        link, i,
        sync_hello{
            plan_.settings.cluster, id, 1, {}, {}, strategies_hash(*plan_.strategy()), {}, {}});
    std::uint64_t pushes = 0;
    const auto push_all = [&](const std::vector<change_record>& records) {
      network_.say(link, i, sync_push{++pushes, {{change_batch::of(records)->bytes()}}});
    };
    const auto push = [&](const change_record& record) { push_all({record}); };
    const auto own = engine.own_incarnation();
    const auto where = plan_.some_path(random_);

    // Claims to have overwritten what this node writes next, and what stands at another path. It is
    // a change like another, but for its claims.
    auto claim =
        test::put({id, ++forged_, 1}, where.text(), "claim",
                  {{{own.origin, own.incarnation, engine.processed().at(own) + 1 + random_() % 3},
                    random_()}});
    const auto other = plan_.some_path(random_);
    if (const auto entry = engine.tree().find(other); entry && other != where)
      claim.observed.push_back({entry->siblings()[0].dot, entry->siblings()[0].content});
    std::ranges::sort(claim.observed);
    truth_.wrote(claim);
    push(claim);
    sent_.push_back(claim);

    // Repeats what it has sent earlier, perhaps otherwise where that is known, and goes on.
    const auto& first = sent_[random_() % sent_.size()];
    const auto more = test::put({id, first.dot.incarnation, 2}, where.text(), "more");
    if (!truth_.knows(more.dot)) {
      const bool is_known = engine.processed().covers(first.dot);
      auto again = first;
      if (is_known && first.path != other) again = test::put(first.dot, other.text(), "otherwise");
      truth_.wrote(more);
      push_all({again, more});
    }

    // What this very incarnation has not made, or has made otherwise.
    const auto held = engine.root_hash();
    const auto made = engine.processed().at(own);
    push(
        test::put({own.origin, own.incarnation, 1 + random_() % (made + 2)}, where.text(), "mine"));
    must(engine.root_hash() == held, "a node takes a change of its own from another one");

    // In the name of a later incarnation of this node, of a time to come. It is a change like
    // another, but for its time. It may say that the one that runs has ended.
    auto late = test::put({own.origin, (std::uint64_t{1} << 40) + (++forged_ << 12), 1},
                          where.text(), static_cast<int>(forged_));
    late.timestamp = {(std::uint64_t{1} << 63) - 1};
    if (made > 0 && random_() % 2 == 0) late.after = {{own.origin, own.incarnation, made}};
    truth_.wrote(late);
    push(late);

    // A beginning without an end, in the name of a node that there is not. Where the room for such
    // is low it would keep out what others pass on until it is given up.
    if (!plan_.tight() && random_() % 4 == 0) {
      const auto stranger =
          strangers_.emplace_back(test::node(1000U + static_cast<unsigned>(strangers_.size())));
      const auto begun = test::together({test::put({stranger, 1, 1}, where.text(), "begun"),
                                         test::put({stranger, 1, 2}, where.text(), "never")});
      truth_.wrote(begun.front());
      push(begun.front());
    }

    // Malformed, in the name of a node that lives, this one included.
    const auto root = engine.root_hash();
    const auto victim = plan_.some_node(random_);
    auto malformed =
        test::put({nodes_[victim]->id(), nodes_[victim]->disk.incarnation(), 1 + random_() % 50},
                  where.text(), "malformed");
    switch (random_() % 4) {
      case 0: malformed.timestamp = {std::uint64_t{1} << 63}; break;
      case 1: malformed.observed = {{malformed.dot, 1}}; break;
      case 2: malformed.observed = {{{node(3), 1, 2}, 1}, {{node(2), 1, 1}, 1}}; break;
      case 3: malformed.transaction = {2, 2, 9}; break;
    }
    push(malformed);
    must(engine.root_hash() == root, "a malformed change is taken");
    must(!network_.is_open(link) || plan_.tight() || self.takes_no_pushes(),
         "a peer that pushes a malformed change keeps its link");
    if (network_.drop(link)) self.peer_down(link);
  }

private:
  const scenario& plan_;
  const simulated_clocks& clocks_;
  const simulated_network::node_list& nodes_;
  simulated_network& network_;
  oracle& truth_;
  std::mt19937& random_;
  std::uint64_t forged_ = 0;
  std::vector<node_id> strangers_;
  std::vector<change_record> sent_;
};

}  // namespace troupe::test::simulation
