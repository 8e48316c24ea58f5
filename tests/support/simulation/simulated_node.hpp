// This file is long because it is all of a node but the manager, and checks all that it says.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>
#include <troupe/tests/support/live_set.hpp>
#include <troupe/tests/support/simulation/simulated_disk.hpp>
#include <troupe/tests/support/simulation/simulated_own_writes.hpp>
#include <troupe/tests/support/simulation/simulated_surroundings.hpp>
#include <troupe/tests/support/simulation/simulated_watchers.hpp>
#include <troupe/tests/support/simulation/simulated_write.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>
#include <troupe/tests/support/simulation/simulation_scenario.hpp>

namespace troupe::test::simulation {

/// A write that is not answered yet.
struct open_write {
  std::vector<dot> dots;
  durability level = durability::memory;
  bool may_be_made = true;  ///< Whether its conditions held.
  bool adds = false;        ///< It is refused where no number is.
};

/// What a client has read of a path: the version, and the writes that lived there, none when it was
/// nothing but a tombstone.
struct read_version {
  value_version version;
  std::vector<dot> live;
};

/// One node: the sync manager itself, on a simulated disk, with its clients and watchers. Checks
/// what the manager says to each of them. Has many members because it is all of a node except the
/// manager: what was asked, what was promised, and what the disk holds.
class simulated_node {
public:
  simulated_node(unsigned index, const scenario& plan, oracle& truth, link_ends& links,
                 interference* breaks)
      : disk(plan.history, truth),
        index_(index),
        plan_(plan),
        truth_(truth),
        links_(links),
        breaks_(breaks) {
    for (unsigned i = 0; i < plan.paths; ++i) paths_.push_back(scenario::path_at(i));
    for (unsigned i = 0; i < plan.nodes; ++i) places_.push_back(members::place_of(node(i + 1)));
  }

  simulated_disk disk;

  bool is_up() const { return manager_ != nullptr; }
  bool is_restoring() const { return restoring_; }
  /// It was forgotten, and takes nothing but a state.
  bool takes_no_pushes() const { return is_forgotten_; }
  /// The cluster has forgotten it, and it has to be started anew.
  bool begins_anew() { return is_up() && disk.begins_anew(); }
  /// Its operator has the cluster go on without a member. One who gives up what a node has sent in
  /// part knows that it does not come back.
  void forget_member(const node_id& member, event_time now) {
    if (manager_->known_members().has(member)) give_up(member, now);
  }
  void give_up(const node_id& who, event_time now) {
    const auto wanted = manager_->forgetting(who, "a test");
    if (wanted) write(*wanted, now, {wanted->entries.front().path});
  }
  sync_manager& manager() { return *manager_; }
  const sync_manager& manager() const { return *manager_; }
  node_id id() const { return node(index_ + 1); }
  const std::map<context_request, open_write>& open_writes() const { return writes_; }

  // -- life ---------------------------------------------------------------------------------------

  /// Starts from what the disk has, as a node does.
  void start(event_time now) {
    const auto incarnation = disk.next_incarnation(id());
    disk.correct_clock(incarnation);
    auto restored = disk.checkpoint();
    context_engine engine{id(), incarnation, std::move(restored), plan_.engine, plan_.strategy()};
    auto settings = plan_.settings;
    settings.log_base = disk.log_base();
    settings.saved = disk.saved();
    restoring_ = settings.saved != nullptr;
    is_forgotten_ = restoring_ && !settings.saved->overruled_by.entries().empty();
    if (!restoring_) {
      settings.replayed = replay(engine, now);
      must(has_just(engine.processed(), disk.stored()), "a start does not find what was stored");
      check_acknowledged(engine);
    }
    seen_ = engine.processed();
    const auto self = engine.own_incarnation();
    manager_ = std::make_unique<sync_manager>(std::move(engine), settings);
    watchers_ = std::make_unique<simulated_watchers>(truth_, self, plan_.strategy(),
                                                     settings.watches.max_unanswered);
    logged_ = restoring_ ? version_vector{} : disk.stored();
    for (const auto& [id, record] : truth_.all())
      if (logged_.covers(id)) watchers_->replayed(id);
    gone_.clear();
    watchers_->collected(find_collected());
    collected_ = manager_->engine().collected();
    now_ = now;
    watchers_->add(*manager_, path{}, false);
    after_event();
  }
  /// Loses everything that is not on the disk.
  void crash(std::mt19937& random) {
    disk.crash(random);
    manager_.reset();
    watchers_.reset();
    writes_.clear();
    settles_.clear();
    groups_.clear();
  }

