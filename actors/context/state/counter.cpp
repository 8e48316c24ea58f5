#include <troupe/actors/context/state/counter.hpp>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include <troupe/messages/assert.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t numbers_of_part = 3;  // incarnation, seq, amount

using wide = __int128;
using parts_view = std::span<const counter_part>;

bool is_in_64_bits(wide number) {
  return number >= std::numeric_limits<std::int64_t>::min() &&
         number <= std::numeric_limits<std::int64_t>::max();
}

/// The parts of the node that the first one is of.
parts_view of_first_node(parts_view parts) {
  const auto is_of_other = [&](const counter_part& each) {
    return each.source.origin != parts.front().source.origin;
  };
  return {parts.begin(), std::ranges::find_if(parts, is_of_other)};
}

/// The parts of a node.
parts_view of_node(parts_view parts, const node_id& origin) {
  const auto [first, last] = std::ranges::equal_range(
      parts, origin, {}, [](const counter_part& each) { return each.source.origin; });
  return {first, last};
}

/// Reads the parts of one node. @returns whether they are well-formed.
bool read_parts(msgpack_reader& in, const node_id& origin, std::vector<counter_part>& into) {
  const auto length = in.read_array();
  if (!length || *length == 0 || *length % numbers_of_part != 0) return false;
  std::uint64_t before = 0;
  for (std::uint32_t i = 0; i < *length; i += numbers_of_part) {
    const auto distance = in.read_unsigned(), seq = in.read_unsigned();
    const auto amount = in.read_signed();
    if (!distance || !seq || !amount) return false;
    const counter_part part{{origin, before + *distance}, *seq, *amount};
    if (part.source.incarnation <= before) return false;
    const bool may_be_folded = i == 0 && *length > numbers_of_part;
    if (part.is_folded() && !may_be_folded) return false;
    before = part.source.incarnation;
    into.push_back(part);
  }
  return true;
}

value narrowed(wide total) {
  constexpr wide least = std::numeric_limits<std::int64_t>::min();
  constexpr wide most = std::numeric_limits<std::uint64_t>::max();
  total = std::clamp(total, least, most);
  if (total <= std::numeric_limits<std::int64_t>::max())
    return value{static_cast<std::int64_t>(total)};
  return value{static_cast<std::uint64_t>(total)};
}

}  // namespace

std::string pack_counts(std::span<const counter_part> parts) {
  std::string bytes;
  if (parts.empty()) return bytes;
  msgpack_writer out{bytes};
  std::size_t origins = 0;
  for (auto rest = parts; !rest.empty(); rest = rest.subspan(of_first_node(rest).size())) ++origins;
  out.array(2 * origins);
  while (!parts.empty()) {
    const auto first = of_first_node(parts);
    codec::write(out, first.front().source.origin);
    out.array(first.size() * numbers_of_part);
    std::uint64_t before = 0;
    for (const auto& each : first) {
      out.unsigned_integer(each.source.incarnation -
                           std::exchange(before, each.source.incarnation));
      out.unsigned_integer(each.seq);
      out.integer(each.amount);
    }
    parts = parts.subspan(first.size());
  }
  return bytes;
}

std::optional<std::vector<counter_part>> unpack_counts(std::string_view counts) {
  std::vector<counter_part> parts;
  if (counts.empty()) return parts;
  msgpack_reader in{counts};
  const auto length = in.read_array();
  if (!length || *length == 0 || *length % 2 != 0) return std::nullopt;
  codec::problem ignored;
  for (std::uint32_t i = 0; i < *length; i += 2) {
    node_id origin;
    if (!codec::read(in, origin, ignored)) return std::nullopt;
    if (!parts.empty() && parts.back().source.origin >= origin) return std::nullopt;
    if (!read_parts(in, origin, parts)) return std::nullopt;
  }
  if (!in.at_end()) return std::nullopt;
  return parts;
}

bool has_increments(std::span<const sibling> siblings) noexcept {
  return std::ranges::any_of(
      siblings, [](const sibling& each) { return each.operation == operation::increment; });
}

bool is_conflict(std::span<const sibling> siblings) noexcept {
  if (siblings.size() < 2) return false;
  return std::ranges::count_if(siblings, [](const sibling& each) {
           return each.operation != operation::increment;
         }) > 1;
}

