#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/context_fixture.hpp>
#include <troupe/tests/support/live_set.hpp>
#include <troupe/tests/support/simulation_oracle.hpp>
#include <troupe/tests/support/simulation_scenario.hpp>
#include <troupe/tests/support/sync_view_fixture.hpp>

namespace troupe::test::simulation {

/// What of a node survives a crash.
struct disk {
  std::uint64_t incarnation = 0;
  std::map<incarnation_id, std::vector<encoded_record>> log;
  engine_state checkpoint;
};

/// Something that a node has handed to its disk and that is not there yet.
struct pending_commit {
  std::optional<encoded_record> record;
  unsigned peer = 0;  ///< Without a record: all records of this push of this peer come before.
  std::uint64_t batch = 0;
};

struct replica {
  disk storage;
  std::unique_ptr<context_engine> engine;  ///< None while the node is down.
  std::deque<pending_commit> queue;
  bool disk_refuses = false;
  view_values view;
  view_of_values shown{view};
  std::map<unsigned, sync_session> sessions;
};

/// All replicas of one seed, what lies between them, and the oracle that they are compared with.
class cluster {
public:
  explicit cluster(unsigned seed) : random_(seed), plan_(random_), replicas_(plan_.nodes) {
    for (unsigned i = 0; i < plan_.nodes; ++i) start(i);
  }

  const scenario& plan() const { return plan_; }

  void run() {
    for (unsigned step = 0; step < plan_.steps; ++step) {
      now_ += random_() % 120;
      do_something();
      for (unsigned i = 0; i < plan_.nodes; ++i) tick(i);
      if (step % 40 == 0) check_all();
    }
    heal();
    check_all();
    check_end();
  }

private:
  std::uint64_t wall(unsigned i) const {
    return noon + static_cast<std::uint64_t>(static_cast<std::int64_t>(now_) + plan_.skew_ms[i]);
  }
  bool is_up(unsigned i) const { return replicas_[i].engine != nullptr; }
  unsigned some_node() { return random_() % plan_.nodes; }

  void do_something() {
    if (random_() % 25 == 0) attack(some_node());
    if (random_() % 50 == 0) replicas_[some_node()].disk_refuses = random_() % 2;
    const auto dice = random_() % 100;
    if (dice < 30)
      write(some_node());
    else if (dice < 65)
      deliver_some();
    else if (dice < 82)
      commit(some_node(), 1 + random_() % 6);
    else if (dice < 90)
      change_link(some_node(), some_node());
    else if (dice < 93)
      checkpoint(some_node());
    else if (dice < 97)
      blocked_[{some_node(), some_node()}] = random_() % 2;
    else
      crash_or_start(some_node());
  }

  // -- one node -----------------------------------------------------------------------------------

  void start(unsigned i) {
    auto& self = replicas_[i];
    auto restored = self.storage.checkpoint;
    const auto covered = restored.vector;
    self.engine = std::make_unique<context_engine>(node(i + 1), ++self.storage.incarnation,
                                                   std::move(restored), plan_.engine);
    self.view = {};
    for (const auto& [run, records] : self.storage.log) {
      for (const auto& each : records) {
        auto record = decode<change_record>(each.bytes);
        REQUIRE(record);
        REQUIRE(self.engine->replay(std::move(*record), wall(i)));
        self.view.committed.raise(run.origin, run.incarnation, each.dot.seq);
      }
    }
    REQUIRE(self.engine->vector() == self.view.committed);
    refresh_view(i);
  }

  void crash_or_start(unsigned i) {
    if (!is_up(i)) return start(i);
    for (unsigned peer = 0; peer < plan_.nodes; ++peer) disconnect(i, peer);
    replicas_[i].queue.clear();
    replicas_[i].engine.reset();
  }