  /// The disk of a node that is down is set back to a backup. What others have of the rest comes
  /// back in the end, because all agree then.
  void set_back() {
    for (const auto& each : disk.set_back()) acknowledged_.erase(each);
  }
  /// So is one that has lost its latest commits.
  void lose_end(std::mt19937& random) {
    for (const auto& each : disk.lose_end(id(), random)) acknowledged_.erase(each);
  }

  // -- events -------------------------------------------------------------------------------------

  void write(const write_values& wanted, event_time now) { write(wanted, now, paths_); }
  /// @param paths those that it may change.
  void write(const write_values& wanted, event_time now, const std::vector<path>& paths) {
    const context_request request{++requests_};
    const simulated_write asked{truth_, *manager_, paths};
    open_write open{{}, wanted.durability};
    open.adds = wanted.what == operation::increment;
    for (const auto& each : wanted.expected)
      open.may_be_made = open.may_be_made && read_.at(each.path).live == live_at(each.path);
    manager_->write(request, wanted, now);
    for (const auto& each : asked.records(wanted, *manager_)) {
      must(open.may_be_made, "a write is made though its condition does not hold");
      if (each.operation == operation::put || each.operation == operation::erase)
        truth_.saw(each.dot, truth_.increments(each.path, asked.processed()));
      truth_.made(each);
      open.dots.push_back(each.dot);
    }
    if (open.dots.size() > 1) groups_.emplace(open.dots.front(), open.dots.size());
    writes_.emplace(request, std::move(open));
    after_event();
  }
  /// A client reads the version of a path, also to write on its condition later.
  void read(const path& where) {
    if (restoring_) return;
    read_[where] = {*manager_->find({where, true}).version, live_at(where)};
  }
  /// The condition that a path is as it was when it was read last, maybe by an earlier life.
  std::vector<expected_version> condition(const path& where) const {
    const auto found = read_.find(where);
    if (found == read_.end()) return {};
    return {{where, found->second.version}};
  }
  void settle() {
    const context_request request{++requests_};
    settles_.emplace(request,
                     restoring_ ? version_vector{} : manager_->engine().state().processed.vector());
    manager_->settle(request);
    after_event();
  }
  void watch(const path& prefix, bool lazy) {
    watchers_->add(*manager_, prefix, lazy);
    after_event();
  }
  std::size_t watchers() const { return watchers_->size(); }
  void lazy_watchers_answer() { watchers_->answer(*manager_, true); }
  void disk_works(std::mt19937& random) {
    may_write(now_, [&] { disk.work(*manager_, random); });
  }
  void tick(event_time now) {
    const auto gone_before = gone_;
    may_write(now, [&] { manager_->tick(now); });
    const auto& known = manager_->known_members();
    for (const auto& each : gone_)
      must(gone_before.contains(each) || links_.holders(each, known) == known.count(),
           "a tombstone is collected that a member lacks");
  }
  void peer_up(peer_id link, const node_id& peer, event_time now) {
    may_write(now, [&] { manager_->peer_up(link, peer, now); });
  }
  void peer_down(peer_id link) {
    manager_->peer_down(link);
    after_event();
  }
  void hear(peer_id link, const std::string& method, const std::string& params, event_time now) {
    may_write(now, [&] { manager_->hear(link, method, params, now); });
  }
  void send_failed(peer_id link) {
    manager_->send_failed(link, {error_code::overloaded, "the other side does not read", {}});
    after_event();
  }

  // -- checks -------------------------------------------------------------------------------------

