#include <troupe/actors/context/state/record_rules.hpp>

#include <algorithm>
#include <functional>

#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Messages that carry values have the same limits, so a value must leave room for the message: two
/// of the largest values fit into one.
std::optional<std::string> too_much(const value& given, const engine_limits& limits) {
  constexpr std::uint64_t elements_around = 64;
  const auto& bytes = given.msgpack();
  if (bytes.size() > limits.max_value_bytes)
    return "has " + std::to_string(bytes.size()) + " bytes; at most " +
           std::to_string(limits.max_value_bytes) + " are accepted";
  if (given.size() == 0) return std::nullopt;
  codec_limits inner;
  inner.depth = max_value_depth;
  inner.elements = inner.elements / 2 - elements_around;
  if (const auto checked = check_msgpack(bytes, inner); !checked)
    return "is too deep or has too many parts: " + checked.error().message;
  return std::nullopt;
}

std::optional<std::string> malformed(const change_record& record, const engine_limits& limits) {
  const auto& [origin, incarnation, seq] = record.dot;
  if (origin.is_nil() || incarnation == 0 || seq == 0) return "its dot is malformed";
  if (record.timestamp >= latest_time) return "its timestamp lies beyond the year 6429";
  if (record.principal.size() > limits.max_principal_bytes) return "its principal is too long";
  if (const auto problem = too_much(record.new_value, limits)) return "its value " + *problem;
  if (record.operation == operation::erase && !record.new_value.is_nil())
    return "it erases and carries a value";
  if (record.observed.size() > limits.max_observed)
    return "it observed " + std::to_string(record.observed.size()) + " changes; at most " +
           std::to_string(limits.max_observed) + " are accepted";
  if (std::ranges::adjacent_find(record.observed, std::greater_equal{}) != record.observed.end())
    return "what it observed is not in order";
  const auto not_earlier = [&](const dot& seen) {
    return seen.origin == origin && seen.incarnation == incarnation && seen.seq >= seq;
  };
  if (std::ranges::any_of(record.observed, not_earlier))
    return "it observed a later change of its own incarnation";
  return std::nullopt;
}

}  // namespace troupe