  void write(unsigned i) {
    if (!is_up(i)) return;
    const path where{"/p" + std::to_string(random_() % plan_.paths)};
    const auto op = random_() % 4 == 0 ? operation::erase : operation::put;
    const auto written = replicas_[i].engine->write(op, where, static_cast<int>(random_() % 1000),
                                                    "tester", {}, wall(i));
    if (!written) return;
    REQUIRE_MESSAGE(
        written->timestamp.milliseconds() <= noon + now_ + 10'000'000 + hybrid_clock::max_resume_ms,
        "a forged time counts");
    oracle_.wrote(*written);
    replicas_[i].queue.push_back({encode_record(*written)});
    refresh_view(i);
  }

  /// Somebody hands a node changes that nobody made.
  void attack(unsigned i) {
    if (!is_up(i)) return;
    auto& engine = *replicas_[i].engine;
    const auto own = engine.own_incarnation();
    const auto before = engine.root_hash();
    const path where{"/p" + std::to_string(random_() % plan_.paths)};

    // Malformed, in the name of a node that lives, this one included.
    const auto victim = some_node();
    const incarnation_id named{node(victim + 1), replicas_[victim].storage.incarnation};
    auto malformed =
        test::put({named.origin, named.incarnation, 1 + random_() % 50}, where.text(), "malformed");
    switch (random_() % 4) {
      case 0: malformed.timestamp = {std::uint64_t{1} << 63}; break;
      case 1: malformed.observed = {malformed.dot}; break;
      case 2: malformed.observed = {{node(3), 1, 2}, {node(2), 1, 1}}; break;
      case 3: malformed.operation = operation::erase; break;
    }
    REQUIRE(engine.apply(malformed, wall(i)).status == apply_status::malformed);

    // Overwrites what this node writes next. In a run of its own, as that is declined from then on.
    const dot next{own.origin, own.incarnation,
                   engine.vector().at(own.origin, own.incarnation) + 1 + random_() % 3};
    const auto claim =
        engine.apply(test::put({hostile, ++forged_, 1}, where.text(), "claim", {next}), wall(i));
    REQUIRE(claim.status == apply_status::refused);
    REQUIRE(claim.alarm);
    REQUIRE(engine.root_hash() == before);

    // In the name of an earlier run of this node, of a time to come. It is a change like another,
    // but for its time.
    auto late = test::put({own.origin, (std::uint64_t{1} << 40) + ++forged_, 1}, where.text(),
                          static_cast<int>(forged_));
    late.timestamp = {(std::uint64_t{1} << 63) - 1};
    auto outcome = engine.apply(late, wall(i));
    REQUIRE(outcome.alarm == (outcome.status == apply_status::applied));
    if (outcome.status == apply_status::applied) {
      oracle_.wrote(late);
      replicas_[i].queue.push_back({encode_record(late)});
    }
    refresh_view(i);
  }

  void commit(unsigned i, std::size_t at_most) {
    auto& self = replicas_[i];
    if (!is_up(i) || self.disk_refuses) return;
    std::vector<encoded_record> records;
    std::vector<pending_commit> done;
    for (; at_most > 0 && !self.queue.empty(); --at_most) {
      auto next = std::move(self.queue.front());
      self.queue.pop_front();
      if (!next.record) {
        done.push_back(std::move(next));
        continue;
      }
      const auto& id = next.record->dot;
      auto& log = self.storage.log[{id.origin, id.incarnation}];
      REQUIRE(id.seq == log.size() + 1);
      log.push_back(*next.record);
      oracle_.committed(id);
      self.view.committed.raise(id.origin, id.incarnation, id.seq);
      records.push_back(std::move(*next.record));
    }
    refresh_view(i);
    for (const auto& batch : make_batches(std::move(records)))
      for (auto& [peer, session] : self.sessions) perform(i, peer, session.committed(batch));
    for (const auto& each : done)
      if (const auto session = self.sessions.find(each.peer); session != self.sessions.end())
        perform(i, each.peer, session->second.processed(each.batch));
  }

  void checkpoint(unsigned i) {
    if (is_up(i) && replicas_[i].queue.empty())
      replicas_[i].storage.checkpoint = replicas_[i].engine->state();
  }

  void tick(unsigned i) {
    for (auto& [peer, session] : replicas_[i].sessions) perform(i, peer, session.tick(now_));
  }

