#include <troupe/actors/context/state/quarantine.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

constexpr std::size_t paths_at_once = 64;
constexpr std::size_t bytes_at_once = std::size_t{4} << 20;

bool is_reserved(const change_record& record) {
  return is_within(reserved_path, record.path.text());
}

}  // namespace

std::vector<local_write> writes_that_settle(const context_engine& engine) {
  std::set<path> where;
  std::size_t bytes = 0;
  for (const auto& each : engine.quarantine()) {
    if (!engine.is_overwritable(each) || std::ranges::any_of(each.records, is_reserved)) continue;
    if (where.size() >= paths_at_once || bytes >= bytes_at_once) break;
    for (const auto& record : each.records)
      if (where.insert(record.path).second)
        if (const auto entry = engine.tree().find(record.path))
          for (const auto& one : entry->siblings()) bytes += one.value_bytes.size();
  }
  std::vector<local_write> writes;
  for (const auto& each : where) {
    auto seen = engine.view(each);
    if (seen)
      writes.push_back({operation::put, each, std::move(*seen)});
    else
      writes.push_back({operation::erase, each, {}});
  }
  return writes;
}

bool context_engine::is_overwritable(const equivocation& found) const noexcept {
  return processed_.covers(found.dot) && !transactions_.find(found.dot) &&
         incarnation_of(found.dot) != own_;
}

std::size_t context_engine::release_quarantine(const std::vector<applied_change>& by) {
  std::set<observed_change> overwritten;
  for (const auto& each : by)
    overwritten.insert(each.record.observed.begin(), each.record.observed.end());
  return std::erase_if(quarantine_, [&](const equivocation& each) {
    const auto is_overwritten = [&](std::uint64_t content) {
      return overwritten.contains({each.dot, content});
    };
    if (!std::ranges::all_of(each.contents, is_overwritten)) return false;
    quarantine_weight_ -= each.weight();
    return true;
  });
}

}  // namespace troupe
