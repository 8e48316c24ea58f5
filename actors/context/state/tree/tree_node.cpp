#include <troupe/actors/context/state/tree/tree_node.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

#include <troupe/actors/context/state/tree/packed_leaf.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>

namespace troupe {

tree_node* tree_node_ptr::copy(const tree_node& node) {
  if (node.is_leaf()) return new packed_leaf{static_cast<const packed_leaf&>(node)};
  return new inner_node{static_cast<const inner_node&>(node)};
}

void tree_node_ptr::destroy(tree_node* node) noexcept {
  if (node->is_leaf())
    delete static_cast<packed_leaf*>(node);
  else
    delete static_cast<inner_node*>(node);
}

namespace {

/// The first eight bytes as a number that is ordered as paths are. Equal numbers say nothing.
std::uint64_t head_of(std::string_view text) noexcept {
  // All eight bytes at once. (Warren, "Hacker's Delight", 2012, chapter 6: zero bytes.)
  constexpr std::uint64_t each = 0x0101010101010101, top = each * 0x80, low = ~top;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, text.data(), std::min(text.size(), sizeof bytes));
  if constexpr (std::endian::native == std::endian::little) bytes = __builtin_bswap64(bytes);
  const auto is_zero = [](std::uint64_t x) { return (~(((x & low) + low) | x) & top) >> 7; };
  const auto is_slash = is_zero(bytes ^ each * '/');
  const auto is_below = (~((bytes | top) - each * '/') & ~bytes & top) >> 7;
  // The end comes first, then '/', then the others. No path has a zero byte.
  return bytes + (is_below & ~is_zero(bytes)) - is_slash * ('/' - 1);
}

}  // namespace

child_index::child_index(const std::vector<tree_child>& children) {
  if (children.size() < 2) return;
  const std::string_view first = children[1].low, last = children.back().low;
  common_ = first.substr(0, common_prefix(first, last));
  heads_.reserve(children.size() - 1);
  for (std::size_t i = 1; i < children.size(); ++i)
    heads_.push_back(head_of(std::string_view{children[i].low}.substr(common_.size())));
}

std::size_t child_index::find(const std::vector<tree_child>& children,
                              std::string_view key) const noexcept {
  if (!key.starts_with(common_)) {
    // All bounds are on one side of the key.
    return compare_paths(key, common_) < 0 ? 0 : heads_.size();
  }
  const auto head = head_of(key.substr(common_.size()));
  auto at = static_cast<std::size_t>(std::ranges::lower_bound(heads_, head) - heads_.begin());
  while (at < heads_.size() && heads_[at] == head && compare_paths(children[at + 1].low, key) <= 0)
    ++at;
  return at;
}

tree_summary tree_summary::of(std::string_view path, std::span<const sibling> siblings) {
  const auto hash = entry_hash(path, siblings);
  if (is_collectable(siblings)) return {1, hash, 1, hash};
  return {1, hash, 0, {}};
}

tree_summary& tree_summary::operator+=(const tree_summary& other) noexcept {
  count += other.count;
  hash = add(hash, other.hash);
  tombstones += other.tombstones;
  tombstone_hash = add(tombstone_hash, other.tombstone_hash);
  return *this;
}

tree_summary& tree_summary::operator-=(const tree_summary& other) noexcept {
  count -= other.count;
  hash = subtract(hash, other.hash);
  tombstones -= other.tombstones;
  tombstone_hash = subtract(tombstone_hash, other.tombstone_hash);
  return *this;
}

}  // namespace troupe
