#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using test::node;
using test::noon;

// A program that embeds a node may start a million times. What that costs must not grow, in memory
// and in messages, also while a member is away. The managers are the real ones; disks and links do
// at once what they are asked for.

namespace {

/// What a node has on its disk.
struct sound_disk {
  std::uint64_t incarnation = 0;
  engine_state checkpoint;
  std::deque<change_record> log;
  processed_changes base;  ///< What the log may lack.

  std::vector<change_record> read(const read_log& wanted) const {
    std::vector<change_record> found;
    for (const auto& each : log)
      for (const auto& range : wanted.wanted)
        if (range.first <= each.dot && each.dot <= range.last) found.push_back(each);
    return found;
  }
  /// Removes from the log what the checkpoint has and all have, from the beginning on.
  collected_log collect(const processed_changes& upto) {
    while (!log.empty() && upto.covers(log.front().dot) &&
           checkpoint.processed.covers(log.front().dot)) {
      base.raise(log.front().dot);
      log.pop_front();
    }
    std::set<incarnation_id> logged;
    for (const auto& each : log) logged.insert(incarnation_of(each.dot));
    const auto known = base.vector();
    for (const auto& each : known.entries())
      if (upto.has_ended(incarnation_of(each)) && !logged.contains(incarnation_of(each)))
        base.end(incarnation_of(each));
    return {false, std::make_shared<const processed_changes>(base)};
  }
};

/// Three nodes: a program that starts often, a member that runs on, and one that is away at times.
class sound_cluster {
public:
  enum who : unsigned { program, member, visitor };

  sound_cluster() {
    start(member);
    start(visitor);
  }

  std::size_t bytes() const { return bytes_; }
  const sync_manager& manager(who which) const { return *nodes_[which].manager; }
  const sound_disk& disk(who which) const { return nodes_[which].disk; }

