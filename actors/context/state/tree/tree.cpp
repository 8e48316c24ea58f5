#include <troupe/actors/context/state/tree/tree.hpp>

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/tree/node_search.hpp>

namespace troupe {

namespace {

packed_leaf& leaf_of(tree_node& node) noexcept { return static_cast<packed_leaf&>(node); }
inner_node& inner_of(tree_node& node) noexcept { return static_cast<inner_node&>(node); }

// -- reading --------------------------------------------------------------------------------------

/// Sums up all entries before the bound.
tree_summary summary_before(const tree_node* node, const tree_bound& bound) {
  tree_summary total;
  for (; node && !node->is_leaf();) {
    const auto& inner = inner_of(*node);
    const auto end = child_at(inner, bound);
    for (std::size_t i = 0; i < end; ++i) total += inner.children[i].summary;
    node = inner.children[end].node.get();
  }
  if (node) total += summary_of_first(leaf_of(*node), leaf_of(*node).count_before(bound));
  return total;
}

/// Visits the entries that are not before the bound. Returns whether to go on.
bool visit_node(const tree_node& node, const tree_bound& from, const context_tree::visitor& visit) {
  if (node.is_leaf())
    return visit_entries(leaf_of(node), leaf_of(node).count_before(from), leaf_of(node).size(),
                         visit);
  const auto& inner = inner_of(node);
  // Only the first child can hold keys before the bound; the searches in the others end at once.
  for (auto i = child_at(inner, from); i < inner.children.size(); ++i)
    if (!visit_node(*inner.children[i].node, from, visit)) return false;
  return true;
}

/// Visits the entries with a tombstone to collect that are not before the bound. Returns whether to
/// go on.
bool visit_tombstones(const tree_node& node, const tree_bound& from,
                      const context_tree::visitor& visit) {
  if (node.is_leaf())
    return visit_entries(
        leaf_of(node), leaf_of(node).count_before(from), leaf_of(node).size(),
        [&](const tree_entry& entry) { return !is_collectable(entry.siblings()) || visit(entry); });
  const auto& inner = inner_of(node);
  for (auto i = child_at(inner, from); i < inner.children.size(); ++i)
    if (inner.children[i].summary.tombstones > 0 &&
        !visit_tombstones(*inner.children[i].node, from, visit))
      return false;
  return true;
}

// -- changing -------------------------------------------------------------------------------------

/// The shortest text that is behind the last key of one leaf and not behind the first of the next.
std::string separator(const packed_leaf& left, const packed_leaf& right) {
  std::string last, first;
  left.read_key(left.size() - 1, last);
  right.read_key(0, first);
  const auto [end, _] = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
  first.erase(end + 1, first.end());
  return first;
}

/// Where keys come in order, nodes are left full: only what came last is split off.
std::size_t split_place(std::size_t size, std::size_t changed, std::size_t middle) {
  return changed + 1 == size ? changed : middle;
}

/// Splits a leaf. Splits what is still overfull again: a large entry may have come between others.
/// Adds the new leaves, the next children of the same parent, in order.
void split(packed_leaf& leaf, std::size_t place, std::vector<tree_child>& behind) {
  auto& upper = *leaf.split(place).release();
  tree_child part{{}, tree_node_ptr{&upper}, {}};
  part.low = separator(leaf, upper);
  if (leaf.is_overfull()) split(leaf, leaf.middle(), behind);
  behind.push_back(std::move(part));
  if (upper.is_overfull()) split(upper, upper.middle(), behind);
}

void index(inner_node& inner) { inner.index = child_index{inner.children}; }

/// Moves the children from `from` on into a new node, the next child of the same parent.
tree_child split(inner_node& inner, std::size_t from) {
  auto* upper = new inner_node{inner.level};
  tree_node_ptr owner{upper};
  const auto begin = inner.children.begin() + static_cast<std::ptrdiff_t>(from);
  upper->children.assign(std::make_move_iterator(begin),
                         std::make_move_iterator(inner.children.end()));
  inner.children.erase(begin, inner.children.end());
  index(inner);
  index(*upper);
  tree_summary total;
  for (const auto& child : upper->children) total += child.summary;
  return {upper->children.front().low, std::move(owner), total};
}

struct change_outcome {
  tree_summary removed, added;
  std::vector<tree_child> split_off;  ///< In order. Usually none, without an allocation.
};

/// Whether a node should be joined with a neighbour.
bool is_sparse(const tree_node& node) noexcept {
  return node.is_leaf() ? leaf_of(node).is_sparse()
                        : inner_of(node).children.size() < inner_node::few_children;
}

bool has_room_for(const tree_node& left, const tree_node& right) noexcept {
  if (left.is_leaf()) return leaf_of(left).has_room_for(leaf_of(right));
  return inner_of(left).children.size() + inner_of(right).children.size() <=
         inner_node::roomy_children;
}

bool is_empty(const tree_node& node) noexcept {
  return node.is_leaf() ? leaf_of(node).size() == 0 : inner_of(node).children.empty();
}

/// Moves all of the child `i + 1` into the child `i`.
void join(inner_node& parent, std::size_t i, latest_names& names) {
  auto& left = parent.children[i];
  auto& right = parent.children[i + 1];
  auto& into = left.node.unique();
  if (into.is_leaf()) {
    leaf_of(into).append(leaf_of(*right.node), names);
  } else {
    auto& from = inner_of(right.node.unique());
    from.children.front().low = std::move(right.low);
    auto& children = inner_of(into).children;
    children.insert(children.end(), std::make_move_iterator(from.children.begin()),
                    std::make_move_iterator(from.children.end()));
    index(inner_of(into));
  }
  left.summary += right.summary;
  parent.children.erase(parent.children.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  index(parent);
}

/// After a removal from the child `i`.
void tidy(inner_node& parent, std::size_t i, latest_names& names) {
  const auto& child = *parent.children[i].node;
  if (is_empty(child)) {
    parent.children.erase(parent.children.begin() + static_cast<std::ptrdiff_t>(i));
    index(parent);
    return;
  }
  if (!is_sparse(child)) return;
  const auto fits = [&](std::size_t left) {
    return has_room_for(*parent.children[left].node, *parent.children[left + 1].node);
  };
  if (i > 0 && fits(i - 1))
    join(parent, i - 1, names);
  else if (i + 1 < parent.children.size() && fits(i))
    join(parent, i, names);
}

/// A change of one entry, on its way to the leaf.
struct entry_change {
  std::string_view key;
  const context_tree::changer& change;
  latest_names& names;

  change_outcome in(tree_node_ptr& where) const {
    auto& node = where.unique();
    return node.is_leaf() ? in(leaf_of(node)) : in(inner_of(node));
  }

private:
  change_outcome in(packed_leaf& leaf) const {
    change_outcome outcome;
    const auto place = leaf.place_of(key);
    tree_entry entry;
    std::span<const sibling> before;
    if (place.is_taken) {
      leaf.read(place.at, key, entry);
      before = entry.siblings();
      outcome.removed = summary_of(entry);
    }
    const auto after = change(before);
    if (!after.empty()) {
      outcome.added = tree_summary::of(key, after);
      if (leaf.is_too_foreign(key)) {
        outcome.split_off.push_back(put_apart(leaf, place, after));
      } else {
        leaf.put(place, key, after, names);
        if (leaf.is_overfull())
          split(leaf, split_place(leaf.size(), place.at, leaf.middle()), outcome.split_off);
      }
      for (auto& each : outcome.split_off) {
        const auto& part = leaf_of(*each.node);
        each.summary = summary_of_first(part, part.size());
      }
    } else if (place.is_taken) {
      leaf.erase(place.at);
    }
    return outcome;
  }

  /// Puts the entry, which comes before or behind all of the leaf, into a leaf of its own.
  tree_child put_apart(packed_leaf& leaf, leaf_place place, std::span<const sibling> after) const {
    auto& upper = *(place.at == 0 ? leaf.move_all() : std::make_unique<packed_leaf>()).release();
    tree_child part{{}, tree_node_ptr{&upper}, {}};
    (place.at == 0 ? leaf : upper).put({0, false}, key, after, names);
    part.low = separator(leaf, upper);
    return part;
  }

  change_outcome in(inner_node& inner) const {
    const auto i = child_for(inner, key);
    auto outcome = in(inner.children[i].node);
    auto& summary = inner.children[i].summary;
    summary += outcome.added;
    summary -= outcome.removed;
    if (outcome.added.count < outcome.removed.count) tidy(inner, i, names);
    if (outcome.split_off.empty()) return outcome;
    auto parts = std::exchange(outcome.split_off, {});
    for (const auto& each : parts) summary -= each.summary;
    const auto last = i + parts.size();
    inner.children.insert(inner.children.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                          std::make_move_iterator(parts.begin()),
                          std::make_move_iterator(parts.end()));
    const auto size = inner.children.size();
    if (size <= inner_node::max_children)
      index(inner);
    else
      outcome.split_off.push_back(
          split(inner, std::min(split_place(size, last, size / 2), inner_node::max_children)));
    return outcome;
  }
};

}  // namespace

tree_summary context_tree::subtree(const path& top) const {
  auto total = summary_before(root_.get(), {top.text(), true});
  total -= summary_before(root_.get(), {top.text()});
  return total;
}

tree_summary context_tree::range(const path& first, const path& last) const {
  if (compare_paths(first.text(), last.text()) >= 0) return {};
  auto total = summary_before(root_.get(), {last.text()});
  total -= summary_before(root_.get(), {first.text()});
  return total;
}

std::optional<tree_entry> context_tree::find(const path& where) const {
  const auto* node = root_.get();
  const std::string_view key = where.text();
  while (node && !node->is_leaf()) {
    const auto& inner = inner_of(*node);
    node = inner.children[child_for(inner, key)].node.get();
  }
  if (!node) return std::nullopt;
  const auto place = leaf_of(*node).place_of(key);
  if (!place.is_taken) return std::nullopt;
  std::optional<tree_entry> found{std::in_place};
  leaf_of(*node).read(place.at, key, *found);
  return found;
}

path context_tree::path_at(std::size_t at) const {
  const auto* node = root_.get();
  while (!node->is_leaf()) {
    const auto* child = inner_of(*node).children.data();
    for (; child->summary.count <= at; ++child) at -= child->summary.count;
    node = child->node.get();
  }
  std::string key;
  leaf_of(*node).read_key(at, key);
  return path::from_checked(std::move(key));
}

void context_tree::change(const path& where, const changer& change) {
  const entry_change step{where.text(), change, names_};
  change_outcome outcome;
  if (root_) {
    outcome = step.in(root_);
  } else {
    tree_node_ptr first{new packed_leaf};
    outcome = step.in(first);
    root_ = std::move(first);
  }
  total_ += outcome.added;
  total_ -= outcome.removed;
  if (!outcome.split_off.empty()) {
    auto left = total_;
    for (const auto& each : outcome.split_off) left -= each.summary;
    auto* top = new inner_node{root_->level + 1};
    tree_node_ptr owner{top};
    top->children.push_back({{}, std::move(root_), left});
    std::ranges::move(outcome.split_off, std::back_inserter(top->children));
    index(*top);
    root_ = std::move(owner);
  }
  while (!root_->is_leaf() && inner_of(*root_).children.size() == 1) {
    auto only = inner_of(*root_).children.front().node;
    root_ = std::move(only);
  }
  if (is_empty(*root_)) root_ = {};
}

void context_tree::put(const path& where, std::span<const sibling> siblings) {
  change(where, [siblings](auto) { return siblings; });
}

bool context_tree::erase(const path& where) {
  const auto before = size();
  if (find(where)) change(where, [](auto) { return std::span<const sibling>{}; });
  return size() < before;
}

void context_tree::visit_from(const path& from, const visitor& visit) const {
  if (root_) visit_node(*root_, {from.text()}, visit);
}

void context_tree::visit_tombstones(const path& from, const visitor& visit) const {
  if (total_.tombstones > 0) troupe::visit_tombstones(*root_, {from.text()}, visit);
}

void context_tree::visit_subtree(const path& top, const visitor& visit) const {
  visit_from(top, [&](const tree_entry& entry) {
    return is_within(top.text(), entry.path()) && visit(entry);
  });
}

}  // namespace troupe
