#include <troupe/actors/context/state/record_rules.hpp>

#include <algorithm>
#include <functional>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

std::string describe(const change_record& record) {
  return "change " + to_string(record.dot) + " of '" + record.path.text() + "'";
}

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

namespace {

bool is_sorted(const std::vector<observed_change>& changes) {
  return std::ranges::adjacent_find(changes, std::greater_equal{}) == changes.end();
}

std::optional<std::string> wrong_below(const change_record& record, const engine_limits& limits) {
  const auto own = incarnation_of(record.dot);
  std::size_t changes = 0, bytes = 0;
  const path* before = nullptr;
  for (const auto& [where, seen] : record.below) {
    if (!record.path.contains(where)) return "it erases outside of its path";
    if (before && compare_paths(before->text(), where.text()) >= 0)
      return "the paths that it erases are not in order";
    before = &where;
    if (seen.empty() || !is_sorted(seen)) return "what it erases is not in order";
    const auto is_later = [&](const observed_change& each) {
      return incarnation_of(each.dot) == own && each.dot.seq >= record.dot.seq;
    };
    if (std::ranges::any_of(seen, is_later)) return "it erases a later change of its incarnation";
    changes += seen.size();
    bytes += where.text().size();
  }
  if (changes > limits.max_below || bytes > limits.max_below_bytes)
    return "it erases " + std::to_string(changes) + " changes at once; at most " +
           std::to_string(limits.max_below) + " are accepted";
  return std::nullopt;
}

std::optional<std::string> wrong_counts(const change_record& record, const engine_limits& limits) {
  const auto own = incarnation_of(record.dot);
  const auto parts = unpack_counts(record.counts.bytes);
  if (!parts || parts->size() > limits.max_counted) return "what it counts is malformed";
  if (record.operation == operation::erase_subtree && !parts->empty())
    return "it erases a subtree and counts";
  const auto is_later = [&](const counter_part& each) {
    return each.source == own && each.seq > record.dot.seq;
  };
  if (std::ranges::any_of(*parts, is_later)) return "it counts a later change of its incarnation";
  if (record.operation != operation::increment) return std::nullopt;
  const auto is_foreign = [&](const counter_part& each) {
    return each.source.origin != own.origin;
  };
  if (std::ranges::any_of(*parts, is_foreign)) return "it counts for another node";
  const auto mine = std::ranges::find(*parts, own, &counter_part::source);
  if (mine == parts->end() || mine->seq != record.dot.seq) return "it does not count itself";
  return std::nullopt;
}

std::optional<std::string> wrong_after(const change_record& record, const engine_limits& limits) {
  const auto& all = record.after;
  const bool begins = record.dot.seq == 1 || (record.transaction.count > 1 &&  //
                                              record.transaction.index == 0);
  if (!all.empty() && !begins) return "it begins nothing and names what it follows";
  if (all.size() > limits.most_incarnations()) return "it follows too many incarnations";
  const auto own = incarnation_of(record.dot);
  const version_entry* before = nullptr;
  for (const auto& each : all) {
    if (each.origin.is_nil() || each.incarnation == 0 || each.seq == 0 ||
        incarnation_of(each) == own || (before && incarnation_of(*before) >= incarnation_of(each)))
      return "what it follows is malformed";
    before = &each;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> malformed(const change_record& record, const engine_limits& limits) {
  const auto& [origin, incarnation, seq] = record.dot;
  constexpr auto end_of_numbers = std::uint64_t{1} << 63;
  if (origin.is_nil() || incarnation == 0 || seq == 0 || incarnation >= end_of_incarnations ||
      seq >= end_of_numbers)
    return "its dot is malformed";
  if (record.timestamp >= latest_time) return "its timestamp lies beyond the year 6429";
  if (record.principal.size() > limits.max_principal_bytes) return "its principal is too long";
  if (const auto problem = too_much(record.new_value, limits)) return "its value " + *problem;
  const bool is_increment = record.operation == operation::increment;
  if (is_increment && !record.new_value.as_integer()) return "it adds what is no integer";
  if (record.operation != operation::put && !is_increment && !record.new_value.is_nil())
    return "it erases and carries a value";
  const auto& [index, count, weight] = record.transaction;
  const bool is_alone = count == 1 && weight == 0;
  if (index >= count || count > limits.max_transaction || seq <= index ||
      !(is_alone || (count > 1 && weight <= limits.max_transaction_weight)))
    return "its place in its transaction is malformed";
  const bool erases_below = record.operation == operation::erase_subtree;
  if (erases_below != !record.below.empty() || (erases_below && !record.observed.empty()))
    return "what it overwrote does not fit its operation";
  if (record.observed.size() > limits.max_observed)
    return "it observed " + std::to_string(record.observed.size()) + " changes; at most " +
           std::to_string(limits.max_observed) + " are accepted";
  if (!is_sorted(record.observed)) return "what it observed is not in order";
  const auto is_own = [&](const observed_change& seen) {
    return incarnation_of(seen.dot) == incarnation_of(record.dot);
  };
  if (std::ranges::any_of(record.observed, is_own))
    return "it names changes of its own incarnation as observed";
  const auto is_reserved = [](const path& where) { return is_within(reserved_path, where.text()); };
  if (record.principal != system_principal &&
      (is_reserved(record.path) ||
       std::ranges::any_of(record.below, is_reserved, &observed_path::path)))
    return "it writes below '/_sys' and not on behalf of \"system\"";
  if (const auto problem = wrong_counts(record, limits)) return problem;
  if (const auto problem = wrong_after(record, limits)) return problem;
  return wrong_below(record, limits);
}

}  // namespace troupe
