#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include <troupe/actors/context/state/tree/packed_leaf.hpp>
#include <troupe/actors/context/state/tree/tree_entry.hpp>
#include <troupe/actors/context/state/tree/tree_node.hpp>
#include <troupe/messages/context.hpp>

namespace troupe {

/// The context as data: paths and their siblings in an ordered, persistent B+tree whose leaves are
/// packed bytes, see `packed_leaf`. (Ordered by segments, see path_order.hpp. On copy-on-write
/// B-trees: Rodeh, "B-trees, Shadowing, and Clones", 2008.)
///
/// A tree is a value. A snapshot is a copy of constant size: both copies share every node.
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
  /// Called for each entry. Returns whether to go on. The entry is valid during the call.
  using visitor = std::function<bool(const tree_entry&)>;
  /// Called for each path that differs, with null for a side without an entry. Returns whether to
  /// go on. The entries are valid during the call.
  using difference_visitor = std::function<bool(const tree_entry* before, const tree_entry* after)>;

  /// Of one path.
  static constexpr std::size_t max_siblings = packed_leaf::max_siblings;

  /// Empty.
  context_tree() = default;
  /// A snapshot. O(1). Moving is copying, so a moved-from tree is still valid.
  context_tree(const context_tree&) = default;
  context_tree& operator=(const context_tree&) = default;
  ~context_tree() = default;

  std::size_t size() const noexcept { return static_cast<std::size_t>(total_.count); }
  bool empty() const noexcept { return size() == 0; }
  /// Sum of `entry_hash` over all entries but tombstones that are to be collected. Equal on
  /// replicas with equal siblings, whatever the order of changes and the tombstones that are
  /// collected.
  state_hash hash() const noexcept { return total_.lasting_hash(); }
  /// Count and hash of all. O(1).
  const tree_summary& summary() const noexcept { return total_; }
  /// Count and hash of `top` and everything below it. O(log n).
  tree_summary subtree(const path& top) const;
  /// Count and hash of the paths from `first` on up to but without `last`, in tree order. O(log n).
  tree_summary range(const path& first, const path& last) const;

  /// The entry at this path. Valid until the tree changes, and as long as `where`. O(log n).
  std::optional<tree_entry> find(const path& where) const;
  /// The path of the entry at this place in tree order. @param at less than `size`. O(log n).
  path path_at(std::size_t at) const;
  /// Changes the entry at this path: `change` gets the siblings that it has, none when there is no
  /// entry, and returns the ones that it is to have, none to remove it. O(log n).
  ///
  /// The ones that it gets are valid until it returns. The ones that it returns are sorted by
  /// `sibling::earlier`, at most `max_siblings`, and no views into this tree.
  using changer = std::function<std::span<const sibling>(std::span<const sibling>)>;
  void change(const path& where, const changer& change);
  /// Adds the entry or replaces it. O(log n). @param siblings at least one; as for `change`.
  void put(const path& where, std::span<const sibling> siblings);
  /// Removes the entry; false when there is none. O(log n).
  bool erase(const path& where);

  /// Visits in order from the first path that is not before `from`. O(log n + visited).
  void visit_from(const path& from, const visitor& visit) const;
  /// Visits the entries that are nothing but a tombstone to collect, in order, from the first path
  /// that is not before `from`. O(log n + visited * log n).
  void visit_tombstones(const path& from, const visitor& visit) const;
  /// Visits `top`, if it has an entry, and everything below it in order. O(log n + visited).
  void visit_subtree(const path& top, const visitor& visit) const;

  /// Visits in order every path whose siblings differ. Skips nodes that both trees share, so
  /// comparing a tree with its snapshot costs O(differences * log n).
  static void diff(const context_tree& before, const context_tree& after,
                   const difference_visitor& visit);

  /// Recomputes all counts and hashes and checks order, size and depth. O(n).
  /// @returns corrupt_data naming the defect.
  result<void> verify() const;

private:
  tree_node_ptr root_;
  tree_summary total_;
  latest_names names_;
};

}  // namespace troupe
