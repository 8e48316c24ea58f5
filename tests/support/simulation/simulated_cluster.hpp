#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>

#include <troupe/tests/support/live_set.hpp>
#include <troupe/tests/support/simulation/simulated_budget.hpp>
#include <troupe/tests/support/simulation/simulated_clocks.hpp>
#include <troupe/tests/support/simulation/simulated_hostile_peer.hpp>
#include <troupe/tests/support/simulation/simulated_network.hpp>
#include <troupe/tests/support/simulation/simulated_node.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>
#include <troupe/tests/support/simulation/simulation_scenario.hpp>

namespace troupe::test::simulation {

/// All nodes of one seed, what lies between them, and the oracle that they are compared with.
class cluster {
public:
  /// @param breaks breaks a rule in each node, if there is one.
  /// @param change changes the scenario of the seed, if there is one.
  explicit cluster(unsigned seed, interference* breaks = nullptr,
                   const std::function<void(scenario&)>& change = {})
      : random_(seed), plan_(random_) {
    if (change) change(plan_);
    for (unsigned i = 0; i < plan_.nodes; ++i) {
      nodes_.push_back(std::make_unique<simulated_node>(i, plan_, oracle_, network_, breaks));
      nodes_[i]->start(time(i));
    }
  }
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  const scenario& plan() const { return plan_; }
  /// Everything that was sent, as one number: equal for equal seeds.
  std::uint64_t trace() const { return network_.trace(); }

  /// @throws violation when a rule is broken.
  void run() {
    for (unsigned step = 0; step < plan_.steps; ++step) {
      clocks_.pass(random_() % 120);
      step_ = step;
      do_something();
      for (unsigned i = 0; i < plan_.nodes; ++i) {
        if (!is_up(i)) continue;
        nodes_[i]->tick(time(i));
        if (!nodes_[i]->disk.idle() && random_() % 100 < plan_.disk_percent) disk_works(i);
      }
      if (step % 40 == 0) check_all();
    }
    heal();
    check_all();
    check_end();
    check_quiet();
    check_power_cut();
  }

private:
  event_time time(unsigned i) const { return clocks_.at(i); }
  bool is_up(unsigned i) const { return nodes_[i]->is_up(); }
  unsigned some_node() { return plan_.some_node(random_); }
  path some_path() { return plan_.some_path(random_); }

  void do_something() {
    if (random_() % 25 == 0) attack(some_node());
    if (random_() % 50 == 0) nodes_[some_node()]->disk.refuses = random_() % 2;
    const auto dice = random_() % 100;
    if (dice < 37)
      write(some_node());
    else if (dice < 76)
      network_.deliver_some();
    else if (dice < 85)
      change_link(some_node(), some_node());
    else if (dice < 89)
      change_block();
    else if (dice < 93)
      watch(some_node());
    else if (dice < 95)
      settle(some_node());
    else if (dice < 96 && random_() % 3 == 0)
      forget_member(some_node());
    else if (dice < 96)
      network_.stop_reading(some_node(), some_node());
    else
      crash_or_start(some_node());
  }

  void change_link(unsigned a, unsigned b) {
    const bool is_early = step_ < plan_.steps / 2 && std::max(a, b) >= plan_.nodes - plan_.late;
    if (!is_early) network_.change_link(a, b);
  }

  void change_block() {
    const bool blocks = random_() % 2;
    const auto from = some_node(), to = some_node();
    if (blocks)
      network_.block(from, to);
    else
      network_.unblock(from, to);
  }

  // -- one node -----------------------------------------------------------------------------------

  void crash_or_start(unsigned i) {
    if (is_up(i)) {
      network_.cut_off(i);
      return nodes_[i]->crash(random_);
    }
    if (random_() % 3 == 0 && may_lose_checkpoint(i)) nodes_[i]->disk.lose_checkpoint();
    if (random_() % 8 == 0) nodes_[i]->disk.want_clock_correction();
    // What two disks have lost at once may be in no place any more.
    const bool is_alone = std::ranges::none_of(
        nodes_, [](const auto& each) { return each->disk.saved() != nullptr; });
    if (plan_.backups && random_() % 4 == 0 && is_alone) {
      if (random_() % 2)
        lose_end(i);
      else if (nodes_[i]->disk.has_backup())
        set_back(i);
      else
        nodes_[i]->disk.back_up();
    }
    nodes_[i]->start(time(i));
  }

  void disk_works(unsigned i) {
    nodes_[i]->disk_works(random_);
    if (!nodes_[i]->begins_anew()) return;
    was_set_back_ = true;  // others may have a part of what only it had
    network_.cut_off(i);
    nodes_[i]->crash(random_);
    nodes_[i]->start(time(i));
  }

  void set_back(unsigned i) {
    was_set_back_ = true;  // what others wait for may be gone
    nodes_[i]->set_back();
  }

  void lose_end(unsigned i) {
    was_set_back_ = true;
    nodes_[i]->lose_end(random_);
  }

