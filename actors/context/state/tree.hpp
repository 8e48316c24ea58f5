#pragma once

#include <cstddef>
#include <functional>

#include <troupe/actors/context/state/sibling.hpp>
#include <troupe/actors/context/state/tree_node.hpp>
#include <troupe/messages/context.hpp>

namespace troupe {

/// The context as data: paths and their siblings in an ordered, persistent B+tree. (Ordered by
/// segments, see path_order.hpp. On copy-on-write B-trees: Rodeh, "B-trees, Shadowing, and Clones",
/// 2008.)
///
/// A tree is a value. Copying it copies one pointer, and that is all a snapshot is: both copies
/// share every node, and whichever changes first makes its own copy of the nodes on the way to the
/// change. A node that nobody shares is changed in place.
///
/// Threads: one tree object belongs to one thread at a time, like any value. Copies of it may be
/// read, changed and destroyed on other threads meanwhile, without a lock. This holds because a
/// node is changed only when its reference count, read from the root down, is one at every step: a
/// count of one below a shared parent would prove nothing, as the other owner reaches the node
/// through that parent. Only the owner can make new references to a node that it alone reaches, so
/// a count of one cannot rise behind its back; and the count is read with acquire order, so
/// whatever another thread read before it let go is over by then.
///
/// Every parent knows count and hash sum of each child, so both cost O(log n) for any range.
class context_tree {
public:
  /// Called for each entry; returns whether to go on. The entry is valid until the tree changes.
  using visitor = std::function<bool(const tree_entry&)>;
  /// Called for each path that differs, with null where a side has no entry; returns whether to go
  /// on.
  using difference_visitor = std::function<bool(const tree_entry* before, const tree_entry* after)>;

  /// Empty.
  context_tree() = default;
  /// A snapshot. O(1). Moving is copying, so that no tree is ever left without meaning.
  context_tree(const context_tree&) = default;
  context_tree& operator=(const context_tree&) = default;
  ~context_tree() = default;

  std::size_t size() const noexcept { return static_cast<std::size_t>(total_.count); }
  bool empty() const noexcept { return size() == 0; }
  /// Sum of `entry_hash` over all entries; equal on replicas whose siblings are equal, whatever the
  /// order of changes.
  state_hash hash() const noexcept { return total_.hash; }
  /// Count and hash of `top` and everything below it. O(log n).
  tree_summary subtree(const path& top) const;
  /// Count and hash of the paths from `first` on up to but without `last`, in tree order. O(log n).
  tree_summary range(const path& first, const path& last) const;

  /// The entry at this path, or null. Valid until the tree changes. O(log n).
  const tree_entry* find(const path& where) const noexcept;
  /// Adds the entry or replaces it. O(log n).
  void put(const path& where, sibling_list siblings);
  /// Removes the entry; false when there is none. O(log n).
  bool erase(const path& where);

  /// Visits in order from the first path that is not before `from`. O(log n + visited).
  void visit_from(const path& from, const visitor& visit) const;
  /// Visits `top`, if it has an entry, and everything below it in order. O(log n + visited).
  void visit_subtree(const path& top, const visitor& visit) const;

  /// Visits in order every path whose siblings differ. Nodes that both trees share are skipped
  /// whole, so for a snapshot and what became of it the cost is O(differences * log n).
  static void diff(const context_tree& before, const context_tree& after,
                   const difference_visitor& visit);

  /// Recomputes everything that is kept incrementally and checks order, fill and depth. O(n).
  /// @returns corrupt_data naming what is wrong.
  result<void> verify() const;

private:
  tree_node_ptr root_;
  tree_summary total_;
};

}  // namespace troupe