  void check() const {
    const auto& engine = manager_->engine();
    const auto sound = engine.tree().verify();
    must(sound.has_value(), sound ? "" : sound.error().message);
    must(live_set_of(engine.tree()) ==
             without(truth_.expected(engine.processed(), lost_to(engine)), gone_),
         "a replica does not hold what the oracle says");
  }
  /// The tombstones that this replica has collected.
  const std::set<dot>& gone() const { return gone_; }
  /// Nothing is under way any more.
  void check_end() const {
    must(writes_.empty(), "a write is never answered");
    must(settles_.empty(), "a settle is never answered");
    must(has_just(manager_->committed(), disk.stored()), "the manager and the disk disagree");
    watchers_->check_end();
  }

private:
  /// @returns how many changes of the log the checkpoint lacks.
  std::uint64_t replay(context_engine& engine, event_time now) const {
    std::uint64_t replayed = 0;
    for (const auto& each : disk.log()) {
      if (engine.processed().covers(each.dot)) continue;
      must(engine.replay(each, now.wall_ms).has_value(), "a log cannot be replayed");
      ++replayed;
    }
    return replayed;
  }
  void check_acknowledged(const context_engine& engine) {
    for (const auto& each : disk.take_set_aside()) acknowledged_.erase(each);  // it says so
    for (const auto& each : acknowledged_)
      must(engine.processed().covers(each), "what was acknowledged as durable is lost");
  }
  /// An event in which the node may write what nobody asked for.
  template <class Event>
  void may_write(event_time now, const Event& happen) {
    now_ = now;
    simulated_own_writes own{truth_, *manager_, places_};
    happen();
    own.note(*manager_, now);
    after_event();
  }
  /// The transactions that a replica does not count. What counts with it although others say that
  /// it is lost, counts until it has begun anew.
  static std::vector<lost_transactions::span> lost_to(const context_engine& engine) {
    auto lost = lost_transactions::all(engine.tree());
    std::erase_if(lost, [&](const auto& each) {
      return std::ranges::any_of(
          lost_transactions::said_by(engine.tree(), each.last), [&](const dot& by) {
            return seq_at(engine.overruled_by(), {by.origin, by.incarnation}) >= by.seq;
          });
    });
    return lost;
  }
  /// Tombstones that are gone from a state though nothing has overwritten them.
  std::vector<dot> gone_from(const context_tree& tree, const processed_changes& processed) const {
    const auto held = live_set_of(tree);
    std::vector<dot> found;
    for (const auto& [where, dots] : truth_.expected(processed, lost_to(manager_->engine()))) {
      const auto here = held.find(where);
      for (const auto& each : dots) {
        if (here != held.end() && here->second.contains(each)) continue;
        const auto& record = truth_.record(each);
        must(record.operation == operation::erase && record.counts.bytes.empty(),
             "a replica lacks what the oracle says");
        found.push_back(each);
      }
    }
    return found;
  }
  /// Those that are newly gone.
  std::vector<dot> find_collected() {
    const auto& engine = manager_->engine();
    auto found = gone_from(engine.tree(), engine.processed());
    std::erase_if(found, [this](const dot& each) { return !gone_.insert(each).second; });
    return found;
  }
  std::vector<dot> live_at(const path& where) const {
    std::vector<dot> live;
    const auto entry = manager_->engine().tree().find(where);
    if (!entry || is_collectable(entry->siblings())) return live;
    for (const auto& each : entry->siblings()) live.push_back(each.dot);
    return live;
  }
  /// Whether these are all the changes that were stored, and no others.
  static bool has_just(const processed_changes& changes, const version_vector& stored) {
    return stored.covers(changes.vector()) &&
           std::ranges::all_of(stored.entries(), [&](const version_entry& each) {
             return changes.at({each.origin, each.incarnation}) == each.seq;
           });
  }

