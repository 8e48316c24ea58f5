#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/context.hpp>

namespace troupe {

/// One live write of a path: a put or a tombstone that no known write has overwritten. Principal
/// and value share one string, because a tree holds millions of these.
class sibling {
public:
  /// Takes what stays of a record once it is part of the state.
  /// @param content `content_hash(record)`.
  sibling(const change_record& record, std::uint64_t content);

  const struct dot& dot() const noexcept { return dot_; }
  struct timestamp timestamp() const noexcept {
    return timestamp_;
  }
  /// Of the whole record that was applied, what it observed included; tells two records with one
  /// dot apart.
  std::uint64_t content() const noexcept { return content_; }
  enum operation operation() const noexcept;
  bool is_tombstone() const noexcept { return operation() == operation::erase; }
  /// A view into this sibling.
  std::string_view principal() const noexcept;
  /// The canonical bytes of the value; empty for a tombstone. A view into this sibling.
  std::string_view value_bytes() const noexcept;
  /// The value, copied; nil for a tombstone.
  value copy_value() const;
  /// The record again, without what the state does not keep: `observed` is empty and `trace` is
  /// nil.
  change_record to_record(const path& where) const;

  friend bool operator==(const sibling&, const sibling&) = default;
  /// By (timestamp, dot): the order in which siblings are kept and resolved.
  static bool earlier(const sibling& a, const sibling& b) noexcept;

private:
  std::string_view body() const noexcept;

  struct dot dot_;
  struct timestamp timestamp_;
  std::uint64_t content_;
  std::string packed_;  ///< One byte operation, two bytes length of the principal, the principal,
                        ///< the value.
};

/// The siblings of one path, sorted by `sibling::earlier`. One sibling, the normal case, lives
/// inside the list.
class sibling_list {
public:
  explicit sibling_list(sibling only) : first_(std::move(only)) {}
  /// @param sorted Two or more siblings in order, or exactly one. @throws std::invalid_argument
  /// when empty.
  explicit sibling_list(std::vector<sibling> sorted);
  sibling_list(const sibling_list& other);
  sibling_list& operator=(const sibling_list& other);
  sibling_list(sibling_list&&) noexcept = default;
  sibling_list& operator=(sibling_list&&) noexcept = default;
  ~sibling_list() = default;

  /// Valid until the list changes. Never empty.
  std::span<const sibling> all() const noexcept;
  std::size_t size() const noexcept { return rest_ ? rest_->size() : 1; }

  friend bool operator==(const sibling_list& a, const sibling_list& b) noexcept;

private:
  sibling first_;                               ///< Unused while `rest_` is set.
  std::unique_ptr<std::vector<sibling>> rest_;  ///< All siblings, when there are two or more.
};

/// What stands at one path of the tree.
struct tree_entry {
  class path path;
  sibling_list siblings;

  friend bool operator==(const tree_entry&, const tree_entry&) = default;
};

/// Identifies everything in a record that travels. Never 0; equal on every machine. O(bytes).
std::uint64_t content_hash(const change_record& record);

/// XXH3-128 of the path and its sorted siblings with all that they carry. Equal on every machine.
/// O(bytes).
state_hash entry_hash(std::string_view path, std::span<const sibling> siblings);

/// Hash of all-zero when empty; sums wrap around in 128 bits, so entries may be added and removed
/// in any order.
state_hash add(const state_hash& a, const state_hash& b) noexcept;
/// The inverse of `add`.
state_hash subtract(const state_hash& a, const state_hash& b) noexcept;

}  // namespace troupe
