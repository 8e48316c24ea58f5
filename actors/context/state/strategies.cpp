#include <troupe/actors/context/state/strategies.hpp>

#include <algorithm>
#include <tuple>

#include <xxhash.h>

namespace troupe {

namespace {

bool has_observed(const change_record& record, const dot& id) {
  return std::ranges::find(record.observed, id) != record.observed.end();
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

change_record resolve_siblings(const conflict_resolution& strategy, const path& where,
                               std::span<const sibling> siblings) {
  auto resolved = siblings.front().to_record(where);
  for (const auto& next : siblings.subspan(1))
    resolved = strategy.resolve(resolved, next.to_record(where));
  return resolved;
}

std::optional<value> view_of(const conflict_resolution& strategy, const path& where,
                             std::span<const sibling> siblings) {
  if (siblings.empty()) return std::nullopt;
  if (siblings.size() == 1)
    return siblings[0].is_tombstone() ? std::nullopt : std::optional{siblings[0].copy_value()};
  auto resolved = resolve_siblings(strategy, where, siblings);
  if (resolved.operation == operation::erase) return std::nullopt;
  return std::move(resolved.new_value);
}

bool shows_value(const conflict_resolution& strategy, const path& where,
                 std::span<const sibling> siblings) {
  if (siblings.size() == 1) return !siblings[0].is_tombstone();
  return view_of(strategy, where, siblings).has_value();
}

std::uint64_t strategies_hash(const conflict_resolution& strategy) noexcept {
  return XXH3_64bits(strategy.name().data(), strategy.name().size());
}

}  // namespace troupe
