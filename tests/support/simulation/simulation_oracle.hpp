#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>
#include <troupe/tests/support/live_set.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// All that was ever written anywhere.
class oracle {
public:
  void wrote(const change_record& record) { all_.emplace(record.dot, record); }
  /// A node has made it. Its time is later than that of its node's change before, in whole
  /// transactions, whatever the clock shows.
  void made(const change_record& record) {
    const auto next = all_.lower_bound(record.dot);
    if (next != all_.begin() && record.transaction.index == 0) {
      const auto& before = std::prev(next)->second;
      must(incarnation_of(before.dot) != incarnation_of(record.dot) ||
               before.timestamp < record.timestamp,
           "the clock of a node goes back");
    }
    wrote(record);
  }
  /// What the writer of a put or an erasure had seen of the counter at its path.
  void saw(const dot& id, std::set<dot> increments) { seen_.emplace(id, std::move(increments)); }
  const std::set<dot>& seen_by(const dot& id) const {
    static const std::set<dot> nothing;
    const auto found = seen_.find(id);
    return found == seen_.end() ? nothing : found->second;
  }
  /// The increments of a path that a replica has processed, in whole transactions.
  std::set<dot> increments(const path& where, const processed_changes& processed) const {
    std::set<dot> found;
    for (const auto& [id, record] : all_)
      if (record.operation == operation::increment && record.path == where &&
          processed.covers(id) && processed.covers(last_of(record)))
        found.insert(id);
    return found;
  }
  /// What an incarnation has added to the counter at a path, up to one of its changes.
  std::int64_t amount(const path& where, const dot& upto) const {
    std::int64_t sum = 0;
    for (auto at = all_.lower_bound({upto.origin, upto.incarnation, 0});
         at != all_.end() && at->first <= upto; ++at)
      if (at->second.operation == operation::increment && at->second.path == where)
        sum += *at->second.new_value.as_integer();
    return sum;
  }
  /// The last change of its transaction.
  static dot last_of(const change_record& record) {
    const auto& [origin, incarnation, seq] = record.dot;
    const auto& place = record.transaction;
    return {origin, incarnation, seq - place.index + place.count - 1};
  }
  /// Whether a replica that has these changes has only a part of the transaction of this one.
  bool is_open(const dot& id, const processed_changes& processed) const {
    return !processed.covers(last_of(record(id)));
  }
  /// Every change, by its dot.
  const std::map<dot, change_record>& all() const { return all_; }
  bool knows(const dot& id) const { return all_.contains(id); }
  const change_record& record(const dot& id) const { return all_.at(id); }

  using lost_ones = std::vector<lost_transactions::span>;
  /// What a replica must hold that has processed just this. Of a transaction, all changes count or
  /// none; of one that is lost, none.
  live_set expected(const processed_changes& processed, const lost_ones& lost) const {
    return live(
        [&](const dot& id) { return processed.covers(id) && !lost_transactions::find(lost, id); });
  }
  /// What all must hold in the end: what is on a disk somewhere, without what any of that observed.
  live_set expected_in_the_end(const std::set<dot>& stored, const lost_ones& lost) const {
    return live(
        [&](const dot& id) { return stored.contains(id) && !lost_transactions::find(lost, id); });
  }

private:
  template <class Counts>
  live_set live(const Counts& counts) const {
    std::vector<change_record> whole;
    for (const auto& [id, record] : all_)
      if (counts(id) && counts(last_of(record))) whole.push_back(record);
    return live_set_after(whole);
  }

  std::map<dot, change_record> all_;
  std::map<dot, std::set<dot>> seen_;
};

}  // namespace troupe::test::simulation
