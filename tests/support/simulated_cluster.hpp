#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/simulated_node.hpp>

namespace troupe::test::simulation {

/// All nodes of one seed, what lies between them, and the oracle that they are compared with.
class cluster final : private link_ends {
public:
  /// @param breaks breaks a rule in each node, if there is one.
  explicit cluster(unsigned seed, interference* breaks = nullptr) : random_(seed), plan_(random_) {
    link_ends& ends = *this;
    for (unsigned i = 0; i < plan_.nodes; ++i) {
      nodes_.push_back(std::make_unique<simulated_node>(i, plan_, oracle_, ends, breaks));
      nodes_[i]->start(time(i));
    }
  }

  const scenario& plan() const { return plan_; }
  /// Everything that was sent, as one number: equal for equal seeds.
  std::uint64_t trace() const { return trace_; }

  /// @throws violation when a rule is broken.
  void run() {
    for (unsigned step = 0; step < plan_.steps; ++step) {
      now_ += random_() % 120;
      do_something();
      for (unsigned i = 0; i < plan_.nodes; ++i) {
        if (!is_up(i)) continue;
        nodes_[i]->tick(time(i));
        if (!nodes_[i]->disk.idle() && random_() % 100 < plan_.disk_percent)
          nodes_[i]->disk_works(random_);
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
  event_time time(unsigned i) const {
    return {noon + static_cast<std::uint64_t>(static_cast<std::int64_t>(now_) + plan_.skew_ms[i]),
            now_};
  }
  bool is_up(unsigned i) const { return nodes_[i]->is_up(); }
  unsigned some_node() { return random_() % plan_.nodes; }
  path some_path() { return path{"/p" + std::to_string(random_() % plan_.paths)}; }

  void do_something() {
    if (random_() % 25 == 0) attack(some_node());
    if (random_() % 50 == 0) nodes_[some_node()]->disk.refuses = random_() % 2;
    const auto dice = random_() % 100;
    if (dice < 37)
      write(some_node());
    else if (dice < 76)
      deliver_some();
    else if (dice < 85)
      change_link(some_node(), some_node());
    else if (dice < 89)
      blocked_[{some_node(), some_node()}] = random_() % 2;
    else if (dice < 93)
      watch(some_node());
    else if (dice < 95)
      settle(some_node());
    else if (dice < 96)
      stop_reading(some_node(), some_node());
    else
      crash_or_start(some_node());
  }

  // -- one node -----------------------------------------------------------------------------------

  void crash_or_start(unsigned i) {
    if (!is_up(i)) return nodes_[i]->start(time(i));
    for (unsigned other = 0; other < plan_.nodes; ++other)
      if (const auto link = take_link(i, other)) nodes_[other]->peer_down(*link);
    nodes_[i]->crash(random_);
  }

  void write(unsigned i) {
    if (!is_up(i)) return;
    write_values wanted{.entries = {}, .principal = "tester"};
    if (random_() % 2) wanted.durability = durability::memory;
    if (random_() % 4 == 0) {
      wanted.what = operation::erase;
      wanted.entries.push_back({some_path(), {}});
    } else {
      const auto first = random_() % plan_.paths;
      const auto count = random_() % 5 == 0 ? 1 + random_() % plan_.paths : 1;
      for (unsigned k = 0; k < count; ++k)
        wanted.entries.push_back({path{"/p" + std::to_string((first + k) % plan_.paths)},
                                  static_cast<int>(random_() % 1000)});
      wanted.skip_unchanged = random_() % 8 == 0;
    }
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

  /// Somebody links to a node and pushes changes that nobody made.
  void attack(unsigned i) {
    if (!is_up(i)) return;
    auto& self = *nodes_[i];
    const auto& engine = self.manager().engine();
    const auto link = new_link(i, hostile_index);
    self.peer_up(link, hostile, time(i));
    say(link, i,
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
      say(link, i, push_batch{{encode_record(record)}}.to_message(++pushes));
    };
    const auto own = engine.own_incarnation();
    const auto where = some_path();
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
    oracle_.wrote(late);
    push(late);

    // Malformed, in the name of a node that lives, this one included.
    const auto root = engine.root_hash();
    const auto victim = some_node();
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
    must(!links_.contains(link) || plan_.tight(),
         "a peer that pushes a malformed change keeps its link");
    if (links_.erase(link) > 0) self.peer_down(link);
    must(std::ranges::all_of(engine.declined(),
                             [](const incarnation_id& each) { return each.origin == hostile; }),
         "changes of an honest node are declined");
  }

  // -- links --------------------------------------------------------------------------------------

  struct link {
    unsigned a, b;

    unsigned other(unsigned end) const { return end == a ? b : a; }
  };
  struct envelope {
    peer_id link;
    unsigned from, to;
    std::string method, params;
  };

  peer_id new_link(unsigned a, unsigned b) {
    const peer_id id{++made_links_};
    links_.emplace(id, link{a, b});
    return id;
  }

  std::optional<peer_id> find_link(unsigned a, unsigned b) const {
    for (const auto& [id, each] : links_)
      if ((each.a == a && each.b == b) || (each.a == b && each.b == a)) return id;
    return std::nullopt;
  }

  /// Removes a link, with what is on its way over it.
  std::optional<peer_id> take_link(unsigned a, unsigned b) {
    const auto found = find_link(a, b);
    if (!found) return std::nullopt;
    links_.erase(*found);
    std::erase_if(network_, [&](const envelope& each) { return each.link == *found; });
    return found;
  }

  void change_link(unsigned a, unsigned b) {
    if (find_link(a, b))
      disconnect(a, b);
    else
      connect(a, b);
  }

  void connect(unsigned a, unsigned b) {
    if (a == b || !is_up(a) || !is_up(b) || find_link(a, b)) return;
    const auto id = new_link(a, b);
    const bool b_is_late = random_() % 2;
    nodes_[a]->peer_up(id, nodes_[b]->id(), time(a));
    if (b_is_late) deliver_greetings();
    nodes_[b]->peer_up(id, nodes_[a]->id(), time(b));
    deliver_greetings();
  }

  void disconnect(unsigned a, unsigned b) {
    const auto id = take_link(a, b);
    if (!id) return;
    nodes_[a]->peer_down(*id);
    nodes_[b]->peer_down(*id);
  }

  /// A link takes no more of what `from` says.
  void stop_reading(unsigned from, unsigned to) {
    const auto id = find_link(from, to);
    if (!id) return;
    nodes_[from]->send_failed(*id);
    must(!links_.contains(*id), "a link that loses messages is not closed");
  }

  void send(peer_id id, unsigned from, const sync_message& message) override {
    const auto found = links_.find(id);
    if (found == links_.end()) return;
    const auto to = found->second.other(from);
    if (to == hostile_index) return;
    ++messages_;
    if (const auto* push = std::get_if<sync_push>(&message)) pushed_ += decode_push(*push)->size();
    envelope letter{id, from, to, {}, {}};
    std::visit(
        [&](const auto& each) {
          letter.method = each.method;
          letter.params = encode(each);
        },
        message);
    note(letter);
    // The greeting is part of setting up a link: without it there is none.
    auto& way = std::holds_alternative<sync_hello>(message) ? greetings_ : network_;
    way.push_back(std::move(letter));
  }

  void close(peer_id id, unsigned from, const std::string& reason) override {
    const auto found = links_.find(id);
    must(found != links_.end(), "a link is closed twice");
    const auto other = found->second.other(from);
    must(other == hostile_index || reason == "the other side does not read", reason);
    links_.erase(found);
    if (other == hostile_index) return;
    std::erase_if(network_, [&](const envelope& each) { return each.link == id; });
    nodes_[other]->peer_down(id);
  }

  void note(const envelope& letter) {
    const auto add = [this](unsigned char byte) { trace_ = (trace_ ^ byte) * 0x100000001b3; };
    add(static_cast<unsigned char>(letter.from));
    add(static_cast<unsigned char>(letter.to));
    for (const auto byte : letter.params) add(static_cast<unsigned char>(byte));
  }

  /// A hostile peer says something.
  template <class Message>
  void say(peer_id link, unsigned to, const Message& message) {
    if (links_.contains(link))
      nodes_[to]->hear(link, std::string{Message::method}, encode(message), time(to));
  }

  void deliver_greetings() {
    for (const auto& letter : std::exchange(greetings_, {})) deliver(letter);
  }

  void deliver_some() {
    for (auto count = random_() % 8; count > 0 && !network_.empty(); --count) {
      auto at = network_.begin() + static_cast<std::ptrdiff_t>(random_() % network_.size());
      if (plan_.ordered_links) {
        at = std::ranges::find_if(network_, [&](const envelope& each) {
          return each.from == at->from && each.to == at->to;
        });
        deliver_at(at);
      } else if (random_() % 100 < 15 || blocked_[{at->from, at->to}]) {
        network_.erase(at);
      } else if (random_() % 100 < 15) {
        const auto copy = *at;
        deliver(copy);
      } else {
        deliver_at(at);
      }
    }
  }

  void deliver_at(std::deque<envelope>::iterator at) {
    const auto taken = std::move(*at);
    network_.erase(at);
    deliver(taken);
  }

  void deliver(const envelope& letter) {
    if (links_.contains(letter.link))
      nodes_[letter.to]->hear(letter.link, letter.method, letter.params, time(letter.to));
  }

  // -- the end ------------------------------------------------------------------------------------

  void check_all() {
    for (const auto& each : nodes_)
      if (each->is_up()) each->check();
  }

  void heal() {
    blocked_.clear();
    for (const auto& each : nodes_) each->disk.refuses = false;
    for (unsigned i = 0; i < plan_.nodes; ++i)
      if (!is_up(i)) nodes_[i]->start(time(i));
    const auto budget = push_budget();
    for (unsigned a = 0; a < plan_.nodes; ++a) {
      for (unsigned b = a + 1; b < plan_.nodes; ++b) {
        if (plan_.heal_as_line && b != a + 1)
          disconnect(a, b);
        else
          connect(a, b);
      }
    }
    const auto pushed_before = pushed_;
    for (int round = 0; round < max_rounds; ++round) {
      pass_second();
      must(pushed_ - pushed_before <= budget, "the replicas push more than what is missing");
      if (is_converged()) return;
    }
    must(false, "the replicas do not agree");
  }

  /// Lets a second pass, and whatever follows from it.
  void pass_second() {
    now_ += 1000;
    for (unsigned i = 0; i < plan_.nodes; ++i) nodes_[i]->tick(time(i));
    const auto messages_before = messages_;
    for (bool busy = true; busy;) {
      busy = !network_.empty();
      while (!network_.empty()) deliver_at(network_.begin());
      for (const auto& each : nodes_)
        for (; !each->disk.idle(); busy = true) each->disk_works(random_);
      must(messages_ - messages_before < 100'000, "the replicas never stop talking");
    }
    for (const auto& each : nodes_) each->lazy_watchers_answer();
  }

  /// How many changes may be pushed until all agree: each node may get what it lacks from each
  /// other one, and again what was lost before.
  std::size_t push_budget() const {
    const auto all = stored_anywhere();
    std::size_t missing = 0;
    for (const auto& each : nodes_)
      missing += static_cast<std::size_t>(std::ranges::count_if(
          all, [&](const dot& id) { return !each->disk.stored().covers(id); }));
    return budget_factor * missing * plan_.nodes + 200;
  }

  std::set<dot> stored_anywhere() const {
    std::set<dot> all;
    for (const auto& each : nodes_)
      for (const auto& [incarnation, records] : each->disk.log())
        for (const auto& record : records) all.insert(record.dot);
    return all;
  }

  bool is_converged() const {
    const auto& first = nodes_[0]->manager().engine().vector();
    return std::ranges::all_of(nodes_, [&](const auto& each) {
      return each->manager().engine().vector() == first && each->manager().committed() == first;
    });
  }

  void check_end() {
    const auto expected = oracle_.expected_in_the_end(stored_anywhere());
    const auto& first = nodes_[0]->manager().engine();
    for (const auto& each : nodes_) {
      each->check_end();
      const auto& engine = each->manager().engine();
      must(live_set_of(engine.tree()) == expected, "in the end a replica holds something else");
      must(engine.root_hash() == first.root_hash(), "in the end two replicas differ");
      must(engine.overwritten() == 0 && engine.buffered() == 0, "something never arrives");
      for (unsigned i = 0; i < plan_.paths; ++i) {
        const path where{"/p" + std::to_string(i)};
        must(engine.view(where) == first.view(where), "in the end readers see different values");
      }
    }
  }

  /// Replicas that agree say no more than their heads.
  void check_quiet() {
    pass_second();
    const auto pushed_before = pushed_;
    const auto messages_before = messages_;
    constexpr int seconds = 5;
    for (int i = 0; i < seconds; ++i) pass_second();
    must(pushed_ == pushed_before, "replicas that agree push changes");
    must(messages_ - messages_before <= seconds * 2 * links_.size(),
         "replicas that agree say more than their heads");
  }

  /// All that was acknowledged is there after all nodes have lost their power.
  void check_power_cut() {
    const auto root = nodes_[0]->manager().engine().root_hash();
    for (unsigned i = 0; i < plan_.nodes; ++i) {
      nodes_[i]->crash(random_);
      nodes_[i]->start(time(i));
      must(nodes_[i]->manager().engine().root_hash() == root, "a restart changes the state");
    }
  }

  static constexpr int max_rounds = 60;
  static constexpr std::size_t budget_factor = 4;
  static constexpr unsigned hostile_index = ~0U;
  inline static const node_id hostile = node(77);

  std::mt19937 random_;
  scenario plan_;
  oracle oracle_;
  std::vector<std::unique_ptr<simulated_node>> nodes_;
  std::map<peer_id, link> links_;
  std::uint64_t made_links_ = 0;
  std::deque<envelope> network_, greetings_;
  std::map<std::pair<unsigned, unsigned>, bool> blocked_;  ///< One way.
  std::uint64_t now_ = 0;
  std::size_t messages_ = 0, pushed_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325;
  std::uint64_t forged_ = 0;
};

}  // namespace troupe::test::simulation