  /// The program starts, writes, and stops. A minute passes.
  void run_program(std::int64_t number) {
    start(program);
    connect(program, member);
    if (is_visited_) connect(program, visitor);
    write({.entries = {{path{"/latest"}, number}}});
    pass(1'000);
    for (const auto other : {member, visitor}) disconnect(program, other);
    nodes_[program].manager.reset();
    pass(59'000);
  }
  void visitor_comes() {
    is_visited_ = true;
    connect(visitor, member);
    for (int i = 0; i < 3; ++i) pass(1'000);
  }
  void visitor_goes() {
    is_visited_ = false;
    disconnect(visitor, member);
  }

private:
  struct one {
    sound_disk disk;
    std::unique_ptr<sync_manager> manager;
  };
  struct letter {
    unsigned to;
    peer_id link;
    std::string method, params;
  };

  event_time now() const { return {noon + steady_ms_, steady_ms_}; }

  void start(unsigned which) {
    auto& [disk, manager] = nodes_[which];
    context_engine engine{node(which + 1), ++disk.incarnation, disk.checkpoint};
    sync_settings settings;
    settings.cluster = cluster_id{node(99).id};
    settings.checkpoint_every = 64;
    settings.log_base = disk.base;
    for (const auto& each : disk.log) {
      if (engine.processed().covers(each.dot)) continue;
      REQUIRE(engine.replay(each, now().wall_ms));
      ++settings.replayed;
    }
    manager = std::make_unique<sync_manager>(std::move(engine), settings);
    carry_out();
  }

  void write(write_values wanted) {
    wanted.principal = "tester";
    wanted.durability = durability::durable;
    const auto before = answered_;
    nodes_[program].manager->write(context_request{++requests_}, wanted, now());
    carry_out();
    REQUIRE(answered_ == before + 1);
  }

  void pass(std::uint64_t ms) {
    steady_ms_ += ms;
    for (auto& each : nodes_)
      if (each.manager) each.manager->tick(now());
    carry_out();
  }

  // -- links --------------------------------------------------------------------------------------

  struct link {
    peer_id id;
    unsigned a, b;
  };
  void connect(unsigned a, unsigned b) {
    const auto& made = links_.emplace_back(link{peer_id{++made_links_}, a, b});
    const auto id = made.id;
    nodes_[a].manager->peer_up(id, node(b + 1), now());
    nodes_[b].manager->peer_up(id, node(a + 1), now());
    carry_out();
  }
  /// Ends the link of two nodes, if they have one.
  void disconnect(unsigned a, unsigned b) {
    const auto is_theirs = [&](const link& each) { return each.a == a && each.b == b; };
    const auto found = std::ranges::find_if(links_, is_theirs);
    if (found == links_.end()) return;
    const auto id = found->id;
    links_.erase(found);
    for (const auto each : {a, b}) nodes_[each].manager->peer_down(id);
    carry_out();
  }

  // -- effects ------------------------------------------------------------------------------------

  /// Carries out what is asked for until nobody asks for more.
  void carry_out() {
    for (bool is_busy = true; is_busy;) {
      is_busy = false;
      for (unsigned from = 0; from < nodes_.size(); ++from) {
        if (!nodes_[from].manager) continue;
        std::vector<sync_effect> effects;
        nodes_[from].manager->take_effects(effects);
        is_busy = is_busy || !effects.empty();
        for (auto& each : effects) std::visit([&](auto& effect) { carry_out(from, effect); }, each);
      }
      for (auto& each : std::exchange(letters_, {}))
        if (nodes_[each.to].manager)
          nodes_[each.to].manager->hear(each.link, each.method, each.params, now());
    }
  }
  void carry_out(unsigned from, send_to_peer& effect) {
    for (const auto& each : links_)
      if (each.id == effect.peer)
        std::visit([&](const auto& message) { send(each, each.a + each.b - from, message); },
                   effect.message);
  }
  template <class Message>
  void send(const link& over, unsigned to, const Message& message) {
    letters_.push_back({to, over.id, std::string{message.method}, encode(message)});
    bytes_ += letters_.back().params.size();
  }
  void carry_out(unsigned from, append_batch& effect) {
    REQUIRE_FALSE(effect.what->adopted);
    for (const auto& batch : effect.what->batches) {
      auto records = batch->records();
      REQUIRE(records);
      for (auto& each : *records) nodes_[from].disk.log.push_back(std::move(each));
    }
    nodes_[from].manager->stored();
  }
  void carry_out(unsigned from, save_checkpoint& effect) {
    nodes_[from].disk.checkpoint = *effect.state;
    nodes_[from].manager->checkpoint_written(effect.id);
  }
  void carry_out(unsigned from, collect_log& effect) {
    nodes_[from].manager->log_collected(nodes_[from].disk.collect(*effect.upto));
  }
  void carry_out(unsigned from, read_peer_log& effect) {
    nodes_[from].manager->log_read(effect.peer,
                                   make_batches(nodes_[from].disk.read(effect.wanted)));
  }
  void carry_out(unsigned from, scrub_store&) {
    nodes_[from].manager->scrubbed(scrubbed_part{.is_done = true, .base = nullptr});
  }
  void carry_out(unsigned from, keep_transfer&) { nodes_[from].manager->transfer_kept({}); }
  void carry_out(unsigned from, find_transfer&) {
    nodes_[from].manager->transfer_found(std::nullopt);
  }
  void carry_out(unsigned, answer_write& effect) {
    REQUIRE(effect.outcome);
    ++answered_;
  }
  void carry_out(unsigned, sync_log_line& effect) {
    REQUIRE_MESSAGE(effect.severity < log_severity::warning, effect.event);
  }
  void carry_out(unsigned, give_back_memory&) {}
  template <class Effect>
  void carry_out(unsigned, Effect&) {
    FAIL("a node does what nobody has asked for");
  }

  std::array<one, 3> nodes_;
  std::vector<link> links_;
  bool is_visited_ = false;
  std::deque<letter> letters_;
  std::uint64_t steady_ms_ = 0, made_links_ = 0, requests_ = 0;
  std::size_t bytes_ = 0, answered_ = 0;
};

}  // namespace

// TROUPE_STARTS: how often the program starts.
TEST_CASE(
    "a program that starts, writes and stops costs the cluster as much at the end as before") {
  constexpr std::uint64_t round = 500;
  const char* text = std::getenv("TROUPE_STARTS");
  const std::uint64_t starts = text ? std::strtoull(text, nullptr, 10) : 4 * round;
  sound_cluster all;
  all.visitor_comes();
  std::size_t usual = 0, before = 0;
  for (std::uint64_t n = 1; n <= starts; ++n) {
    all.run_program(static_cast<std::int64_t>(n));
    // While a member is away, all keep what it may need.
    if (n % round == round / 2) all.visitor_goes();
    REQUIRE(all.manager(sound_cluster::member).engine().vector().entries().size() <= 3);
    REQUIRE(all.disk(sound_cluster::member).log.size() <= 2 * round + 200);
    if (n % round != 0) continue;
    all.visitor_comes();
    const auto spent = all.bytes() - std::exchange(before, all.bytes());
    if (usual == 0) usual = spent;
    REQUIRE(spent <= usual + usual / 4);
  }
  const auto& first = all.manager(sound_cluster::member).engine();
  const auto& other = all.manager(sound_cluster::visitor).engine();
  CHECK(first.root_hash() == other.root_hash());
  CHECK(first.vector() == other.vector());
  CHECK(first.view(path{"/latest"}) == value{static_cast<std::int64_t>(starts)});
  CHECK(encode(first.processed()).size() < 4 * processed_changes::max_ended_of_node);
  CHECK(all.disk(sound_cluster::member).log.size() < 200);
}