  /// Whether a node may take the state of others in place of its own, because it was forgotten, or
  /// a transaction is lost.
  bool may_begin_anew() const {
    return std::ranges::any_of(oracle_.all(), [](const auto& each) {
      const auto& [where, said] = std::tie(each.second.path, each.second.new_value);
      return is_within(reserved_path, where.text()) &&
             (said.find("forgotten_ms") || lost_transactions::says_lost(said));
    });
  }

  /// Whether the others have all that a node needs when its checkpoint is lost.
  bool may_lose_checkpoint(unsigned i) const {
    if (may_begin_anew()) return false;
    const auto& base = nodes_[i]->disk.log_base();
    return std::ranges::all_of(nodes_, [&](const auto& each) {
      const auto has_base = [&](const auto& issued) {
        return !base.covers(issued.first) || each->disk.stored().covers(issued.first);
      };
      return !each->disk.saved() && std::ranges::all_of(oracle_.all(), has_base);
    });
  }

  void write(unsigned i) {
    if (!is_up(i)) return;
    write_values wanted{.entries = {}, .principal = "tester"};
    wanted.durability = static_cast<durability>(random_() % 4);
    wanted.members_within_ms = 200 + random_() % 2000;
    if (random_() % 6 == 0) {
      wanted.what = operation::increment;
      wanted.entries.push_back({some_path(), static_cast<int>(random_() % 9) - 4});
    } else if (random_() % 4 == 0) {
      wanted.what = random_() % 3 ? operation::erase : operation::erase_subtree;
      wanted.entries.push_back({some_path(), {}});
    } else {
      const auto first = random_() % plan_.paths;
      const auto count = random_() % 5 == 0 ? 1 + random_() % plan_.paths : 1;
      for (unsigned k = 0; k < count; ++k)
        wanted.entries.push_back(
            {scenario::path_at((first + k) % plan_.paths), static_cast<int>(random_() % 1000)});
      wanted.skip_unchanged = random_() % 8 == 0;
    }
    const auto other = some_path();
    if (random_() % 4 == 0) nodes_[i]->read(other);
    if (random_() % 4 == 0) wanted.expected = nodes_[i]->condition(other);
    nodes_[i]->write(wanted, time(i));
  }

  void watch(unsigned i) {
    if (!is_up(i)) return;
    if (random_() % 2)
      nodes_[i]->lazy_watchers_answer();
    else if (nodes_[i]->watchers() < 4)
      nodes_[i]->watch(random_() % 2 ? some_path() : path{}, random_() % 2);
  }

  void settle(unsigned i) {
    if (is_up(i)) nodes_[i]->settle();
  }

  /// The operator of the first node forgets another one. Where the nodes do that themselves, two
  /// could forget each other that way, and would stay apart.
  void forget_member(unsigned member) {
    if (is_up(0) && plan_.settings.leases.length_ms == 0)
      nodes_[0]->forget_member(nodes_[member]->id(), time(0));
  }

  void attack(unsigned i) {
    if (is_up(i)) hostile_.attack(i);
  }

  // -- the end ------------------------------------------------------------------------------------

  void check_all() {
    for (const auto& each : nodes_)
      if (each->is_up()) each->check();
  }

  void heal() {
    network_.unblock_all();
    for (const auto& each : nodes_) each->disk.refuses = false;
    for (unsigned i = 0; i < plan_.nodes; ++i)
      if (!is_up(i)) nodes_[i]->start(time(i));
    const auto allowed = budget();
    link_all();
    for (std::size_t round = 1; round <= max_rounds; ++round) {
      pass_second();
      link_all();  // a node that begins anew closes its links
      for (const auto& each : hostile_.strangers()) nodes_[0]->give_up(each, time(0));
      allowed.check(round);
      if (is_converged() && is_settled()) return;
    }
    must(is_converged(), "the replicas do not agree");
  }

  void link_all() {
    for (unsigned a = 0; a < plan_.nodes; ++a) {
      for (unsigned b = a + 1; b < plan_.nodes; ++b) {
        if (plan_.heal_as_line && b != a + 1)
          network_.disconnect(a, b);
        else
          network_.connect(a, b);
      }
    }
  }

