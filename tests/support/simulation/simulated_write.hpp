#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// What a replica holds before a local write, and the records that the write must become.
class simulated_write {
public:
  simulated_write(const oracle& truth, const sync_manager& manager, const std::vector<path>& paths)
      : truth_(truth),
        own_(manager.engine().own_incarnation()),
        processed_(manager.engine().processed()),
        tree_(manager.engine().snapshot()) {
    for (const auto& each : paths) {
      if (const auto entry = manager.engine().tree().find(each))
        for (const auto& one : entry->siblings()) standing_[each].push_back({one.dot, one.content});
      std::ranges::sort(standing_[each]);
      if (manager.find({each}).found) visible_.insert(each);
    }
  }

  /// Whether the write has made one of these.
  bool has_made(std::span<const sibling> siblings) const {
    return std::ranges::any_of(siblings, [&](const sibling& each) {
      return incarnation_id{each.dot.origin, each.dot.incarnation} == own_ &&
             each.dot.seq >= first();
    });
  }
  /// The number of the first change that the write makes.
  std::uint64_t first() const { return processed_.at(own_) + 1; }
  /// What the writer has processed.
  const processed_changes& processed() const { return processed_; }

  /// The records. @param after the replica that has made the write.
  std::vector<change_record> records(const write_values& wanted, const sync_manager& after) const {
    const auto& engine = after.engine();
    const auto made = engine.processed().at(own_) + 1 - first();
    std::vector<change_record> records;
    if (made == 0) return records;
    if (wanted.what == operation::erase_subtree)
      add_erasures(wanted.entries[0].path, records);
    else
      for (const auto& each : wanted.entries)
        if (is_written(each.path, made, engine)) add(wanted.what, each.path, each.value, records);
    must(records.size() == made, "a write becomes another number of changes");

    transaction_place place{0, static_cast<std::uint32_t>(made), 0};
    for (auto& each : records) {
      each.dot = {own_.origin, own_.incarnation, first() + place.index};
      each.timestamp = {engine.state().clock.ticks - (made - 1 - place.index)};
      each.principal = wanted.principal;
      count(each, engine);
      must(after.find({each.path}).found == shows(each), "a writer does not read its own write");
      ++place.index;
    }
    records.front().after = before(records);
    for (const auto& each : records) place.weight += weight_before(each);
    place.index = 0;
    for (auto& each : records) {
      if (made > 1) each.transaction = place;
      ++place.index;
    }
    return records;
  }

private:
  /// Whether a change is of a transaction of which the writer has a part, and which is not lost.
  bool is_open(const dot& id) const {
    return truth_.is_open(id, processed_) &&
           !lost_transactions::has(tree_, oracle::last_of(truth_.record(id)));
  }
  /// What must be there before the first of these records.
  std::vector<version_entry> before(const std::vector<change_record>& records) const {
    std::vector<version_entry> all;
    if (first() == 1)
      for (const auto& each : processed_.vector().of(own_.origin))
        if (each.incarnation < own_.incarnation &&
            !is_open({each.origin, each.incarnation, each.seq}))
          all.push_back(each);
    const auto add = [&](const dot& id) {
      const incarnation_id source{id.origin, id.incarnation};
      if (source == own_) return;
      std::vector<version_entry> later;
      for (const auto& each : processed_.vector().of(id.origin))
        if (each.incarnation > id.incarnation) later.push_back({each.origin, each.incarnation, 1});
      const bool names_itself =
          !processed_.has_ended(source) || std::ranges::any_of(later, [&](const auto& each) {
            return is_open({each.origin, each.incarnation, 1});
          });
      if (names_itself) return all.push_back({id.origin, id.incarnation, id.seq});
      for (const auto& each : later)
        if (incarnation_id{each.origin, each.incarnation} != own_) all.push_back(each);
    };
    if (records.size() > 1)
      for (const auto& each : records) {
        for (const auto& [where, seen] : each.below)
          for (const auto& one : seen) add(one.dot);
        if (each.operation == operation::erase_subtree) continue;
        for (const auto& one : standing_.at(each.path)) add(one.dot);
        for (const auto& part : counted_at(each.path))
          if (!part.is_folded()) add({part.source.origin, part.source.incarnation, part.seq});
      }
    return version_vector{std::move(all)}.entries();
  }
  static bool shows(const change_record& record) {
    return record.operation == operation::put || record.operation == operation::increment;
  }
  /// Whether a path has one of the changes that were made.
  bool is_written(const path& where, std::uint64_t made, const context_engine& engine) const {
    const auto entry = engine.tree().find(where);
    return entry && std::ranges::any_of(entry->siblings(), [&](const sibling& each) {
             return incarnation_id{each.dot.origin, each.dot.incarnation} == own_ &&
                    each.dot.seq >= first() && each.dot.seq < first() + made;
           });
  }
  void add(operation what, const path& where, const value& given,
           std::vector<change_record>& into) const {
    change_record record;
    record.path = where;
    record.operation = what;
    if (what != operation::erase) record.new_value = given;
    record.observed = standing_.at(where);
    std::erase_if(record.observed, [&](const observed_change& each) {
      const bool is_of_node = each.dot.origin == own_.origin;
      const bool is_increment = truth_.record(each.dot).operation == operation::increment;
      return (is_of_node && each.dot.incarnation == own_.incarnation) ||
             (what == operation::increment && !(is_of_node && is_increment));
    });
    into.push_back(std::move(record));
  }
  /// An erasure of a subtree; its counters are erased one by one.
  void add_erasures(const path& top, std::vector<change_record>& into) const {
    for (bool goes_on = false; const auto& [where, stood] : standing_) {
      if (!top.contains(where) || stood.empty()) continue;
      if (is_counter(where)) {
        if (visible_.contains(where)) {
          add(operation::erase, where, {}, into);
          goes_on = false;
        }
        continue;
      }
      if (!goes_on) {
        into.emplace_back();
        into.back().path = top;
        into.back().operation = operation::erase_subtree;
      }
      goes_on = true;
      into.back().below.push_back({where, stood});
    }
  }
  bool is_counter(const path& where) const {
    return std::ranges::any_of(standing_.at(where), [&](const observed_change& each) {
      return !truth_.record(each.dot).counts.bytes.empty();
    });
  }
  /// What the record counts.
  void count(change_record& record, const context_engine& after) const {
    if (record.operation == operation::erase_subtree || !has_counter(record)) return;
    const bool adds = record.operation == operation::increment;
    std::map<incarnation_id, std::uint64_t> latest;
    for (const auto& each : truth_.increments(record.path, processed_))
      if (!adds || each.origin == own_.origin) latest[{each.origin, each.incarnation}] = each.seq;
    if (adds) latest[own_] = record.dot.seq;
    std::vector<counter_part> parts;
    for (const auto& [source, seq] : latest) {
      auto amount = truth_.amount(record.path, {source.origin, source.incarnation, seq});
      if (adds && source == own_) amount += *record.new_value.as_integer();
      parts.push_back({source, seq, amount});
    }
    fold_like(counts_of(record, after), parts);
    record.counts.bytes = pack_counts(parts);
  }
  /// What the writer has made of the counts of a record.
  static std::vector<counter_part> counts_of(const change_record& record,
                                             const context_engine& after) {
    const auto entry = after.tree().find(record.path);
    must(entry.has_value(), "a write has left nothing");
    for (const auto& each : entry->siblings())
      if (each.dot == record.dot) return *unpack_counts(each.counts);
    return {};  // a later write of the same transaction has overwritten it
  }
  /// Folds as far as the writer did. Whether it may do so is seen when a reader has more than that.
  static void fold_like(const std::vector<counter_part>& made, std::vector<counter_part>& parts) {
    for (const auto& fold : made) {
      if (!fold.is_folded()) continue;
      const auto is_folded = [&](const counter_part& each) {
        return each.source.origin == fold.source.origin && each.source <= fold.source;
      };
      auto all = fold;
      all.amount = 0;
      for (const auto& each : parts) all.amount += is_folded(each) ? each.amount : 0;
      std::erase_if(parts, is_folded);
      parts.insert(std::ranges::lower_bound(parts, all.source, {}, &counter_part::source), all);
    }
  }
  /// What all that stands at a path counts.
  std::vector<counter_part> counted_at(const path& where) const {
    std::vector<counter_part> parts;
    if (const auto standing = standing_.find(where); standing != standing_.end())
      for (const auto& each : standing->second)
        std::ranges::move(*unpack_counts(truth_.record(each.dot).counts.bytes),
                          std::back_inserter(parts));
    return merged_counts(std::move(parts));
  }
  bool has_counter(const change_record& record) const {
    return record.operation == operation::increment || is_counter(record.path);
  }
  /// The upper bound of its weight that is known before it is made.
  std::uint64_t weight_before(change_record record) const {
    const auto standing = standing_.find(record.path);
    const auto count = standing == standing_.end() ? 0 : standing->second.size();
    auto parts = counted_at(record.path);
    parts.push_back({own_, ~std::uint64_t{0}, std::numeric_limits<std::int64_t>::min()});
    record.counts.bytes = pack_counts(parts);
    record.observed.resize(count);
    return record.weight();
  }

  const oracle& truth_;
  incarnation_id own_;
  processed_changes processed_;
  context_tree tree_;
  std::map<path, std::vector<observed_change>> standing_;
  std::set<path> visible_;
};

}  // namespace troupe::test::simulation
