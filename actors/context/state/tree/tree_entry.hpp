#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/tree/sibling.hpp>

namespace troupe {

/// One path of the tree with its siblings, as views into the tree.
class tree_entry {
public:
  /// The text of the path.
  std::string_view path() const noexcept { return path_; }
  /// Sorted by `sibling::earlier`. Never empty. One, without conflict.
  std::span<const sibling> siblings() const noexcept {
    return all_.empty() ? std::span<const sibling>{&only_, 1} : std::span<const sibling>{all_};
  }

  friend bool operator==(const tree_entry& a, const tree_entry& b) {
    return a.path_ == b.path_ && std::ranges::equal(a.siblings(), b.siblings());
  }

private:
  friend class packed_leaf;

  std::string_view path_;
  sibling only_;
  std::vector<sibling> all_;  ///< All siblings, when there are two or more; usually no allocation.
};

}  // namespace troupe
