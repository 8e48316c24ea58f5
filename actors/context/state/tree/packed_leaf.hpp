#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <troupe/actors/context/state/tree/leaf_codec.hpp>
#include <troupe/actors/context/state/tree/leaf_names.hpp>
#include <troupe/actors/context/state/tree/tree_bound.hpp>
#include <troupe/actors/context/state/tree/tree_entry.hpp>
#include <troupe/actors/context/state/tree/tree_node.hpp>

namespace troupe {

/// The names that a tree gave out last. Leaves that need another name take these if they can, so
/// that leaves share them.
using latest_names = std::shared_ptr<const leaf_names>;

/// A place in a leaf.
struct leaf_place {
  std::size_t at = 0;     ///< Of the first entry that is not before the key.
  bool is_taken = false;  ///< Whether that entry has the key.
};

/// A leaf of `context_tree`: its entries in one buffer of bytes, in tree order. An entry takes the
/// bytes of its value and about 30 more; see `bench/context.cpp`.
///
///     prefix | entry 0 | entry 1 | …      free      … | slot 1 | slot 0
///
/// The prefix is common to all keys. A slot is the offset of an entry. An entry is the length and
/// the text of the rest of its key, and one or more siblings. A sibling is one byte (operation,
/// whether the value lies outside, whether another sibling follows), the numbers of its source and
/// its principal in the leaf's names, the differences of its seq and its time to the bases of the
/// leaf, eight bytes of content hash, and its value, before it its counts if it has any. What is
/// short follows its length; what is long lies outside, and the leaf holds a pointer to it.
/// Numbers are varints of seven bits a byte.
///
/// Has no lock; see `context_tree` for what threads may do.
class packed_leaf final : public tree_node {
public:
  /// Bounds of a leaf. A leaf with a single entry may exceed `max_bytes`.
  static constexpr std::size_t max_entries = 64;
  static constexpr std::size_t max_bytes = 6000;
  /// Longer values lie outside: a change moves the entries behind it.
  static constexpr std::size_t max_inline_value = 128;
  /// Of one entry.
  static constexpr std::size_t max_siblings = 256;

  packed_leaf() noexcept : tree_node(0) {}
  packed_leaf(const packed_leaf& other);
  packed_leaf& operator=(const packed_leaf&) = delete;
  ~packed_leaf();

  std::size_t size() const noexcept { return count_; }
  /// Of the entries and their slots.
  std::size_t bytes() const noexcept { return used_ + slot_bytes * count_; }
  bool is_overfull() const noexcept {
    return count_ > max_entries || (bytes() > max_bytes && count_ > 1);
  }
  /// Whether it should be joined with a neighbour, if one has room.
  bool is_sparse() const noexcept { return count_ < max_entries / 8 && bytes() < max_bytes / 4; }
  /// Whether it has room for all of another one, whose keys come later.
  bool has_room_for(const packed_leaf& other) const noexcept;
  /// Whether this key has so little in common with the others that it needs a leaf of its own.
  bool is_too_foreign(std::string_view key) const noexcept;

  // -- reading ------------------------------------------------------------------------------------

  /// The number of entries before the bound. O(log entries).
  std::size_t count_before(const tree_bound& bound) const noexcept;
  /// The place of the entry with this key, or where it would be. O(log entries).
  leaf_place place_of(std::string_view key) const noexcept;
  /// The whole key of an entry.
  void read_key(std::size_t at, std::string& into) const;
  /// An entry. Views are valid until the leaf changes. @param key its key; becomes its path.
  void read(std::size_t at, std::string_view key, tree_entry& into) const;

  // -- changing -----------------------------------------------------------------------------------

  /// Adds an entry or replaces the one with this key.
  /// @param place of the key. @param siblings not empty, at most `max_siblings`, none a view into
  /// this leaf.
  void put(leaf_place place, std::string_view key, std::span<const sibling> siblings,
           latest_names& latest);
  void erase(std::size_t at);
  /// Moves the entries from this place on, not all, into a new leaf.
  std::unique_ptr<packed_leaf> split(std::size_t from);
  /// Moves all entries into a new leaf.
  std::unique_ptr<packed_leaf> move_all();
  /// The first entry of the second half of the bytes.
  std::size_t middle() const noexcept;
  /// Copies all entries of another leaf, whose keys come later, behind these.
  void append(const packed_leaf& other, latest_names& latest);

private:
  static constexpr std::size_t slot_bytes = 2;
  // Where an entry has more than a few siblings, only the shortest values lie inside. So the
  // largest entry has less than 16 KiB, and a leaf stays below the 64 KiB that a slot can address.
  static constexpr std::size_t few_siblings = 16;
  static constexpr std::size_t usual_siblings = 4;  // Where there is a conflict.
  static constexpr std::size_t max_inline_value_of_many = sizeof(void*);

  std::string_view prefix() const noexcept { return {bytes_.get(), prefix_}; }
  std::size_t slot(std::size_t at) const noexcept {
    std::uint16_t offset;
    get_raw(bytes_.get() + capacity_ - slot_bytes * (at + 1), offset);
    return offset;
  }
  void set_slot(std::size_t at, std::size_t offset) noexcept;
  std::size_t end_of(std::size_t at) const noexcept {
    return at + 1 < count_ ? slot(at + 1) : used_;
  }
  /// The rest of a key, behind the prefix. The siblings follow it.
  std::string_view rest(std::size_t at) const noexcept {
    std::uint64_t size;
    const auto* text = get_varint(bytes_.get() + slot(at), size);
    return {text, static_cast<std::size_t>(size)};
  }
  const char* body(std::size_t at) const noexcept;

  std::size_t first_not_before(std::string_view rest_of_key) const noexcept;
  /// The bytes that the entries would have with a prefix of this size, which is no longer.
  std::size_t bytes_with_prefix(std::size_t size) const noexcept {
    return bytes() + (prefix_ - size) * count_;
  }
  void put(leaf_place place, std::string_view key, std::span<const sibling> siblings,
           std::span<shared_value* const> outside, latest_names& latest);
  void name(std::span<const sibling> siblings, latest_names& latest);
  template <class Visit>
  void visit_siblings(std::size_t at, const Visit& visit) const;
  template <class Visit>
  void visit_outside(std::size_t from, std::size_t to, const Visit& visit) const;

  void reserve(std::size_t bytes);
  void splice(std::size_t at, bool replaces, std::string_view entry);
  void copy_to(packed_leaf& into, std::size_t from, std::size_t to,
               std::string_view new_prefix) const;
  void take(packed_leaf& other, std::uint32_t outside) noexcept;
  std::string longest_prefix(std::size_t from, std::size_t to) const;
  void set_prefix(std::string_view new_prefix);
  void drop_unused_names();

  std::unique_ptr<char[]> bytes_;
  std::uint32_t capacity_ = 0;
  std::uint32_t used_ = 0;  ///< Of the prefix and the entries.
  std::uint16_t count_ = 0;
  std::uint16_t prefix_ = 0;
  std::uint32_t outside_ = 0;  ///< Values that lie outside.
  leaf_bases bases_;
  latest_names names_;
};

}  // namespace troupe
