#include <troupe/actors/context/store/row_check.hpp>

#include <xxhash.h>

namespace troupe {

std::int64_t row_hash(std::string_view key, std::string_view content) {
  const auto seed = XXH3_64bits(key.data(), key.size());
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(content.data(), content.size(), seed));
}

tl::unexpected<error> damaged_row(const std::string& row, const std::string& how) {
  return fail(error_code::corrupt_data, row + " of the context store is damaged: " + how);
}

codec_limits stored_data_limits() {
  codec_limits limits;
  limits.frame_bytes = std::size_t{1} << 30;
  limits.string_bytes = std::size_t{1} << 30;
  limits.elements = std::uint64_t{1} << 28;
  return limits;
}

}  // namespace troupe
