#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// What readers see at each path, computed from the changes themselves, one after the other.
class expected_view {
public:
  expected_view(const oracle& truth, incarnation_id self,
                std::shared_ptr<const conflict_resolution> strategy)
      : truth_(truth), self_(self), strategy_(std::move(strategy)) {}

  /// A change that a watcher must receive.
  struct news {
    path where;
    std::optional<value> seen;  ///< Nothing: it is erased.
    std::optional<value> before;

    friend bool operator==(const news&, const news&) = default;
  };

  /// The change is processed. @returns what watchers must receive, in order: of a transaction, all
  /// with its last change.
  std::vector<news> process(const dot& id) {
    const auto& place = truth_.record(id).transaction;
    std::vector<news> all;
    if (!place.is_last()) return all;
    for (auto seq = id.seq - place.index; seq <= id.seq; ++seq)
      integrate(truth_.record({id.origin, id.incarnation, seq}), all);
    return all;
  }

  /// A tombstone is gone. @returns what watchers must receive.
  std::optional<news> collect(const dot& id) {
    const auto& where = truth_.record(id).path;
    const auto before = view(where);
    collected_.insert(id);
    auto after = view(where);
    if (after == before) return std::nullopt;
    return news{where, std::move(after), before};
  }

  /// A tombstone has gone after these changes were processed, when it competed with nothing. It
  /// still keeps away what was processed before and is told of later.
  void collect_after(const dot& id, const processed_changes& processed) {
    going_[truth_.record(id).path].push_back({id, processed});
  }

  /// These changes are processed at once, as those of a state that was joined.
  /// @param gone tombstones that are gone then. @returns what watchers must receive: for each path
  /// the last, in tree order.
  std::vector<news> process_together(const std::vector<dot>& ids, const std::vector<dot>& gone) {
    std::map<path, std::optional<value>> before;
    std::vector<news> each_alone;
    const auto note = [&](const path& where) { before.try_emplace(where, view(where)); };
    for (const auto& [where, dots] : processed_) note(where);
    for (const auto& id : ids) note(truth_.record(id).path);
    for (const auto& id : ids)
      for (auto& one : process(id)) each_alone.push_back(std::move(one));
    collected_.insert(gone.begin(), gone.end());
    std::vector<news> all;
    for (const auto& [where, was] : before)
      if (auto now = view(where); now != was) all.push_back({where, std::move(now), was});
    std::ranges::sort(all, [](const news& a, const news& b) {
      return compare_paths(a.where.text(), b.where.text()) < 0;
    });
    return all;
  }

private:
  void integrate(const change_record& record, std::vector<news>& all) {
    const auto& [origin, incarnation, seq] = record.dot;
    const bool is_own = incarnation_id{origin, incarnation} == self_;
    if (record.operation == operation::erase_subtree) {
      for (const auto& [where, changes] : record.below) {
        let_go(where, record);
        const auto before = view(where);
        overwrite(where, changes);
        const auto after = view(where);
        if (after != before) all.push_back({where, after, before});
      }
      return;
    }
    let_go(record.path, record);
    const auto before = view(record.path);
    processed_[record.path].insert(record.dot);
    overwrite(record.path, record.observed);
    const auto& gone = truth_.seen_by(record.dot);
    counted_out_.insert(gone.begin(), gone.end());
    if (record.operation != operation::increment)
      latest_[{record.path, {origin, incarnation}}] = seq;
    const auto after = view(record.path);
    const bool is_told = is_own && record.operation != operation::increment;
    if (is_told || after != before) all.push_back({record.path, after, before});
  }
  /// Before a change: tombstones that had gone before it was processed.
  void let_go(const path& where, const change_record& next) {
    const auto found = going_.find(where);
    if (found == going_.end()) return;
    std::erase_if(found->second, [&](const auto& each) {
      const bool has_gone =
          !each.second.covers(oracle::last_of(next)) && is_alone(where, each.first);
      if (has_gone) collected_.insert(each.first);
      return has_gone;
    });
  }
  /// Whether nothing else lives at a path.
  bool is_alone(const path& where, const dot& id) const {
    const auto found = processed_.find(where);
    return found == processed_.end() || std::ranges::none_of(found->second, [&](const dot& each) {
             return each != id && is_live(where, each);
           });
  }
  bool is_live(const path& where, const dot& id) const {
    const auto& record = truth_.record(id);
    if (record.operation == operation::increment) return !counted_out_.contains(id);
    return !collected_.contains(id) && !overwritten_.contains({where, test::seen(record)}) &&
           id.seq >= latest_.at({where, {id.origin, id.incarnation}});
  }
  void overwrite(const path& where, const std::vector<observed_change>& changes) {
    for (const auto& each : changes) overwritten_.emplace(where, each);
  }

