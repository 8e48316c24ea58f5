#pragma once

#include <cstddef>
#include <cstdint>

#include <troupe/messages/value.hpp>

namespace troupe {

/// How many values fit into one answer, so that it stays within the limits of a frame: about 4 MiB
/// and, beside the first value, 400 Ki elements. The first value always fits, and any two values
/// fit into a frame.
class answer_budget {
public:
  static constexpr std::size_t max_bytes = std::size_t{4} << 20;
  static constexpr std::uint64_t max_parts = std::uint64_t{400} << 10;

  /// Takes a value if it fits beside those taken before. @returns whether it fits.
  /// @param bytes_around bytes that travel with it.
  bool take(const value& given, std::size_t bytes_around = 0);

private:
  bool first_ = true;
  std::size_t bytes_ = 0;
  std::uint64_t parts_ = 0;  ///< Upper bound, for the values after the first.
};

}  // namespace troupe
