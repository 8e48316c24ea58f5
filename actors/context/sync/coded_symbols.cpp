#include <troupe/actors/context/sync/coded_symbols.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace troupe {

namespace {

constexpr std::uint64_t number_bits = (std::uint64_t{1} << 40) - 1;

/// Equal inputs give equal numbers on every machine, different ones numbers that have nothing in
/// common. (The finalizer of SplitMix64: Steele, Lea, Flood, 2014.)
std::uint64_t mixed(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// The share of the numbers that are in a symbol.
double share(std::size_t symbol) noexcept { return 2.0 / (static_cast<double>(symbol) + 2.0); }

/// The symbols in which a number is, in their order, from the first one on.
class symbols_of {
public:
  explicit symbols_of(std::uint64_t number) noexcept : random_(number) {}

  std::size_t at() const noexcept { return at_; }
  /// After symbol i the number is in none before j with a probability of the product of
  /// (1 - share(k)) for i < k < j, which is (i+1)(i+2) / (j(j+1)). A drawn one gives j.
  void next() noexcept {
    random_ += 0x9e3779b97f4a7c15u;
    const double drawn = (static_cast<double>(mixed(random_) >> 32) + 1.0) / 4294967296.0;
    const double here = static_cast<double>(at_) + 1.5;
    at_ += 1 + static_cast<std::size_t>(here * (1.0 / std::sqrt(drawn) - 1.0));
  }

private:
  std::uint64_t random_;
  std::size_t at_ = 0;
};

}  // namespace

std::uint64_t coded_symbols::checked_number(std::uint64_t bits) noexcept {
  const auto number = bits & number_bits;
  return number | (mixed(number + 1) & ~number_bits);
}

void coded_symbols::change(std::uint64_t number, std::int64_t by) noexcept {
  for (symbols_of each{number}; each.at() < first_ + size(); each.next())
    if (each.at() >= first_) {
      sums_[each.at() - first_] ^= number;
      counts_[each.at() - first_] += by;
    }
}

void coded_symbols::append(const coded_symbols& next) {
  sums_.insert(sums_.end(), next.sums_.begin(), next.sums_.end());
  counts_.insert(counts_.end(), next.counts_.begin(), next.counts_.end());
}

void coded_symbols::subtract(const coded_symbols& other) {
  std::ranges::transform(sums_, other.sums_, sums_.begin(), std::bit_xor{});
  std::ranges::transform(counts_, other.counts_, counts_.begin(), std::minus{});
}

/// Whether the symbol is a sum over one number.
bool coded_symbols::is_single(std::size_t at) const noexcept {
  return (counts_[at] == 1 || counts_[at] == -1) && checked_number(sums_[at]) == sums_[at];
}

std::optional<set_difference> coded_symbols::numbers() const {
  if (size() == 0) return std::nullopt;
  auto left = *this;
  set_difference found;
  std::vector<std::size_t> singles;
  for (std::size_t i = 0; i < size(); ++i)
    if (left.is_single(i)) singles.push_back(i);
  while (!singles.empty()) {
    const auto at = singles.back();
    singles.pop_back();
    if (!left.is_single(at)) continue;  // its number was found in another one
    const auto number = left.sums_[at];
    const auto count = left.counts_[at];
    auto& numbers = count > 0 ? found.added : found.removed;
    numbers.push_back(number);
    // No set of so many numbers is found in so few symbols: these are of no sets.
    if (found.added.size() + found.removed.size() > size()) return std::nullopt;
    left.change(number, -count);
    for (symbols_of each{number}; each.at() < size(); each.next())
      if (left.is_single(each.at())) singles.push_back(each.at());
  }
  const auto is_zero = [](auto each) { return each == 0; };
  if (!std::ranges::all_of(left.sums_, is_zero) || !std::ranges::all_of(left.counts_, is_zero))
    return std::nullopt;
  return found;
}

/// A symbol counts the numbers that one set has more: their share of the surplus, and by chance
/// more or less than that. How much that varies tells how many numbers there are.
double coded_symbols::estimate() const {
  const auto surplus = static_cast<double>(counts_[0]);
  double squares = 0, expected = 0;
  for (std::size_t i = 1; i < size(); ++i) {
    const auto of = static_cast<double>(counts_[i]) - surplus * share(i);
    squares += of * of;
    expected += share(i) * (1.0 - share(i));
  }
  return std::max(std::abs(surplus), squares / expected);
}

}  // namespace troupe
