#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace troupe {

/// The numbers that one of two sets has and the other one lacks.
struct set_difference {
  std::vector<std::uint64_t> added;    ///< In the set from which the other one was subtracted.
  std::vector<std::uint64_t> removed;  ///< In the other one.
};

/// A set of numbers as a few sums over parts of it. Take away the sums of another set, and what
/// both have in common is gone: what is left depends on the difference alone, however large the
/// sets are, and gives it back when there are enough symbols. (Rateless set reconciliation: Yang,
/// Gilad, Alizadeh, "Practical Rateless Set Reconciliation", 2024.)
///
/// The sequence of symbols has no end, and its beginning is of use alone. Of a difference of d
/// numbers about 1.35 d symbols are enough where d is large, about 2 d where it is small. The
/// first symbol is a sum over all numbers; a number is in symbol i with a probability of 2 / (i+2).
///
/// The numbers come from `checked_number`, by which a sum over one number is told from others.
///
/// Pure.
class coded_symbols {
public:
  /// Symbols of the empty set, from one on.
  coded_symbols(std::size_t first, std::size_t count)
      : first_(first), sums_(count), counts_(count) {}
  /// Symbols as they were sent. Both vectors have the same size.
  coded_symbols(std::size_t first, std::vector<std::uint64_t> sums,
                std::vector<std::int64_t> counts)
      : first_(first), sums_(std::move(sums)), counts_(std::move(counts)) {}

  /// A number with 40 of these bits and a check of them.
  static std::uint64_t checked_number(std::uint64_t bits) noexcept;

  std::size_t size() const noexcept { return sums_.size(); }
  const std::vector<std::uint64_t>& sums() const noexcept { return sums_; }
  const std::vector<std::int64_t>& counts() const noexcept { return counts_; }

  /// Adds a number that is not in the set. O(log of the last symbol).
  void add(std::uint64_t number) noexcept { change(number, 1); }
  /// Adds the symbols that follow these.
  void append(const coded_symbols& next);
  /// Takes another set away. @param other the same symbols of it.
  void subtract(const coded_symbols& other);

  /// Of a difference, from the first symbol on: which numbers it has. Nothing when these symbols do
  /// not tell: more are needed. O(size + numbers * log size).
  std::optional<set_difference> numbers() const;
  /// About how many numbers a difference has, within a third or so. @param at least two symbols.
  double estimate() const;

private:
  void change(std::uint64_t number, std::int64_t by) noexcept;
  bool is_single(std::size_t at) const noexcept;

  std::size_t first_;
  std::vector<std::uint64_t> sums_;  ///< Exclusive or of the numbers.
  std::vector<std::int64_t> counts_;
};

}  // namespace troupe
