#pragma once

#include <map>
#include <set>
#include <string>

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

}  // namespace troupe::test
