#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/context.hpp>

namespace troupe::test {

/// The writes that count at each path, by their dots: what replicas must agree on.
using live_set = std::map<std::string, std::set<dot>>;

/// What a replica holds.
inline live_set live_set_of(const context_tree& tree) {
  live_set live;
  tree.visit_from({}, [&](const tree_entry& entry) {
    for (const auto& each : entry.siblings()) live[std::string{entry.path()}].insert(each.dot);
    return true;
  });
  return live;
}

/// These without some of them.
inline live_set without(live_set all, const std::set<dot>& some) {
  for (auto& [where, dots] : all)
    std::erase_if(dots, [&](const dot& each) { return some.contains(each); });
  std::erase_if(all, [](const auto& each) { return each.second.empty(); });
  return all;
}

/// What must count when these changes, and no others, have been made: those that none of them
/// overwrote. A change overwrites what it names, by dot, content and path. A put or an erasure also
/// overwrites the earlier changes of its own incarnation to its path, an increment the earlier
/// increments.
template <class Changes>
live_set live_set_after(const Changes& all) {
  using place = std::tuple<node_id, std::uint64_t, std::string>;
  std::set<std::tuple<std::string, dot, std::uint64_t>> named;
  std::map<place, std::uint64_t> written, counted;  // the latest of an incarnation at a path
  const auto name = [&](const path& where, const std::vector<observed_change>& changes) {
    for (const auto& each : changes) named.emplace(where.text(), each.dot, each.content);
  };
  const auto place_of = [](const change_record& each) {
    return place{each.dot.origin, each.dot.incarnation, each.path.text()};
  };
  for (const change_record& each : all) {
    name(each.path, each.observed);
    for (const auto& one : each.below) name(one.path, one.changes);
    if (each.operation == operation::erase_subtree) continue;
    auto& seq = (each.operation == operation::increment ? counted : written)[place_of(each)];
    seq = std::max(seq, each.dot.seq);
  }
  live_set live;
  for (const change_record& each : all) {
    const auto seq = each.dot.seq;
    const bool is_latest =
        seq >= written[place_of(each)] &&
        (each.operation != operation::increment || seq >= counted[place_of(each)]);
    if (each.operation == operation::erase_subtree || !is_latest ||
        named.contains({each.path.text(), each.dot, content_hash(each)}))
      continue;
    live[each.path.text()].insert(each.dot);
  }
  return live;
}

}  // namespace troupe::test
