#include <troupe/actors/context/state/tree.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>

#include <troupe/actors/context/state/path_order.hpp>

namespace troupe {

namespace {

bool is_before(std::string_view a, std::string_view b) noexcept { return compare_paths(a, b) < 0; }

std::string_view key_of(const tree_entry& entry) noexcept { return entry.path.text(); }
std::string_view key_of(const tree_child& child) noexcept { return child.low; }

tree_summary summary_of(const tree_entry& entry) {
  return {1, entry_hash(key_of(entry), entry.siblings.all())};
}

tree_summary summary_of(const tree_node& node) {
  tree_summary total;
  for (const auto& entry : node.entries) total += summary_of(entry);
  for (const auto& child : node.children) total += child.summary;
  return total;
}

// -- finding --------------------------------------------------------------------------------------

/// The position of the first entry for which `before`, true for a prefix of all keys, is false.
template <class Before>
std::size_t boundary_in_leaf(const tree_node& leaf, const Before& before) {
  const auto end =
      std::partition_point(leaf.entries.begin(), leaf.entries.end(),
                           [&](const tree_entry& entry) { return before(key_of(entry)); });
  return static_cast<std::size_t>(end - leaf.entries.begin());
}

/// The child in which that boundary lies. The first child has no lower bound of its own.
template <class Before>
std::size_t boundary_child(const tree_node& inner, const Before& before) {
  const auto end =
      std::partition_point(inner.children.begin() + 1, inner.children.end(),
                           [&](const tree_child& child) { return before(key_of(child)); });
  return static_cast<std::size_t>(end - inner.children.begin()) - 1;
}

/// The child that holds `key`, if any does.
std::size_t child_for(const tree_node& inner, std::string_view key) {
  return boundary_child(inner, [&](std::string_view low) { return !is_before(key, low); });
}

std::size_t place_in_leaf(const tree_node& leaf, std::string_view key) {
  return boundary_in_leaf(leaf, [&](std::string_view each) { return is_before(each, key); });
}

/// Sums up all entries for which `before` holds.
template <class Before>
tree_summary summary_before(const tree_node* node, const Before& before) {
  tree_summary total;
  while (node) {
    if (node->is_leaf()) {
      const auto end = boundary_in_leaf(*node, before);
      for (std::size_t i = 0; i < end; ++i) total += summary_of(node->entries[i]);
      return total;
    }
    const auto end = boundary_child(*node, before);
    for (std::size_t i = 0; i < end; ++i) total += node->children[i].summary;
    node = node->children[end].node.get();
  }
  return total;
}

/// Returns whether to go on.
bool visit_node(const tree_node& node, std::string_view from, const context_tree::visitor& visit) {
  if (node.is_leaf()) {
    for (auto i = place_in_leaf(node, from); i < node.entries.size(); ++i)
      if (!visit(node.entries[i])) return false;
    return true;
  }
  // Only the first child can hold keys before `from`; the comparisons in the others end at once.
  for (auto i = child_for(node, from); i < node.children.size(); ++i)
    if (!visit_node(*node.children[i].node, from, visit)) return false;
  return true;
}

// -- changing -------------------------------------------------------------------------------------

template <class Item>
std::vector<Item> move_tail(std::vector<Item>& items, std::size_t from) {
  const auto middle = items.begin() + static_cast<std::ptrdiff_t>(from);
  std::vector<Item> tail{std::make_move_iterator(middle), std::make_move_iterator(items.end())};
  items.erase(middle, items.end());
  items.shrink_to_fit();
  return tail;
}

/// Moves the upper half of an overfull node into a new one, which becomes the next child of the
/// same parent.
tree_child split(tree_node& node) {
  auto upper = tree_node_ptr{new tree_node{node.level}};
  auto& fresh = upper.unique();
  if (node.is_leaf()) {
    fresh.entries = move_tail(node.entries, node.entries.size() / 2);
  } else {
    fresh.children = move_tail(node.children, node.children.size() / 2);
  }
  std::string low{node.is_leaf() ? key_of(fresh.entries.front()) : key_of(fresh.children.front())};
  const auto summary = summary_of(fresh);
  return {std::move(low), std::move(upper), summary};
}

struct put_outcome {
  tree_summary removed, added;
  std::optional<tree_child> split_off;
};

put_outcome put_into(tree_node_ptr& where, const path& key, sibling_list&& siblings) {
  auto& node = where.unique();
  put_outcome outcome;
  if (node.is_leaf()) {
    const auto at =
        node.entries.begin() + static_cast<std::ptrdiff_t>(place_in_leaf(node, key.text()));
    outcome.added = {1, entry_hash(key.text(), siblings.all())};
    if (at != node.entries.end() && at->path == key) {
      outcome.removed = summary_of(*at);
      at->siblings = std::move(siblings);
    } else {
      node.entries.insert(at, tree_entry{key, std::move(siblings)});
    }
  } else {
    const auto i = child_for(node, key.text());
    outcome = put_into(node.children[i].node, key, std::move(siblings));
    auto& summary = node.children[i].summary;
    summary += outcome.added;
    summary -= outcome.removed;
    if (outcome.split_off) {
      summary -= outcome.split_off->summary;
      node.children.insert(node.children.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                           std::move(*outcome.split_off));
      outcome.split_off.reset();
    }
  }
  if (node.items() > tree_node::max_items) outcome.split_off = split(node);
  return outcome;
}

template <class Item>
void append(std::vector<Item>& to, std::vector<Item>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  from.clear();
}

/// Joins the children `i` and `i + 1`, and splits them in the middle if one node cannot hold both.
void rebalance(tree_node& parent, std::size_t i) {
  auto& left = parent.children[i];
  auto& right = parent.children[i + 1];
  auto& into = left.node.unique();
  auto& from = right.node.unique();
  if (!from.is_leaf()) from.children.front().low = right.low;
  append(into.entries, from.entries);
  append(into.children, from.children);
  left.summary += right.summary;
  if (into.items() > tree_node::max_items) {
    right = split(into);
    left.summary -= right.summary;
  } else {
    parent.children.erase(parent.children.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

/// Removes an existing key.
tree_summary erase_from(tree_node_ptr& where, std::string_view key) {
  auto& node = where.unique();
  if (node.is_leaf()) {
    const auto at = node.entries.begin() + static_cast<std::ptrdiff_t>(place_in_leaf(node, key));
    const auto removed = summary_of(*at);
    node.entries.erase(at);
    return removed;
  }
  const auto i = child_for(node, key);
  const auto removed = erase_from(node.children[i].node, key);
  node.children[i].summary -= removed;
  if (node.children[i].node->items() < tree_node::min_items) rebalance(node, i > 0 ? i - 1 : i);
  return removed;
}

// -- comparing ------------------------------------------------------------------------------------

/// The rest of a tree while two are walked side by side: whole nodes until a difference forces one
/// open.
class pending_items {
public:
  struct item {
    const tree_node* node;  ///< Null for an entry.
    const tree_entry* entry;
  };

  explicit pending_items(const tree_node* root) {
    if (root) items_.push_back({root, nullptr});
  }
  bool empty() const noexcept { return items_.empty(); }
  const item& next() const noexcept { return items_.back(); }
  void pop() noexcept { items_.pop_back(); }
  /// Replaces the next item, a node, by its items.
  void open() {
    const auto& node = *next().node;
    pop();
    for (auto i = node.entries.size(); i-- > 0;) items_.push_back({nullptr, &node.entries[i]});
    for (auto i = node.children.size(); i-- > 0;)
      items_.push_back({node.children[i].node.get(), nullptr});
  }

private:
  std::vector<item> items_;
};

std::string_view first_key(const tree_node& top) {
  const auto* node = &top;
  while (!node->is_leaf()) node = node->children.front().node.get();
  return key_of(node->entries.front());
}

std::string_view first_key(const pending_items::item& item) {
  return item.entry ? key_of(*item.entry) : first_key(*item.node);
}

/// Opens the higher one of two next items, or both. At least one is a node.
void open_higher(pending_items& a, pending_items& b) {
  const auto height = [](const pending_items& items) {
    return items.next().node ? items.next().node->level + 1 : 0;
  };
  const auto a_height = height(a), b_height = height(b);
  if (a_height >= b_height) a.open();
  if (b_height >= a_height) b.open();
}

/// One step when only one side can be next. Returns whether to go on.
template <class Report>
bool step_alone(pending_items& items, const Report& report) {
  if (items.next().node) return items.open(), true;
  const auto* entry = items.next().entry;
  items.pop();
  return report(entry);
}

// -- verifying ------------------------------------------------------------------------------------

result<void> damaged(std::string what) {
  return fail(error_code::corrupt_data, "the context tree is damaged: " + what);
}

/// Checks a subtree and sums it up. `last` is the greatest key so far, or null at the start.
result<tree_summary> verify_node(const tree_node& node, bool is_root, const std::string*& last) {
  if (node.items() > tree_node::max_items || (!is_root && node.items() < tree_node::min_items))
    return fail(damaged("a node holds " + std::to_string(node.items()) + " items").error());
  tree_summary total;
  for (const auto& entry : node.entries) {
    if (last && !is_before(*last, key_of(entry)))
      return fail(damaged("'" + entry.path.text() + "' follows '" + *last + "'").error());
    last = &entry.path.text();
    total += summary_of(entry);
  }
  for (const auto& child : node.children) {
    if (child.node->level + 1 != node.level)
      return fail(damaged("below '" + child.low + "' a level is missing").error());
    if (&child != &node.children.front() && last && !is_before(*last, child.low))
      return fail(damaged("'" + *last + "' lies before its bound '" + child.low + "'").error());
    if (&child != &node.children.front() && is_before(first_key(*child.node), child.low))
      return fail(damaged("'" + std::string{first_key(*child.node)} + "' lies before its bound '" +
                          child.low + "'")
                      .error());
    auto below = verify_node(*child.node, false, last);
    if (!below) return below;
    if (*below != child.summary)
      return fail(damaged("the hash below '" + child.low + "' is wrong").error());
    total += *below;
  }
  return total;
}

}  // namespace

tree_summary context_tree::subtree(const path& top) const {
  auto total = summary_before(root_.get(), [&](std::string_view key) {
    return is_before(key, top.text()) || is_within(top.text(), key);
  });
  total -=
      summary_before(root_.get(), [&](std::string_view key) { return is_before(key, top.text()); });
  return total;
}

tree_summary context_tree::range(const path& first, const path& last) const {
  if (!is_before(first.text(), last.text())) return {};
  auto total = summary_before(root_.get(),
                              [&](std::string_view key) { return is_before(key, last.text()); });
  total -= summary_before(root_.get(),
                          [&](std::string_view key) { return is_before(key, first.text()); });
  return total;
}

const tree_entry* context_tree::find(const path& where) const noexcept {
  const auto* node = root_.get();
  while (node && !node->is_leaf()) node = node->children[child_for(*node, where.text())].node.get();
  if (!node) return nullptr;
  const auto at = place_in_leaf(*node, where.text());
  return at < node->entries.size() && node->entries[at].path == where ? &node->entries[at]
                                                                      : nullptr;
}

void context_tree::put(const path& where, sibling_list siblings) {
  if (!root_) root_ = tree_node_ptr{new tree_node{0}};
  auto outcome = put_into(root_, where, std::move(siblings));
  total_ += outcome.added;
  total_ -= outcome.removed;
  if (!outcome.split_off) return;
  auto left = total_;
  left -= outcome.split_off->summary;
  auto top = tree_node_ptr{new tree_node{root_->level + 1}};
  auto& children = top.unique().children;
  children.push_back({{}, std::move(root_), left});
  children.push_back(std::move(*outcome.split_off));
  root_ = std::move(top);
}

bool context_tree::erase(const path& where) {
  if (!find(where)) return false;
  total_ -= erase_from(root_, where.text());
  if (!root_->is_leaf() && root_->children.size() == 1) {
    auto only = root_->children.front().node;
    root_ = std::move(only);
  }
  if (root_->items() == 0) root_ = {};
  return true;
}

void context_tree::visit_from(const path& from, const visitor& visit) const {
  if (root_) visit_node(*root_, from.text(), visit);
}

void context_tree::visit_subtree(const path& top, const visitor& visit) const {
  visit_from(top, [&](const tree_entry& entry) {
    return is_within(top.text(), entry.path.text()) && visit(entry);
  });
}

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
    } else if (a.next().node && a.next().node == b.next().node) {
      a.pop();
      b.pop();
    } else if (a.next().node && b.next().node) {
      open_higher(a, b);
    } else if (const auto order = compare_paths(first_key(a.next()), first_key(b.next()));
               order < 0 && a.next().entry) {
      go_on = step_alone(a, removed);
    } else if (order > 0 && b.next().entry) {
      go_on = step_alone(b, added);
    } else if (a.next().node || b.next().node) {
      open_higher(a, b);
    } else {
      const auto *left = a.next().entry, *right = b.next().entry;
      a.pop();
      b.pop();
      go_on = *left == *right || visit(left, right);
    }
  }
}

result<void> context_tree::verify() const {
  if (!root_)
    return total_ == tree_summary{} ? result<void>{} : damaged("it is empty and has a hash");
  const std::string* last = nullptr;
  const auto total = verify_node(*root_, true, last);
  if (!total) return fail(total.error());
  if (*total != total_) return damaged("the root hash is wrong");
  return {};
}

}  // namespace troupe