  /// What the strategy makes of the changes that are not overwritten, in the order of (timestamp,
  /// dot), plus the increments that the writer of no put or erasure had seen.
  std::optional<value> view(const path& where) const {
    std::vector<const change_record*> writes, increments;
    const auto found = processed_.find(where);
    if (found == processed_.end()) return std::nullopt;
    for (const auto& id : found->second) {
      if (!is_live(where, id)) continue;
      const auto& record = truth_.record(id);
      if (record.operation == operation::increment)
        increments.push_back(&record);
      else
        writes.push_back(&record);
    }
    std::ranges::sort(
        writes, {}, [](const change_record* each) { return std::tie(each->timestamp, each->dot); });
    std::optional<change_record> shown;
    for (const auto* each : writes) shown = shown ? strategy_->resolve(*shown, *each) : *each;
    const bool is_put = shown && shown->operation == operation::put;
    if (is_put && !shown->new_value.as_integer()) return shown->new_value;
    auto total = is_put ? *shown->new_value.as_integer() : 0;
    bool counts = is_put;
    for (const auto* each : increments) {
      total += *each->new_value.as_integer();
      counts = true;
    }
    return counts ? std::optional{value{total}} : std::nullopt;
  }

  const oracle& truth_;
  incarnation_id self_;
  std::shared_ptr<const conflict_resolution> strategy_;
  std::map<path, std::set<dot>> processed_;
  std::set<std::pair<path, observed_change>> overwritten_;
  std::set<dot> counted_out_, collected_;
  std::map<path, std::vector<std::pair<dot, processed_changes>>> going_;
  std::map<std::pair<path, incarnation_id>, std::uint64_t> latest_;
};

/// The watchers of one replica in one life. Each keeps the changes that it receives and checks
/// them: every visible change comes once and in order, and replaying them gives the state. Some
/// answer late, or never.
class simulated_watchers {
public:
  simulated_watchers(const oracle& truth, incarnation_id self,
                     std::shared_ptr<const conflict_resolution> strategy,
                     std::size_t max_unanswered)
      : expected_(truth, self, std::move(strategy)), max_unanswered_(max_unanswered) {}

  /// A change that the start has replayed.
  void replayed(const dot& id) { expected_.process(id); }

  void add(sync_manager& manager, const path& prefix, bool lazy) {
    const watcher_id id{++added_};
    watcher fresh{prefix, lazy};
    manager.engine().tree().visit_subtree(prefix, [&](const tree_entry& entry) {
      const auto where = path::from_checked(std::string{entry.path()});
      if (is_hidden(where.text(), prefix.text())) return true;
      if (auto seen = manager.engine().view(where)) fresh.seen.emplace(where, std::move(*seen));
      return true;
    });
    watchers_.emplace(id, std::move(fresh));
    manager.watch(id, prefix);
  }

