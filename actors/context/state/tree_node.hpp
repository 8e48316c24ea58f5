#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/sibling.hpp>

namespace troupe {

/// Count and hash sum of a range of entries.
struct tree_summary {
  std::uint64_t count = 0;
  state_hash hash;

  tree_summary& operator+=(const tree_summary& other) noexcept {
    count += other.count;
    hash = add(hash, other.hash);
    return *this;
  }
  tree_summary& operator-=(const tree_summary& other) noexcept {
    count -= other.count;
    hash = subtract(hash, other.hash);
    return *this;
  }
  friend bool operator==(const tree_summary&, const tree_summary&) = default;
};

struct tree_node;

/// A counted reference to a node of `context_tree`. Unlike `std::shared_ptr` it is one word, and it
/// knows with acquire order whether it is the only reference, which makes changes in place safe.
class tree_node_ptr {
public:
  tree_node_ptr() = default;
  /// Owns a new node that has no other reference.
  explicit tree_node_ptr(tree_node* fresh) noexcept : node_(fresh) {}
  tree_node_ptr(const tree_node_ptr& other) noexcept;
  tree_node_ptr(tree_node_ptr&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  tree_node_ptr& operator=(tree_node_ptr other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~tree_node_ptr();

  const tree_node* get() const noexcept { return node_; }
  const tree_node& operator*() const noexcept { return *node_; }
  const tree_node* operator->() const noexcept { return node_; }
  explicit operator bool() const noexcept { return node_ != nullptr; }

  /// The node for changing. Copies the node first if this is not its only reference. Every
  /// reference from the root to here must have been made unique before.
  tree_node& unique();

private:
  tree_node* node_ = nullptr;
};

/// One child of an inner node.
struct tree_child {
  /// Not after any key of this child, and after every key of the child before.
  std::string low;
  tree_node_ptr node;
  tree_summary summary;
};

/// A leaf (`level` 0) with entries, or an inner node with children of the level below. The other
/// list is empty.
struct tree_node {
  static constexpr std::size_t max_items = 32;
  static constexpr std::size_t min_items = max_items / 2 - 1;  ///< Only the root may hold fewer.

  explicit tree_node(std::uint32_t level_of_node) noexcept : level(level_of_node) {}
  tree_node(const tree_node& other)
      : level(other.level), entries(other.entries), children(other.children) {}
  tree_node& operator=(const tree_node&) = delete;

  bool is_leaf() const noexcept { return level == 0; }
  std::size_t items() const noexcept { return is_leaf() ? entries.size() : children.size(); }

  std::atomic<std::uint32_t> references{1};
  std::uint32_t level;
  std::vector<tree_entry> entries;
  std::vector<tree_child> children;
};

inline tree_node_ptr::tree_node_ptr(const tree_node_ptr& other) noexcept : node_(other.node_) {
  if (node_) node_->references.fetch_add(1, std::memory_order_relaxed);
}

inline tree_node_ptr::~tree_node_ptr() {
  if (node_ && node_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node_;
}

inline tree_node& tree_node_ptr::unique() {
  if (node_->references.load(std::memory_order_acquire) != 1)
    *this = tree_node_ptr{new tree_node{*node_}};
  return *node_;
}

}  // namespace troupe
