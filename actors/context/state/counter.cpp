#include <troupe/actors/context/state/counter.hpp>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include <troupe/messages/assert.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t numbers_of_part = 4;  // origin, incarnation, seq, amount

using wide = __int128;

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
  out.array(parts.size() * numbers_of_part);
  for (const auto& each : parts) {
    codec::write(out, each.source.origin);
    out.unsigned_integer(each.source.incarnation);
    out.unsigned_integer(each.seq);
    out.integer(each.amount);
  }
  return bytes;
}

std::optional<std::vector<counter_part>> unpack_counts(std::string_view counts) {
  std::vector<counter_part> parts;
  if (counts.empty()) return parts;
  msgpack_reader in{counts};
  const auto length = in.read_array();
  if (!length || *length == 0 || *length % numbers_of_part != 0) return std::nullopt;
  codec::problem ignored;
  for (std::uint32_t i = 0; i < *length; i += numbers_of_part) {
    counter_part part;
    if (!codec::read(in, part.source.origin, ignored)) return std::nullopt;
    const auto incarnation = in.read_unsigned(), seq = in.read_unsigned();
    const auto amount = in.read_signed();
    if (!incarnation || !seq || !amount) return std::nullopt;
    part.source.incarnation = *incarnation;
    part.seq = *seq;
    part.amount = *amount;
    if (!parts.empty() && parts.back().source >= part.source) return std::nullopt;
    parts.push_back(part);
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

std::vector<counter_part> latest_of(std::vector<counter_part> all) {
  std::ranges::sort(all, [](const counter_part& a, const counter_part& b) {
    return std::tuple{a.source, b.seq, b.amount} < std::tuple{b.source, a.seq, a.amount};
  });
  const auto rest = std::ranges::unique(all, {}, &counter_part::source);
  all.erase(rest.begin(), rest.end());
  return all;
}

}  // namespace

std::vector<counter_part> counted_by(std::span<const sibling> siblings) {
  std::vector<counter_part> all;
  for (const auto& each : siblings)
    if (each.operation == operation::increment) add_parts(each, all);
  return latest_of(std::move(all));
}

std::vector<counter_part> counts_in(std::span<const sibling> siblings) {
  std::vector<counter_part> all;
  for (const auto& each : siblings) add_parts(each, all);
  return latest_of(std::move(all));
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
  for (const auto& each : counted) {
    const auto gone = std::ranges::lower_bound(overwritten, each.source, {}, &counter_part::source);
    const bool was_seen = gone != overwritten.end() && gone->source == each.source;
    if (!was_seen)
      total += each.amount;
    else if (each.seq > gone->seq)
      total += wide{each.amount} - gone->amount;
  }
  return narrowed(total);
}

}  // namespace troupe
