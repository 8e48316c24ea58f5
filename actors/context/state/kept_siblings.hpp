#pragma once

#include <algorithm>
#include <forward_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/tree/sibling.hpp>

namespace troupe {

/// The siblings that a path is to have: copies of ones from the tree, which is about to change, and
/// a new one. Usually the new one alone, without an allocation.
class kept_siblings {
public:
  /// Keeps a copy of one from the tree, in its order.
  void keep(sibling each) {
    each.principal = texts_.emplace_front(each.principal);
    each.value_bytes = texts_.emplace_front(each.value_bytes);
    if (!each.counts.empty()) each.counts = texts_.emplace_front(each.counts);
    several_.push_back(each);
  }
  /// Adds the new one, a view, in its place. At most once, after all others are kept.
  void add(const sibling& each) {
    if (several_.empty())
      only_ = each;
    else
      several_.insert(std::ranges::upper_bound(several_, each, sibling::earlier), each);
  }
  std::span<const sibling> all() const noexcept {
    if (only_) return {&*only_, 1};
    return several_;
  }

private:
  std::optional<sibling> only_;
  std::vector<sibling> several_;
  std::forward_list<std::string> texts_;  ///< Do not move.
};

}  // namespace troupe
