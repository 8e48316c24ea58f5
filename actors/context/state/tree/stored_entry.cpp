#include <troupe/actors/context/state/tree/stored_entry.hpp>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/tree/packed_leaf.hpp>

namespace troupe {

std::vector<stored_sibling> store(std::span<const sibling> siblings) {
  std::vector<stored_sibling> stored;
  stored.reserve(siblings.size());
  for (const auto& each : siblings)
    stored.push_back({each.dot,
                      each.timestamp,
                      each.operation,
                      each.copy_value(),
                      std::string{each.principal},
                      each.content,
                      {std::string{each.counts}}});
  return stored;
}

result<std::vector<sibling>> siblings_of(const std::vector<stored_sibling>& stored) {
  if (stored.empty()) return fail(error_code::corrupt_data, "it holds no write");
  if (stored.size() > packed_leaf::max_siblings)
    return fail(error_code::corrupt_data,
                "it holds " + std::to_string(stored.size()) + " concurrent writes");
  std::vector<sibling> siblings;
  siblings.reserve(stored.size());
  for (const auto& each : stored) {
    if (!unpack_counts(each.counts.bytes))
      return fail(error_code::corrupt_data, "what it counts is malformed");
    const bool is_put = each.operation == operation::put;
    siblings.push_back({each.dot, each.timestamp, each.content, each.operation, each.principal,
                        is_put ? std::string_view{each.value.msgpack()} : std::string_view{},
                        each.counts.bytes});
  }
  return siblings;
}

}  // namespace troupe
