#pragma once

#include <algorithm>
#include <cstddef>
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
  /// Keeps copies of those from the tree that are to stay, in their order. At most once.
  /// @param stays called with each sibling.
  template <class Stays>
  void keep(std::span<const sibling> before, const Stays& stays) {
    std::size_t bytes = 0;
    for (const auto& each : before) {
      if (!stays(each)) continue;
      if (several_.empty()) several_.reserve(before.size() + 1);
      several_.push_back(each);
      bytes += each.principal.size() + each.value_bytes.size() + each.counts.size();
    }
    if (bytes > 0) texts_ = std::make_unique_for_overwrite<char[]>(bytes);
    auto* next = texts_.get();
    for (auto& each : several_)
      for (auto* text : {&each.principal, &each.value_bytes, &each.counts}) {
        auto* const end = std::copy(text->begin(), text->end(), next);
        *text = {next, end};
        next = end;
      }
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
  std::unique_ptr<char[]> texts_;  ///< Of the kept ones.
};

}  // namespace troupe
