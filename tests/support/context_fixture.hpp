#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/context.hpp>

namespace troupe::test {

/// Wall time in tests that do not care about it.
inline constexpr std::uint64_t noon = 1'700'000'000'000;

/// The `n`-th node.
inline node_id node(unsigned n) {
  node_id id;
  id.id.bytes[0] = static_cast<std::uint8_t>(n >> 8);
  id.id.bytes[1] = static_cast<std::uint8_t>(n);
  id.id.bytes[15] = 1;
  return id;
}

/// A put that happened `ticks` after noon.
inline change_record put(dot id, std::string_view where, value given,
                         std::vector<dot> observed = {}, std::uint64_t ticks = 0) {
  change_record record;
  record.dot = id;
  record.timestamp = {timestamp::from_parts(noon, 0).ticks + ticks};
  record.path = path{where};
  record.new_value = std::move(given);
  record.observed = std::move(observed);
  record.principal = "tester";
  return record;
}

inline change_record erase(dot id, std::string_view where, std::vector<dot> observed = {},
                           std::uint64_t ticks = 0) {
  auto record = put(id, where, nullptr, std::move(observed), ticks);
  record.operation = operation::erase;
  return record;
}

}  // namespace troupe::test