bool has_counts(std::span<const sibling> siblings) noexcept {
  return std::ranges::any_of(siblings, [](const sibling& each) { return !each.counts.empty(); });
}

namespace {

void add_parts(const sibling& from, std::vector<counter_part>& into) {
  const auto parts = unpack_counts(from.counts);
  TROUPE_ASSERT(parts, "the tree holds only counts that were checked");
  into.insert(into.end(), parts->begin(), parts->end());
}

/// Of two parts of one incarnation the one with the higher rank has more.
std::uint64_t rank(const counter_part& part) {
  return part.is_folded() ? std::numeric_limits<std::uint64_t>::max() : part.seq;
}

/// What of a part was not overwritten. O(log parts), or O(parts) of a folded one.
/// @param gone what was, of the same node.
wide beyond(const counter_part& part, parts_view gone) {
  const auto has_all = [&](const counter_part& each) {
    return each.is_folded() && each.source.incarnation >= part.source.incarnation;
  };
  if (!gone.empty() && has_all(gone.front())) return 0;
  if (!part.is_folded()) {
    const auto seen = std::ranges::lower_bound(gone, part.source, {}, &counter_part::source);
    if (seen == gone.end() || seen->source != part.source) return part.amount;
    return seen->seq < part.seq ? wide{part.amount} - seen->amount : 0;
  }
  wide amount = part.amount;
  for (const auto& each : gone)
    if (each.source <= part.source) amount -= each.amount;
  return amount;
}

}  // namespace

std::vector<counter_part> merged_counts(std::vector<counter_part> parts) {
  std::ranges::sort(parts, [](const counter_part& a, const counter_part& b) {
    return std::tuple{a.source, rank(b), b.amount} < std::tuple{b.source, rank(a), a.amount};
  });
  std::vector<counter_part> merged;
  for (const auto& each : parts) {
    if (!merged.empty() && merged.back().source == each.source) continue;
    if (each.is_folded())
      while (!merged.empty() && merged.back().source.origin == each.source.origin)
        merged.pop_back();
    merged.push_back(each);
  }
  return merged;
}

std::vector<counter_part> counted_by(std::span<const sibling> siblings) {
  std::vector<counter_part> all;
  for (const auto& each : siblings)
    if (each.operation == operation::increment) add_parts(each, all);
  return merged_counts(std::move(all));
}

std::vector<counter_part> counts_in(std::span<const sibling> siblings) {
  std::vector<counter_part> all;
  for (const auto& each : siblings) add_parts(each, all);
  return merged_counts(std::move(all));
}

std::optional<value> counted_value(const std::optional<value>& base,
                                   std::span<const counter_part> overwritten,
                                   std::span<const counter_part> counted) {
  wide total = 0;
  if (base) {
    const auto small = base->as_integer();
    const auto large = base->as_unsigned();
    if (base->type() != value_type::integer || (!small && !large)) return std::nullopt;
    total = small ? wide{*small} : wide{*large};
  }
  for (const auto& each : counted) total += beyond(each, of_node(overwritten, each.source.origin));
  return narrowed(total);
}

void fold_counts(std::vector<counter_part>& parts, std::size_t singles,
                 const processed_changes& processed, const processed_changes* stable) {
  if (parts.size() <= singles + 1) return;
  // An incarnation and all before it have ended, and the part is all that it has added.
  const auto is_over = [](const counter_part& part, const processed_changes& known) {
    const auto open = known.vector().of(part.source.origin);
    return (open.empty() || open.front().incarnation > part.source.incarnation) &&
           known.has_ended(part.source) &&
           known.covers(dot{part.source.origin, part.source.incarnation, part.seq});
  };
  wide sum = 0, folded_sum = 0;
  std::size_t folded = 0;
  for (std::size_t i = 0; i < parts.size() - singles; ++i) {
    const auto& part = parts[i];
    const bool may_fold = part.is_folded() || (stable && is_over(part, *stable)) ||
                          (is_over(part, processed) && processed.has_forgotten(part.source));
    if (!may_fold) break;
    sum += part.amount;
    if (!is_in_64_bits(sum)) continue;
    folded = i + 1;
    folded_sum = sum;
  }
  if (folded < 2) return;
  parts[folded - 1] = {parts[folded - 1].source, 0, static_cast<std::int64_t>(folded_sum)};
  parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(folded - 1));
}

}  // namespace troupe
