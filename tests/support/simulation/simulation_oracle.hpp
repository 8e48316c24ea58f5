#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>
#include <troupe/tests/support/live_set.hpp>

namespace troupe::test::simulation {

/// All that was ever written anywhere.
class oracle {
public:
  void wrote(const change_record& record) { all_.emplace(record.dot, record); }
  bool knows(const dot& id) const { return all_.contains(id); }
  const change_record& record(const dot& id) const { return all_.at(id); }

  /// What a replica must hold that has processed just this: those changes without what any of them
  /// observed. Of one incarnation and path only the latest counts: what connects it with those
  /// before may still be on its way.
  live_set expected(const version_vector& processed) const {
    auto expected = live([&](const dot& id) { return processed.covers(id); });
    std::map<std::pair<incarnation_id, std::string>, std::uint64_t> latest;
    for (const auto& [id, record] : all_)
      if (processed.covers(id)) latest[{{id.origin, id.incarnation}, record.path.text()}] = id.seq;
    for (auto& [where, dots] : expected)
      std::erase_if(dots, [&](const dot& id) {
        return id.seq < latest.at({{id.origin, id.incarnation}, where});
      });
    std::erase_if(expected, [](const auto& each) { return each.second.empty(); });
    return expected;
  }
  /// What all must hold in the end: what is on a disk somewhere, without what any of that observed.
  live_set expected_in_the_end(const std::set<dot>& stored) const {
    return live([&](const dot& id) { return stored.contains(id); });
  }

private:
  template <class Counts>
  live_set live(const Counts& counts) const {
    std::set<dot> observed;
    for (const auto& [id, record] : all_)
      if (counts(id)) observed.insert(record.observed.begin(), record.observed.end());
    live_set live;
    for (const auto& [id, record] : all_)
      if (counts(id) && !observed.contains(id)) live[record.path.text()].insert(id);
    return live;
  }

  std::map<dot, change_record> all_;
};

}  // namespace troupe::test::simulation
