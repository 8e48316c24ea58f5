#include <troupe/actors/commands/histogram.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

namespace troupe {

void histogram::record(nanoseconds duration) {
  duration = std::clamp(duration, nanoseconds{0}, longest);
  const auto length = static_cast<std::uint64_t>(duration.count());
  const std::size_t width = static_cast<std::size_t>(std::bit_width(length));
  const std::size_t number = width > parts_bits ? width - parts_bits : 0;
  const std::size_t part = number == 0 ? length : (length >> (number - 1)) - parts;

  auto& counts = groups_[number];
  if (!counts) counts = std::make_unique<group>();
  ++(*counts)[part];

  shortest_ = count_ == 0 ? duration : std::min(shortest_, duration);
  longest_ = std::max(longest_, duration);
  total_ += duration;
  ++count_;
}

histogram::nanoseconds histogram::quantile(double q) const noexcept {
  if (count_ == 0) return nanoseconds{0};
  const double share = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(share), 1, count_);
  std::uint64_t passed = 0;
  for (std::size_t number = 0; number < groups; ++number) {
    if (!groups_[number]) continue;
    for (std::size_t part = 0; part < parts; ++part) {
      passed += (*groups_[number])[part];
      if (passed >= rank)
        return std::clamp(nanoseconds{static_cast<std::int64_t>(middle_of(number, part))},
                          shortest_, longest_);
    }
  }
  return longest_;
}

std::uint64_t histogram::middle_of(std::size_t group_number, std::size_t part) noexcept {
  if (group_number == 0) return part;
  const std::size_t shift = group_number - 1;
  const std::uint64_t first = (parts + part) << shift;
  return first + ((std::uint64_t{1} << shift) - 1) / 2;
}

}  // namespace troupe
