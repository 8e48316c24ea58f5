#include <troupe/actors/context/state/strategies.hpp>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <xxhash.h>

#include <troupe/actors/context/state/counter.hpp>

namespace troupe {

namespace {

bool has_observed(const change_record& record, const dot& id) {
  return std::ranges::find(record.observed, id, &observed_change::dot) != record.observed.end();
}

}  // namespace

bool conflict_resolution::conflicts(const change_record& local, const change_record& remote) const {
  return local.path == remote.path && local.dot != remote.dot && !has_observed(local, remote.dot) &&
         !has_observed(remote, local.dot);
}

change_record last_writer_wins::resolve(const change_record& local,
                                        const change_record& remote) const {
  return std::tie(local.timestamp, local.dot) < std::tie(remote.timestamp, remote.dot) ? remote
                                                                                       : local;
}

namespace {

change_record resolve_writes(const conflict_resolution& strategy, const path& where,
                             std::span<const sibling> writes) {
  if (const auto winner = strategy.winner(writes)) return writes[*winner].to_record(where);
  auto resolved = writes.front().to_record(where);
  for (const auto& next : writes.subspan(1))
    resolved = strategy.resolve(resolved, next.to_record(where));
  return resolved;
}

/// Resolves writes of which some are increments: these are added to the write that wins among the
/// others, if it is a number or an erasure.
change_record resolve_counter(const conflict_resolution& strategy, const path& where,
                              std::span<const sibling> siblings) {
  std::vector<sibling> writes;
  change_record latest;
  for (const auto& each : siblings) {
    if (each.operation != operation::increment)
      writes.push_back(each);
    else
      latest = each.to_record(where);
  }
  std::optional<change_record> base;
  if (!writes.empty()) base = resolve_writes(strategy, where, writes);
  const bool is_put = base && base->operation == operation::put;
  auto total = counted_value(is_put ? std::optional{base->new_value} : std::nullopt,
                             counts_in(writes), counted_by(siblings));
  if (!total) return std::move(*base);
  latest.operation = operation::put;
  latest.new_value = std::move(*total);
  return latest;
}

}  // namespace

change_record resolve_siblings(const conflict_resolution& strategy, const path& where,
                               std::span<const sibling> siblings) {
  return has_increments(siblings) ? resolve_counter(strategy, where, siblings)
                                  : resolve_writes(strategy, where, siblings);
}

const sibling* winning_sibling(const conflict_resolution& strategy,
                               std::span<const sibling> siblings) {
  if (siblings.size() == 1)  // as almost always
    return siblings[0].operation == operation::increment ? nullptr : &siblings[0];
  if (siblings.empty() || has_increments(siblings)) return nullptr;
  const auto winner = strategy.winner(siblings);
  return winner ? &siblings[*winner] : nullptr;
}

std::optional<value> view_of(const conflict_resolution& strategy, const path& where,
                             std::span<const sibling> siblings) {
  if (siblings.empty()) return std::nullopt;
  if (const auto* winner = winning_sibling(strategy, siblings))
    return winner->is_tombstone() ? std::nullopt : std::optional{winner->copy_value()};
  auto resolved = resolve_siblings(strategy, where, siblings);
  if (resolved.operation == operation::erase) return std::nullopt;
  return std::move(resolved.new_value);
}

bool shows_value(const conflict_resolution& strategy, const path& where,
                 std::span<const sibling> siblings) {
  if (const auto* winner = winning_sibling(strategy, siblings)) return !winner->is_tombstone();
  return view_of(strategy, where, siblings).has_value();
}

std::uint64_t strategies_hash(const conflict_resolution& strategy) noexcept {
  return XXH3_64bits(strategy.name().data(), strategy.name().size());
}

}  // namespace troupe
