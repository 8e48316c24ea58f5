#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <troupe/messages/context.hpp>

namespace troupe {

/// One live write of a path: a put, a tombstone or an increment that no known write has
/// overwritten. Principal, value and counts are views: into the tree that holds the sibling, or
/// into the record it was made of.
struct sibling {
  struct dot dot;
  struct timestamp timestamp;
  /// Hash of the whole record, `observed` included. Distinguishes two records with one dot.
  std::uint64_t content = 0;
  enum operation operation = operation::put;
  std::string_view principal;
  std::string_view value_bytes;  ///< Canonical; empty unless it is a put.
  std::string_view counts;       ///< `change_record::counts`.

  /// What the state keeps of a record. Valid as long as the record.
  /// @param content `content_hash(record)`.
  static sibling of(const change_record& record, std::uint64_t content) noexcept;

  bool is_tombstone() const noexcept { return operation == operation::erase; }
  /// The value, copied; nil unless it is a put.
  value copy_value() const;
  /// The record without what the state does not keep: `observed` is empty, `trace` is nil, and so
  /// is what an increment added.
  change_record to_record(const path& where) const;

  friend bool operator==(const sibling&, const sibling&) = default;
  /// By (timestamp, dot): the order of siblings in an entry and in resolution.
  static bool earlier(const sibling& a, const sibling& b) noexcept;
};

/// Whether these are nothing but a tombstone that counts no increments. It may go once everybody
/// has it.
bool is_collectable(std::span<const sibling> siblings) noexcept;

/// Hash of everything in a record that travels. Never 0. Equal on every machine. O(bytes).
std::uint64_t content_hash(const change_record& record);

/// XXH3-128 of the path and its sorted siblings. Equal on every machine. O(bytes).
state_hash entry_hash(std::string_view path, std::span<const sibling> siblings);

/// The sum of hashes, modulo 2^128, so entries may be added and removed in any order. The hash of
/// no entries is zero.
inline state_hash add(const state_hash& a, const state_hash& b) noexcept {
  const auto low = a.low + b.low;
  return {a.high + b.high + (low < a.low ? 1 : 0), low};
}
/// The inverse of `add`.
inline state_hash subtract(const state_hash& a, const state_hash& b) noexcept {
  return {a.high - b.high - (a.low < b.low ? 1 : 0), a.low - b.low};
}

}  // namespace troupe