  void refresh_view(unsigned i) {
    auto& self = replicas_[i];
    self.view.root =
        self.engine->vector() == self.view.committed ? self.engine->root_hash() : state_hash{};
    self.view.declined = self.engine->declined();
    self.view.missing = self.engine->missing();
    self.view.takes_pushes = self.queue.size() < plan_.max_waiting;
    REQUIRE(std::ranges::all_of(self.view.declined,
                                [](const incarnation_id& run) { return run.origin == hostile; }));
  }

  // -- links --------------------------------------------------------------------------------------

  struct envelope {
    unsigned from, to;
    sync_message message;
  };

  void change_link(unsigned a, unsigned b) {
    if (replicas_[a].sessions.contains(b))
      disconnect(a, b);
    else
      connect(a, b);
  }

  void connect(unsigned a, unsigned b) {
    if (a == b || !is_up(a) || !is_up(b) || replicas_[a].sessions.contains(b)) return;
    for (const auto& [self, peer] : {std::pair{a, b}, std::pair{b, a}}) {
      const sync_identity identity{cluster_id{node(99).id}, node(self + 1),
                                   replicas_[self].storage.incarnation, 1};
      replicas_[self].sessions.emplace(
          peer, sync_session{identity, node(peer + 1), replicas_[self].shown, plan_.sync});
    }
    // The greeting is part of setting up a link: without it there is none.
    const auto greeting_of = [&](unsigned self, unsigned peer) {
      return std::get<send_message>(replicas_[self].sessions.at(peer).start(now_).at(0)).message;
    };
    const auto from_a = greeting_of(a, b), from_b = greeting_of(b, a);
    perform(b, a, replicas_[b].sessions.at(a).receive(from_a));
    perform(a, b, replicas_[a].sessions.at(b).receive(from_b));
    links_changed(a);
    links_changed(b);
  }

  void disconnect(unsigned a, unsigned b) {
    if (replicas_[a].sessions.erase(b) == 0) return;
    replicas_[b].sessions.erase(a);
    std::erase_if(network_, [&](const envelope& each) {
      return (each.from == a && each.to == b) || (each.from == b && each.to == a);
    });
    std::erase_if(replicas_[a].queue,
                  [&](const pending_commit& each) { return !each.record && each.peer == b; });
    std::erase_if(replicas_[b].queue,
                  [&](const pending_commit& each) { return !each.record && each.peer == a; });
    links_changed(a);
    links_changed(b);
  }

  void links_changed(unsigned i) {
    auto& self = replicas_[i];
    self.view.links.clear();
    for (const auto& [peer, session] : self.sessions) self.view.links.push_back(node(peer + 1));
    std::ranges::sort(self.view.links);
    for (auto& [peer, session] : self.sessions) perform(i, peer, session.links_changed());
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
    if (const auto session = replicas_[letter.to].sessions.find(letter.from);
        session != replicas_[letter.to].sessions.end())
      perform(letter.to, letter.from, session->second.receive(letter.message));
  }

  /// What the replica actor does with the wishes of a session.
  void perform(unsigned i, unsigned peer, std::vector<sync_action> actions) {
    for (auto& action : actions)
      std::visit([&](auto& each) { perform_one(i, peer, each); }, action);
  }
  void perform_one(unsigned i, unsigned peer, send_message& action) {
    ++messages_;
    if (const auto* push = std::get_if<sync_push>(&action.message))
      check_push_is_committed(i, *push);
    network_.push_back({i, peer, std::move(action.message)});
  }
  void perform_one(unsigned i, unsigned peer, read_log& action) {
    std::vector<encoded_record> records;
    const auto& log = replicas_[i].storage.log[action.run];
    std::size_t bytes = 0;
    for (auto seq = action.first;
         seq <= log.size() && (records.empty() || bytes < action.max_bytes); ++seq) {
      bytes += log[seq - 1].bytes.size();
      records.push_back(log[seq - 1]);
      if (random_() % 8 == 0) break;
    }
    perform(i, peer, replicas_[i].sessions.at(peer).log_read(std::move(records)));
  }
  void perform_one(unsigned i, unsigned peer, apply_records& action) {
    for (auto& record : action.records) {
      auto outcome = replicas_[i].engine->apply(std::move(record), wall(i));
      REQUIRE(outcome.status != apply_status::refused);
      REQUIRE(outcome.status != apply_status::malformed);
      for (const auto& each : outcome.applied)
        replicas_[i].queue.push_back({encode_record(each.record)});
    }
    replicas_[i].queue.push_back({std::nullopt, peer, action.batch});
    refresh_view(i);
  }
  void perform_one(unsigned, unsigned, report_mismatch&) {
    FAIL("equal rules were reported as different");
  }
  void perform_one(unsigned, unsigned, report_roots&) {
    FAIL("replicas with equal vectors are different");
  }
  void perform_one(unsigned, unsigned, close_session& action) { FAIL(action.reason.message); }

