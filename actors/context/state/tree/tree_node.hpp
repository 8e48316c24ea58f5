#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/sibling.hpp>
#include <troupe/messages/context.hpp>

namespace troupe {

/// A node of `context_tree`: a `packed_leaf` (level 0) or an `inner_node`.
struct tree_node {
  explicit tree_node(std::uint32_t level_of_node) noexcept : level(level_of_node) {}
  tree_node(const tree_node&) = delete;
  tree_node& operator=(const tree_node&) = delete;

  bool is_leaf() const noexcept { return level == 0; }

  std::atomic<std::uint32_t> references{1};
  const std::uint32_t level;

protected:
  ~tree_node() = default;
};

/// A counted reference to a node. Unlike `std::shared_ptr` it is one word, and it knows with
/// acquire order whether it is the only reference, which makes changes in place safe.
class tree_node_ptr {
public:
  tree_node_ptr() = default;
  /// Owns a new node that has no other reference.
  explicit tree_node_ptr(tree_node* fresh) noexcept : node_(fresh) {}
  tree_node_ptr(const tree_node_ptr& other) noexcept : node_(other.node_) {
    if (node_) node_->references.fetch_add(1, std::memory_order_relaxed);
  }
  tree_node_ptr(tree_node_ptr&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  tree_node_ptr& operator=(tree_node_ptr other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~tree_node_ptr() {
    if (node_ && node_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(node_);
  }

  const tree_node* get() const noexcept { return node_; }
  const tree_node& operator*() const noexcept { return *node_; }
  const tree_node* operator->() const noexcept { return node_; }
  explicit operator bool() const noexcept { return node_ != nullptr; }

  /// The node for changing. Copies the node first if this is not its only reference. Every
  /// reference from the root to here must have been made unique before.
  tree_node& unique() {
    if (node_->references.load(std::memory_order_acquire) != 1) *this = tree_node_ptr{copy(*node_)};
    return *node_;
  }

private:
  static tree_node* copy(const tree_node& node);
  static void destroy(tree_node* node) noexcept;

  tree_node* node_ = nullptr;
};

/// Count and hash sum of a range of entries.
struct tree_summary {
  std::uint64_t count = 0;
  state_hash hash;
  std::uint64_t tombstones =
      0;                      ///< Entries that are nothing but a tombstone, see `is_collectable`.
  state_hash tombstone_hash;  ///< Of those.

  /// Of one entry. O(bytes).
  static tree_summary of(std::string_view path, std::span<const sibling> siblings);
  /// The sum without the tombstones that are to be collected: equal on replicas with equal
  /// siblings, whichever tombstones each has collected.
  state_hash lasting_hash() const noexcept { return subtract(hash, tombstone_hash); }

  tree_summary& operator+=(const tree_summary& other) noexcept;
  tree_summary& operator-=(const tree_summary& other) noexcept;
  friend bool operator==(const tree_summary&, const tree_summary&) = default;
};

/// One child of an inner node.
struct tree_child {
  /// Not after any key of this child, and after every key of the child before. Need not be a path.
  std::string low;
  tree_node_ptr node;
  tree_summary summary;
};

/// The bounds of the children of a node in a form that is searched quickly: what they have in
/// common once, and the next eight bytes of each as one number. Made anew whenever they change.
class child_index {
public:
  child_index() = default;
  explicit child_index(const std::vector<tree_child>& children);

  /// The child that holds a key, if any does: the last one whose bound is not behind the key. The
  /// first child has no bound. O(log children).
  std::size_t find(const std::vector<tree_child>& children, std::string_view key) const noexcept;

private:
  std::string common_;                ///< To all bounds.
  std::vector<std::uint64_t> heads_;  ///< Of the second child, the third, …
};

/// A node with children of the level below.
struct inner_node final : tree_node {
  static constexpr std::size_t max_children = 64;
  /// Children with fewer are joined with a neighbour that has room.
  static constexpr std::size_t few_children = 8;
  static constexpr std::size_t roomy_children = 48;

  explicit inner_node(std::uint32_t level_of_node) noexcept : tree_node(level_of_node) {}
  inner_node(const inner_node& other)
      : tree_node(other.level), children(other.children), index(other.index) {}

  std::vector<tree_child> children;
  child_index index;
};

}  // namespace troupe