  void after_event() {
    std::vector<sync_effect> effects;
    manager_->take_effects(effects);
    if (breaks_) breaks_->alter(*this, effects);
    const auto& engine = manager_->engine();
    if (restoring_ && !manager_->is_restoring()) {
      restoring_ = is_forgotten_ = false;
      must(engine.processed().covers(disk.stored()), "a restoration does not find what was stored");
      check_acknowledged(engine);
    }
    std::vector<expected_view::news> news;
    const auto says = [&](std::string_view event) {
      return std::ranges::any_of(effects, [event](const sync_effect& each) {
        const auto* line = std::get_if<sync_log_line>(&each);
        return line && line->event == event;
      });
    };
    const bool is_in_memory = is_forgotten_ && says("context.state_joined");
    const bool has_joined =
        !is_forgotten_ && (says("context.state_joined") || says("context.state_rebuilt"));
    const bool has_gone = std::exchange(collected_, engine.collected()) != engine.collected();
    if (has_joined)
      find_collected();
    else if (says("context.tombstones_dropped"))
      news = watchers_->collected(find_collected());
    else if (has_gone)
      watchers_->collected_after(find_collected(), seen_);
    for (auto& each : effects) std::visit([this](auto& effect) { carry_out(effect); }, each);
    if (is_in_memory) take_in_memory();
    for (const auto& each : news) watchers_->hear(each);
    must(engine.processed().covers(seen_.vector()), "a replica forgets what it has processed");
    seen_ = engine.processed();
    watchers_->check(*manager_, paths_);
    watchers_->answer(*manager_, false);
  }

  /// A node that was forgotten has joined the state of another one, which is stored later.
  void take_in_memory() {
    std::vector<dot> news;
    for (const auto& [id, record] : truth_.all()) {
      if (!manager_->engine().processed().covers(id) || logged_.covers(id)) continue;
      logged_.raise(id.origin, id.incarnation, id.seq);
      news.push_back(id);
    }
    watchers_->adopted(news, find_collected());
  }

  void carry_out(append_batch& effect) {
    std::vector<dot> appended;
    if (effect.what->adopted && adopted_.insert(effect.what->adopted).second) {
      std::vector<dot> news;
      for (const auto& [id, record] : truth_.all()) {
        if (!effect.what->adopted->foreign.covers(id) || logged_.covers(id)) continue;
        logged_.raise(id.origin, id.incarnation, id.seq);
        news.push_back(id);
      }
      // As it was joined: what waited for it may have taken places since.
      const auto& joined = effect.what->adopted->state;
      watchers_->adopted(
          news, is_forgotten_ ? std::vector<dot>{} : gone_from(joined.tree, joined.processed));
    }
    for (const auto& batch : effect.what->batches) {
      const auto records = batch->records();
      must(records.has_value(), "what is logged cannot be read");
      for (const auto& each : *records) {
        const auto& id = each.dot;
        appended.push_back(id);
        if (logged_.covers(id)) continue;
        logged_.raise(id.origin, id.incarnation, id.seq);
        must(each == truth_.record(id), "a change is logged otherwise than it was made");
        watchers_->logged(id);
      }
    }
    for (const auto& [first, count] : groups_) {
      const auto in_batch = std::ranges::count_if(appended, [&](const dot& each) {
        return each.origin == first.origin && each.incarnation == first.incarnation &&
               each.seq >= first.seq && each.seq < first.seq + count;
      });
      must(in_batch == 0 || static_cast<std::size_t>(in_batch) == count,
           "what was written together is stored apart");
    }
    disk.ask(std::move(effect));
  }
  void carry_out(read_peer_log& effect) { disk.ask(std::move(effect)); }
  void carry_out(read_own_log& effect) { disk.ask(std::move(effect)); }
  void carry_out(save_checkpoint& effect) { disk.ask(std::move(effect)); }
  void carry_out(scrub_store& effect) { disk.ask(effect); }
  void carry_out(collect_log& effect) { disk.ask(std::move(effect)); }
  void carry_out(begin_anew& effect) { disk.ask(std::move(effect)); }
  void carry_out(keep_aside& effect) { disk.ask(std::move(effect)); }
  void carry_out(keep_transfer& effect) { disk.ask(std::move(effect)); }
  void carry_out(find_transfer& effect) { disk.ask(std::move(effect)); }
  void carry_out(give_back_memory&) {}
  void carry_out(send_to_peer& effect) {
    std::visit([this](const auto& message) { check_claims(message); }, effect.message);
    links_.send(effect.peer, index_, effect.message);
  }
  void carry_out(close_peer& effect) { links_.close(effect.peer, index_, effect.reason); }
  void carry_out(answer_write& effect) {
    const auto found = writes_.find(effect.request);
    must(found != writes_.end(), "a write is answered twice");
    const auto open = std::move(found->second);
    writes_.erase(found);
    if (!effect.outcome) {
      const auto code = effect.outcome.error().code;
      must(code != error_code::failed_precondition || !open.may_be_made || open.adds,
           "a write is refused for a condition that holds");
      must(code == error_code::storage_failure || code == error_code::deadline_exceeded ||
               open.dots.empty(),
           "a write is refused and made all the same");
      if (code == error_code::deadline_exceeded)
        acknowledged_.insert(open.dots.begin(), open.dots.end());
      return;
    }
    must(open.may_be_made, "a write is answered though its condition does not hold");
    must(effect.outcome->ids.size() == open.dots.size(), "an answer names other changes");
    for (std::size_t i = 0; i < open.dots.size(); ++i)
      must(effect.outcome->ids[i] == truth_.record(open.dots[i]).id(),
           "an answer names other changes");
    if (open.level == durability::memory) return;
    acknowledged_.insert(open.dots.begin(), open.dots.end());
    if (open.level == durability::durable || open.dots.empty()) return;
    const auto& known = manager_->known_members();
    const auto needed = 1 + member_waits::others_for(open.level, known);
    must(links_.holders(open.dots.back(), known) >= needed,
         "a write is acknowledged that too few members have");
  }
  void carry_out(answer_settle& effect) {
    const auto found = settles_.find(effect.request);
    must(found != settles_.end(), "a settle is answered twice");
    // What a node has that is about to begin anew is kept as its old state.
    const bool leaves = manager_->known_members().forgotten().contains(id()) ||
                        !manager_->engine().overruled_by().entries().empty();
    if (effect.outcome && !leaves)
      must(disk.stored().covers(found->second), "what was settled is not on the disk");
    settles_.erase(found);
  }
  void carry_out(tell_watcher& effect) { watchers_->told(effect); }
  void carry_out(end_watcher& effect) { watchers_->ended(effect); }
  void carry_out(sync_log_line& effect) {
    for (const auto* alarm :
         {"context.strategies_differ", "context.roots_differ", "context.equivocation"})
      must(effect.event != alarm, alarm);
  }

