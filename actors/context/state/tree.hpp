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
/// A tree is a value. A snapshot is a copy, which costs one pointer: both copies share every node.
/// A change first copies the shared nodes on its path from the root. A node with one owner is
/// changed in place.
///
/// Threads: one tree object belongs to one thread at a time, like any value. Other threads may
/// read, change and destroy copies of it meanwhile, without a lock. A node is changed only when
/// every reference count from the root down to it is one. (A count of one below a shared parent
/// proves nothing: another owner reaches the node through that parent.) Only the sole owner can add
/// references, so a count of one cannot rise meanwhile. The count is read with acquire order, so
/// the reads of other threads that have let go are over.
///
/// Every parent knows the count and hash sum of each child, so both cost O(log n) for any range.
class context_tree {
public:
  /// Called for each entry. Returns whether to go on. The entry is valid until the tree changes.
  using visitor = std::function<bool(const tree_entry&)>;
  /// Called for each path that differs, with null for a side without an entry. Returns whether to
  /// go on.
  using difference_visitor = std::function<bool(const tree_entry* before, const tree_entry* after)>;

  /// Empty.
  context_tree() = default;
  /// A snapshot. O(1). Moving is copying, so a moved-from tree is still valid.
  context_tree(const context_tree&) = default;
  context_tree& operator=(const context_tree&) = default;
  ~context_tree() = default;

  std::size_t size() const noexcept { return static_cast<std::size_t>(total_.count); }
  bool empty() const noexcept { return size() == 0; }
  /// Sum of `entry_hash` over all entries. Equal on replicas with equal siblings, whatever the
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

  /// Visits in order every path whose siblings differ. Skips nodes that both trees share, so
  /// comparing a tree with its snapshot costs O(differences * log n).
  static void diff(const context_tree& before, const context_tree& after,
                   const difference_visitor& visit);

  /// Recomputes all counts and hashes and checks order, fill and depth. O(n).
  /// @returns corrupt_data naming the defect.
  result<void> verify() const;

private:
  tree_node_ptr root_;
  tree_summary total_;
};

}  // namespace troupe
