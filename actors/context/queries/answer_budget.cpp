#include <troupe/actors/context/queries/answer_budget.hpp>

namespace troupe {

bool answer_budget::take(const value& given, std::size_t bytes_around) {
  const auto bytes = given.msgpack().size();
  const std::uint64_t parts = given.size() == 0 ? 1 : bytes;  // a part has at least one byte
  const bool fits =
      first_ || (bytes_ + bytes + bytes_around <= max_bytes && parts_ + parts <= max_parts);
  if (!fits) return false;
  bytes_ += bytes + bytes_around;
  if (!first_) parts_ += parts;
  first_ = false;
  return true;
}

}  // namespace troupe
