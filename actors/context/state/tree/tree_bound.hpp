#pragma once

#include <string_view>

#include <troupe/actors/context/state/tree/path_order.hpp>

namespace troupe {

/// A place between paths in tree order: before a path, or behind everything below it.
struct tree_bound {
  std::string_view path;
  bool is_past_subtree = false;

  /// Whether the place lies behind this path.
  bool is_behind(std::string_view key) const noexcept {
    return compare_paths(key, path) < 0 || (is_past_subtree && is_within(path, key));
  }
};

}  // namespace troupe
