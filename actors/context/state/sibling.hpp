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
/// and value share one string, because a tree holds millions of siblings.
class sibling {
public:
  /// Keeps what the state needs of a record.
  /// @param content `content_hash(record)`.
  sibling(const change_record& record, std::uint64_t content);

  const struct dot& dot() const noexcept { return dot_; }
  struct timestamp timestamp() const noexcept {
    return timestamp_;
  }
  /// Hash of the whole record, `observed` included. Distinguishes two records with one dot.
  std::uint64_t content() const noexcept { return content_; }
  enum operation operation() const noexcept;
  bool is_tombstone() const noexcept { return operation() == operation::erase; }
  /// A view into this sibling.
  std::string_view principal() const noexcept;
  /// The canonical bytes of the value; empty for a tombstone. A view into this sibling.
  std::string_view value_bytes() const noexcept;
  /// The value, copied; nil for a tombstone.
  value copy_value() const;
  /// The record without what the state does not keep: `observed` is empty and `trace` is nil.
  change_record to_record(const path& where) const;

  friend bool operator==(const sibling&, const sibling&) = default;
  /// By (timestamp, dot): the order of siblings in a list and in resolution.
  static bool earlier(const sibling& a, const sibling& b) noexcept;

private:
  std::string_view body() const noexcept;

  struct dot dot_;
  struct timestamp timestamp_;
  std::uint64_t content_;
  std::string packed_;  ///< One byte operation, two bytes length of the principal, the principal,
                        ///< the value.
};

/// The siblings of one path, sorted by `sibling::earlier`. A single sibling, the normal case, is
/// stored without an allocation.
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

/// One path of the tree with its siblings.
struct tree_entry {
  class path path;
  sibling_list siblings;

  friend bool operator==(const tree_entry&, const tree_entry&) = default;
};

/// Hash of everything in a record that travels. Never 0. Equal on every machine. O(bytes).
std::uint64_t content_hash(const change_record& record);

/// XXH3-128 of the path and its sorted siblings. Equal on every machine. O(bytes).
state_hash entry_hash(std::string_view path, std::span<const sibling> siblings);

/// The sum of hashes, modulo 2^128, so entries may be added and removed in any order. The hash of
/// no entries is zero.
state_hash add(const state_hash& a, const state_hash& b) noexcept;
/// The inverse of `add`.
state_hash subtract(const state_hash& a, const state_hash& b) noexcept;

}  // namespace troupe