  void told(const tell_watcher& told) {
    const auto found = watchers_.find(told.watcher);
    must(found != watchers_.end(), "a watcher receives something after its end");
    auto& watcher = found->second;
    must(!told.changes.empty(), "a watcher receives an empty notification");
    must(watcher.unanswered < max_unanswered_, "a watcher that is too far behind receives more");
    for (const auto& change : told.changes) {
      must(watcher.prefix.contains(change->path), "a watcher receives a change of another path");
      const auto seen = watcher.seen.find(change->path);
      const auto before = seen == watcher.seen.end() ? std::nullopt : std::optional{seen->second};
      must(change->previous_value == before,
           "a watcher receives a change twice, not at all, or out of order");
      std::optional<value> now;
      if (change->operation == operation::put) now = change->new_value;
      if (now)
        watcher.seen.insert_or_assign(change->path, *now);
      else
        watcher.seen.erase(change->path);
      if (told.watcher == first) heard_.push_back({change->path, now, before});
    }
    watcher.unanswered += told.changes.size();
    watcher.answers.push_back(told.changes.size());
  }
  void ended(const end_watcher& end) {
    const auto found = watchers_.find(end.watcher);
    must(found != watchers_.end(), "a watcher is ended twice");
    must(found->second.unanswered >= max_unanswered_, "a watcher that keeps up is ended");
    watchers_.erase(found);
  }
  /// Watchers answer what they received; lazy ones only when `lazy_ones` is set.
  void answer(sync_manager& manager, bool lazy_ones) {
    for (auto& [id, watcher] : watchers_) {
      if (watcher.lazy && !lazy_ones) continue;
      for (const auto count : std::exchange(watcher.answers, {})) {
        watcher.unanswered -= count;
        manager.watcher_answered(id, count);
      }
    }
  }

  /// The event is over: what watchers have seen is the state.
  void check(const sync_manager& manager, const std::vector<path>& all) const {
    for (const auto& [id, watcher] : watchers_)
      for (const auto& where : all) {
        if (!watcher.prefix.contains(where)) continue;
        const auto seen = watcher.seen.find(where);
        const auto view = manager.engine().view(where);
        must(seen == watcher.seen.end() ? !view : view == seen->second,
             "what a watcher received, replayed, is not the state");
      }
  }
  /// A change goes to the log, in the order in which changes became part of the state.
  void logged(const dot& id) {
    for (const auto& news : expected_.process(id)) hear(news);
  }
  /// Tombstones that competed with nothing have gone after these changes were processed.
  void collected_after(const std::vector<dot>& ids, const processed_changes& processed) {
    for (const auto& each : ids) expected_.collect_after(each, processed);
  }
  /// Tombstones are gone. @returns what watchers must receive.
  std::vector<expected_view::news> collected(const std::vector<dot>& ids) {
    std::vector<expected_view::news> all;
    for (const auto& each : ids)
      if (auto news = expected_.collect(each)) all.push_back(std::move(*news));
    return all;
  }
  /// A state is joined that has these changes, and lacks these tombstones.
  void adopted(const std::vector<dot>& ids, const std::vector<dot>& gone) {
    for (const auto& news : expected_.process_together(ids, gone)) hear(news);
  }
  /// Everything is logged.
  void check_end() const {
    must(heard_.empty(), "a watcher receives a change that is not visible");
  }
  std::size_t size() const { return watchers_.size(); }

  /// The watcher that hears everything must have received this next.
  void hear(const expected_view::news& news) {
    if (is_hidden(news.where.text(), "")) return;
    must(!heard_.empty(), "a watcher does not receive a visible change");
    must(heard_.front() == news, "a watcher receives changes in another order than they were made");
    heard_.pop_front();
  }

private:
  struct watcher {
    path prefix;
    bool lazy;
    std::map<path, value> seen{};
    std::size_t unanswered = 0;
    std::deque<std::size_t> answers{};  ///< Due.
  };

  /// Watches everything and answers at once; it is compared with the log.
  static constexpr watcher_id first{1};

  expected_view expected_;
  std::size_t max_unanswered_;
  std::uint64_t added_ = 0;
  std::map<watcher_id, watcher> watchers_;
  std::deque<expected_view::news> heard_;
};

}  // namespace troupe::test::simulation