  /// Lets a second pass, and whatever follows from it.
  void pass_second() {
    clocks_.pass(1000);
    for (unsigned i = 0; i < plan_.nodes; ++i) nodes_[i]->tick(time(i));
    const auto messages_before = network_.messages();
    for (bool busy = true; busy;) {
      busy = !network_.idle();
      network_.deliver_all();
      for (unsigned i = 0; i < plan_.nodes; ++i)
        for (; !nodes_[i]->disk.idle(); busy = true) disk_works(i);
      must(network_.messages() - messages_before < 100'000, "the replicas never stop talking");
    }
    for (const auto& each : nodes_) each->lazy_watchers_answer();
  }

  /// What it may cost until all agree.
  heal_budget budget() const {
    std::size_t missing = 0, weight = 0;
    auto there = stored_anywhere();
    for (const auto& [id, record] : oracle_.all())  // and what waits for a disk
      for (const auto& each : nodes_)
        if (each->manager().engine().processed().covers(id)) there.insert(id);
    for (const auto& id : there) {
      const auto lacking =
          static_cast<std::size_t>(std::ranges::count_if(nodes_, [&](const auto& each) {
            return each->is_restoring() || !each->disk.stored().covers(id);
          }));
      missing += lacking;
      weight += lacking * oracle_.record(id).weight();
    }
    // For each stranger two more are made: that its rest is looked for, and that it is lost.
    const auto searches = 2 * plan_.nodes * hostile_.strangers().size();
    missing += searches;
    weight += 400 * searches;
    // What waits for changes that are gone takes the place of others in small buffers.
    const std::size_t again = was_set_back_ && plan_.tight() ? 10 : 1;
    return {network_, plan_.nodes, missing, weight, again};
  }

  std::set<dot> stored_anywhere() const {
    std::set<dot> all;
    for (const auto& [id, record] : oracle_.all())
      for (const auto& each : nodes_)
        if (each->disk.stored().covers(id)) all.insert(id);
    return all;
  }

  bool is_converged() const {
    const auto& first = nodes_[0]->manager().engine().vector();
    return std::ranges::all_of(nodes_, [&](const auto& each) {
      return each->manager().engine().vector() == first &&
             each->manager().committed().vector() == first;
    });
  }

  /// No write waits for members any more, each node has become one, and what some have collected
  /// keeps nothing away from others.
  bool is_settled() const {
    return std::ranges::all_of(nodes_, [this](const auto& each) {
      return !each->is_restoring() && each->open_writes().empty() &&
             each->manager().engine().open() == 0 && each->manager().known_members().has_joined() &&
             each->manager().engine().root_hash() == nodes_[0]->manager().engine().root_hash();
    });
  }

  void check_end() {
    const auto expected = oracle_.expected_in_the_end(
        stored_anywhere(), lost_transactions::all(nodes_[0]->manager().engine().tree()));
    const auto& first = nodes_[0]->manager().engine();
    for (const auto& each : nodes_) {
      each->check_end();
      const auto& engine = each->manager().engine();
      must(live_set_of(engine.tree()) == without(expected, each->gone()),
           "in the end a replica holds something else");
      must(engine.root_hash() == first.root_hash(), "in the end two replicas differ");
      must(was_set_back_ || engine.buffered() <= hostile_.claims(), "something never arrives");
      must(engine.open() == 0, "a transaction stays open for ever");
      for (unsigned i = 0; i < plan_.paths; ++i) {
        const auto where = scenario::path_at(i);
        must(engine.view(where) == first.view(where), "in the end readers see different values");
      }
    }
  }

  /// Replicas that agree say no more than their heads.
  void check_quiet() {
    // A transfer whose answer was lost goes on after a while, though it is of no more use.
    for (int i = 0; i < 12; ++i) pass_second();
    const auto pushed_before = network_.pushed();
    const auto messages_before = network_.messages();
    constexpr int seconds = 5;
    for (int i = 0; i < seconds; ++i) pass_second();
    must(network_.pushed() == pushed_before, "replicas that agree push changes");
    must(network_.messages() - messages_before <= seconds * 2 * network_.links(),
         "replicas that agree say more than their heads");
    check_short_heads();
  }

  /// Heads that have nothing new to say are short, whatever the vectors are.
  void check_short_heads() {
    // How long members are away that others have links with changes all the time.
    const auto most = max_short_bytes + (plan_.heal_as_line ? 100 * plan_.nodes : 0);
    for (std::size_t i = 0; i < max_rounds; ++i) {  // until what is stable has changed a last time
      const auto heads_before = network_.heads();
      const auto bytes_before = network_.heads_bytes();
      pass_second();
      const auto heads = network_.heads() - heads_before;
      if (network_.heads_bytes() - bytes_before <= most * heads) return;
    }
    must(false, "the heads of replicas that agree say again what they have said");
  }

  /// All that was acknowledged is there after all nodes have lost their power.
  void check_power_cut() {
    const auto before = lasting(0);
    for (unsigned i = 0; i < plan_.nodes; ++i) {
      nodes_[i]->crash(random_);
      nodes_[i]->start(time(i));
      must(lasting(i) == before, "a restart changes the state");
    }
  }

  /// What a node holds, except tombstones: those that were collected since the checkpoint are back.
  live_set lasting(unsigned i) const {
    std::set<dot> tombstones;
    for (const auto& [id, record] : oracle_.all())
      if (record.operation == operation::erase) tombstones.insert(id);
    return without(live_set_of(nodes_[i]->manager().engine().tree()), tombstones);
  }

  static constexpr std::size_t max_rounds = 60;
  static constexpr std::size_t max_short_bytes = 260;  ///< Of one of them.

  unsigned step_ = 0;
  bool was_set_back_ = false;
  std::mt19937 random_;
  scenario plan_;
  oracle oracle_;
  simulated_clocks clocks_{plan_};
  simulated_network::node_list nodes_;
  simulated_network network_{plan_, clocks_, nodes_, random_};
  hostile_peer hostile_{plan_, clocks_, nodes_, network_, oracle_, random_};
};

}  // namespace troupe::test::simulation
