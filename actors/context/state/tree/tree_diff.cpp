// Comparing two trees, and checking one.

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/node_search.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>

namespace troupe {

namespace {

// -- comparing ------------------------------------------------------------------------------------

/// The rest of a tree while two are walked side by side: whole nodes until a difference forces one
/// open.
class pending_items {
public:
  explicit pending_items(const tree_node* root) {
    if (root) push({root, whole});
  }
  bool empty() const noexcept { return items_.empty(); }
  bool is_node() const noexcept { return items_.back().at == whole; }
  const tree_node* node() const noexcept { return items_.back().node; }
  /// 0 for an entry.
  std::uint32_t height() const noexcept { return is_node() ? node()->level + 1 : 0; }
  /// The first key of the next item.
  const std::string& key() {
    if (!std::exchange(knows_key_, true)) {
      const auto* first = node();
      while (!first->is_leaf()) first = inner_of(*first).children.front().node.get();
      leaf_of(*first).read_key(is_node() ? 0 : items_.back().at, key_);
    }
    return key_;
  }
  /// The next item, an entry.
  const tree_entry& entry() {
    leaf_of(*node()).read(items_.back().at, key(), entry_);
    return entry_;
  }

  void pop() noexcept {
    items_.pop_back();
    knows_key_ = false;
  }
  /// Replaces the next item, a node, by its items.
  void open() {
    const auto& opened = *node();
    pop();
    if (opened.is_leaf())
      for (auto i = leaf_of(opened).size(); i-- > 0;) push({&opened, i});
    else
      for (auto i = inner_of(opened).children.size(); i-- > 0;)
        push({inner_of(opened).children[i].node.get(), whole});
  }

private:
  static constexpr std::size_t whole = ~std::size_t{0};
  struct item {
    const tree_node* node;
    std::size_t at;  ///< An entry of the leaf, or `whole`.
  };

  void push(item next) {
    items_.push_back(next);
    knows_key_ = false;
  }

  std::vector<item> items_;
  bool knows_key_ = false;
  std::string key_;
  tree_entry entry_;
};

/// Opens the higher one of two next items, or both. At least one is a node.
void open_higher(pending_items& a, pending_items& b) {
  const auto a_height = a.height(), b_height = b.height();
  if (a_height >= b_height) a.open();
  if (b_height >= a_height) b.open();
}

/// One step when only one side can be next. Returns whether to go on.
template <class Report>
bool step_alone(pending_items& items, const Report& report) {
  if (items.is_node()) return items.open(), true;
  const bool go_on = report(&items.entry());
  items.pop();
  return go_on;
}

// -- verifying ------------------------------------------------------------------------------------

result<void> damaged(std::string what) {
  return fail(error_code::corrupt_data, "the context tree is damaged: " + what);
}

/// A walk through a whole tree that checks it and sums it up.
class tree_check {
public:
  result<tree_summary> check(const tree_node& node, bool is_root) {
    return node.is_leaf() ? check(leaf_of(node)) : check(inner_of(node), is_root);
  }

private:
  result<tree_summary> check(const packed_leaf& leaf) {
    if (leaf.size() == 0 || leaf.is_overfull())
      return fail(damaged("a leaf holds " + std::to_string(leaf.size()) + " entries").error());
    tree_summary total;
    tree_entry entry;
    for (std::size_t i = 0; i < leaf.size(); ++i) {
      leaf.read_key(i, key_);
      leaf.read(i, key_, entry);
      if (any_ && compare_paths(last_, key_) >= 0)
        return fail(damaged("'" + key_ + "' follows '" + last_ + "'").error());
      if (compare_paths(key_, low_) < 0)
        return fail(damaged("'" + key_ + "' lies before the bound of its node").error());
      std::swap(last_, key_);
      any_ = true;
      total += tree_summary::of(last_, entry.siblings());
    }
    return total;
  }

  result<tree_summary> check(const inner_node& inner, bool is_root) {
    const auto size = inner.children.size();
    if (size < (is_root ? 2 : 1) || size > inner_node::max_children)
      return fail(damaged("a node holds " + std::to_string(size) + " children").error());
    tree_summary total;
    for (const auto& child : inner.children) {
      if (child.node->level + 1 != inner.level)
        return fail(damaged("behind '" + last_ + "' a level is missing").error());
      if (&child != &inner.children.front()) {
        if (any_ && compare_paths(last_, child.low) >= 0)
          return fail(damaged("'" + last_ + "' lies behind the bound of its node").error());
        low_ = child.low;
      }
      const auto below = check(*child.node, false);
      if (!below) return below;
      if (*below != child.summary)
        return fail(
            damaged("the hash of the node that ends with '" + last_ + "' is wrong").error());
      total += *below;
    }
    return total;
  }

  bool any_ = false;  ///< Whether there was a key.
  std::string last_;  ///< The greatest key so far.
  std::string low_;   ///< The bound of the node that is being checked.
  std::string key_;
};

}  // namespace

void context_tree::diff(const context_tree& before, const context_tree& after,
                        const difference_visitor& visit) {
  const auto removed = [&](const tree_entry* entry) { return visit(entry, nullptr); };
  const auto added = [&](const tree_entry* entry) { return visit(nullptr, entry); };
  pending_items a{before.root_.get()}, b{after.root_.get()};
  for (bool go_on = true; go_on && !(a.empty() && b.empty());) {
    if (b.empty()) {
      go_on = step_alone(a, removed);
    } else if (a.empty()) {
      go_on = step_alone(b, added);
    } else if (a.is_node() && b.is_node()) {
      if (a.node() == b.node()) {
        a.pop();
        b.pop();
      } else {
        open_higher(a, b);
      }
    } else if (const auto order = compare_paths(a.key(), b.key()); order < 0 && !a.is_node()) {
      go_on = step_alone(a, removed);
    } else if (order > 0 && !b.is_node()) {
      go_on = step_alone(b, added);
    } else if (a.is_node() || b.is_node()) {
      open_higher(a, b);
    } else {
      const auto &left = a.entry(), &right = b.entry();
      go_on = left == right || visit(&left, &right);
      a.pop();
      b.pop();
    }
  }
}

result<void> context_tree::verify() const {
  if (!root_)
    return total_ == tree_summary{} ? result<void>{} : damaged("it is empty and has a hash");
  const auto total = tree_check{}.check(*root_, true);
  if (!total) return fail(total.error());
  if (*total != total_) return damaged("the root hash is wrong");
  return {};
}

}  // namespace troupe