  void check_push_is_committed(unsigned i, const sync_push& push) {
    const auto records = decode_push(push);
    REQUIRE(records);
    for (const auto& each : *records) {
      const auto& log = replicas_[i].storage.log[{each.dot.origin, each.dot.incarnation}];
      REQUIRE_MESSAGE(each.dot.seq <= log.size(), "a change was pushed before its commit");
    }
  }

  // -- checks -------------------------------------------------------------------------------------

  void check_all() {
    for (auto& each : replicas_) {
      if (!each.engine) continue;
      const auto sound = each.engine->tree().verify();
      REQUIRE_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
      REQUIRE(live_set_of(each.engine->tree()) == oracle_.expected(each.engine->vector()));
    }
  }

  void heal() {
    blocked_.clear();
    for (auto& each : replicas_) each.disk_refuses = false;
    for (unsigned i = 0; i < plan_.nodes; ++i)
      if (!is_up(i)) start(i);
    for (unsigned a = 0; a < plan_.nodes; ++a) {
      for (unsigned b = a + 1; b < plan_.nodes; ++b) {
        if (plan_.heal_as_line && b != a + 1)
          disconnect(a, b);
        else
          connect(a, b);
      }
    }
    const auto messages_before = messages_;
    for (int round = 0; round < 60; ++round) {
      now_ += 1000;
      for (unsigned i = 0; i < plan_.nodes; ++i) tick(i);
      for (bool busy = true; busy;) {
        busy = !network_.empty();
        while (!network_.empty()) deliver_at(network_.begin());
        for (unsigned i = 0; i < plan_.nodes; ++i) {
          busy = busy || !replicas_[i].queue.empty();
          commit(i, replicas_[i].queue.size());
        }
        REQUIRE_MESSAGE(messages_ - messages_before < 100'000, "the replicas never stop talking");
      }
      if (is_converged()) return;
    }
  }

  bool is_converged() const {
    return std::ranges::all_of(replicas_, [&](const replica& each) {
      return each.engine->vector() == replicas_[0].engine->vector() &&
             each.view.committed == each.engine->vector();
    });
  }

  void check_end() {
    const auto expected = oracle_.expected_in_the_end();
    const auto& first = *replicas_[0].engine;
    for (const auto& each : replicas_) {
      REQUIRE(live_set_of(each.engine->tree()) == expected);
      REQUIRE(each.engine->root_hash() == first.root_hash());
      REQUIRE(each.engine->vector() == first.vector());
      REQUIRE(each.engine->overwritten() == 0);
      REQUIRE(each.engine->buffered() == 0);
      for (unsigned i = 0; i < plan_.paths; ++i) {
        const path where{"/p" + std::to_string(i)};
        REQUIRE(each.engine->view(where) == first.view(where));
      }
    }
  }

  std::mt19937 random_;
  scenario plan_;
  std::vector<replica> replicas_;
  std::deque<envelope> network_;
  std::map<std::pair<unsigned, unsigned>, bool> blocked_;  ///< One way.
  oracle oracle_;
  std::uint64_t now_ = 0;
  std::size_t messages_ = 0;
  std::uint64_t forged_ = 0;
  inline static const node_id hostile = node(77);
};

}  // namespace troupe::test::simulation
