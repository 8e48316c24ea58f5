#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/tree/sibling.hpp>

namespace troupe {

/// The siblings that a path is to have: copies of ones from the tree, which is about to change, and
/// a new one. Usually the new one alone, without an allocation.
class kept_siblings {
public:
  /// Keeps a copy of one from the tree, in its order.
  void keep(sibling each) {
    auto& texts = texts_.emplace_back(std::make_unique_for_overwrite<char[]>(
        each.principal.size() + each.value_bytes.size() + each.counts.size()));
    auto* next = texts.get();
    for (auto* text : {&each.principal, &each.value_bytes, &each.counts}) {
      auto* const end = std::copy(text->begin(), text->end(), next);
      *text = {next, end};
      next = end;
    }
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
  std::vector<std::unique_ptr<char[]>> texts_;  ///< Of the kept ones.
};

}  // namespace troupe
