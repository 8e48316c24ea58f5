#include <troupe/actors/context/sync/tree_ranges.hpp>

#include <troupe/actors/context/state/tree/path_order.hpp>

namespace troupe {

bool is_path(const std::string& text) {
  const auto parsed = path::parse(text);
  return parsed && parsed->text() == text;
}

bool is_range(const tree_range& range) {
  return is_path(range.from) && is_path(range.to) &&
         (range.to.empty() || compare_paths(range.from, range.to) < 0);
}

range_sum sum_of(const context_tree& tree, const path& from, const path& to) {
  auto sum = to.text().empty() ? tree.summary() : tree.range(from, to);
  if (to.text().empty()) sum -= tree.range(path{}, from);
  return {sum.count, sum.hash};
}

tree_range range_in(const context_tree& tree, const path& from, const path& to) {
  const auto sum = sum_of(tree, from, to);
  return {from.text(), to.text(), sum.count, sum.hash};
}

void visit_range(const context_tree& tree, const path& from, const path& to,
                 const context_tree::visitor& visit) {
  tree.visit_from(from, [&](const tree_entry& entry) {
    const bool is_inside = to.text().empty() || compare_paths(entry.path(), to.text()) < 0;
    return is_inside && visit(entry);
  });
}

}  // namespace troupe