  // What a node claims to have is on its disk.
  void check_claims(const sync_push& push) const {
    for (const auto& each : push.changes) {
      const auto batch = change_batch::read(each.bytes);
      must(batch.has_value(), "a push cannot be read");
      const auto& [origin, incarnation] = (*batch)->source();
      must(disk.stored().covers(dot{origin, incarnation, (*batch)->last()}),
           "a change is pushed before it is stored");
    }
  }
  void check_claims(const sync_pull&) const {}
  void check_claims(const sync_range&) const {}
  void check_claims(const sync_state& state) const {
    if (state.processed.bytes.empty()) return;
    const auto offered = decode<processed_changes>(state.processed.bytes);
    must(offered && disk.stored().covers(offered->vector()),
         "a node offers a state that it has not stored");
  }
  template <class Message>
  void check_claims(const Message& message) const {
    must(disk.stored().covers(message.vector), "a node claims what it has not stored");
  }

  unsigned index_;
  const scenario& plan_;
  oracle& truth_;
  link_ends& links_;
  interference* breaks_;
  std::vector<path> paths_;
  std::vector<path> places_;               ///< Of the members.
  event_time now_;                         ///< Of the latest event that had a time.
  std::unique_ptr<sync_manager> manager_;  ///< None while the node is down.
  std::unique_ptr<simulated_watchers> watchers_;
  bool restoring_ = false;     ///< Its checkpoint was lost, or it was forgotten.
  bool is_forgotten_ = false;  ///< And has not stored the state of another node yet.
  std::uint64_t requests_ = 0;
  std::map<context_request, open_write> writes_;
  std::map<context_request, version_vector> settles_;  ///< With what they are to make durable.
  std::map<path, read_version> read_;
  std::map<dot, std::size_t> groups_;  ///< Writes of several values.
  std::set<dot> acknowledged_;         ///< As durable, in all lives.
  processed_changes seen_;             ///< What the engine has processed.
  std::set<dot> gone_;                 ///< Tombstones that were collected in this life.
  std::set<std::shared_ptr<const adopted_state>> adopted_;  ///< Those that were to be stored.
  std::uint64_t collected_ = 0;                             ///< As the engine counts them.
  version_vector logged_;  ///< What was handed to the disk in this life.
};

}  // namespace troupe::test::simulation
